import process from 'node:process'

/**
 * A module that Node brings, or undefined when this Node does not. The warning that it is still an
 * experiment is left out, all other warnings pass: it tells the user of a library nothing.
 */
export function builtinModule<T>(name: string): T | undefined {
  const emitWarning = process.emitWarning
  process.emitWarning = ((...args: unknown[]) => {
    const [, kind] = args
    const type = typeof kind === 'string' ? kind : (kind as { type?: string } | undefined)?.type
    if (type !== 'ExperimentalWarning') Reflect.apply(emitWarning, process, args)
  }) as typeof process.emitWarning
  try {
    return process.getBuiltinModule?.(name) as T | undefined
  } finally {
    process.emitWarning = emitWarning
  }
}

/** The first number of Node's version: 24 of 24.15.0. */
export const nodeMajor: number = Number(process.versions.node.split('.')[0])
