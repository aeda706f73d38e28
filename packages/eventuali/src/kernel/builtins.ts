import process from 'node:process'

/**
 * A module that Node brings, or undefined when this Node does not. The warning that it is still an
 * experiment is left out, all other warnings pass: it tells the user of a library nothing.
 */
export function builtinModule<T>(name: string): T | undefined {
  const warn = quietly()
  try {
    return process.getBuiltinModule?.(name) as T | undefined
  } finally {
    warn()
  }
}

const TYPELESS = 'MODULE_TYPELESS_PACKAGE_JSON'

/** Keeps back warnings about what is done on purpose, until what it returns is called. */
function quietly(): () => void {
  const emitWarning = process.emitWarning
  const quiet = ((...args: unknown[]) => {
    const [, kind, third] = args
    const { type, code } = Object(kind) as { readonly type?: string; readonly code?: string }
    const isExperimental = (typeof kind === 'string' ? kind : type) === 'ExperimentalWarning'
    if (!isExperimental && code !== TYPELESS && third !== TYPELESS) {
      Reflect.apply(emitWarning, process, args)
    }
  }) as typeof process.emitWarning
  process.emitWarning = quiet
  return () => {
    if (process.emitWarning === quiet) process.emitWarning = emitWarning
  }
}

/** A module of the user's, JavaScript or TypeScript, by its `file:` url. */
export async function importModule(href: string): Promise<Readonly<Record<string, unknown>>> {
  const warn = quietly()
  try {
    return await import(href)
  } finally {
    warn()
  }
}

/** Where this process runs, and who runs it; the user is undefined where there are no numbers. */
export function processPlace(): {
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly userId: number | undefined
} {
  return { cwd: process.cwd(), env: process.env, userId: process.getuid?.() }
}

/** The first number of Node's version: 24 of 24.15.0. */
export const nodeMajor: number = Number(process.versions.node.split('.')[0])
