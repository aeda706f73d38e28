import { openStore } from '../../src/index.ts'
import { openMemoryStore } from '../../src/stores/memory/index.ts'
import { wrapStore } from '../../src/testing/index.ts'
import type { Target } from '../harness/assault.ts'
import type { Junk } from '../harness/junk.ts'
import { appendBoth, storeAttack } from './input-events.ts'

/** A careless merge, as many a settings reader has it. */
function merge(into: Record<string, unknown>, from: unknown): Record<string, unknown> {
  if (typeof from !== 'object' || from === null) return into
  for (const [key, value] of Object.entries(from)) {
    const isObject = typeof value === 'object' && value !== null
    if (!isObject) into[key] = value
    else {
      into[key] ??= {}
      merge(into[key] as Record<string, unknown>, value)
    }
  }
  return into
}

const texts = ['{"a":{"b":1}}', '{"__proto__":{"polluted":1}}', '{"x":[1,2]}', '{"a":']

/** A store that refuses several streams together, but keeps what came before the bad one. */
const keepsHalf = async () => {
  const store = wrapStore(await openMemoryStore(), {
    append: async (next, request, options) => {
      const [first, ...rest] = request.entries
      if (first === undefined || rest.length === 0) return next.append(request, options)
      await next.append({ ...request, entries: [first] }, options)
      return next.append({ ...request, entries: rest }, options)
    },
  })
  return openStore(store)
}

const planted: Readonly<Record<string, (junk: Junk) => Promise<string | undefined>>> = {
  'merges __proto__': async (junk) => {
    try {
      merge({}, JSON.parse(junk.pick(texts)))
    } catch {}
    return undefined
  },
  'throws a text': async (junk) => {
    if (junk.below(100) === 0) throw 'no idea'
    return undefined
  },
  'throws what nobody planned': async (junk) => {
    const value = junk.pick([{ length: 1 }, undefined]) as { length: number }
    return value.length > 1 ? 'too long' : undefined
  },
  'rejects beside the call': async (junk) => {
    if (junk.below(100) === 0) void Promise.reject(new Error('nobody waits for this'))
    return undefined
  },
  'is slow for some': async (junk) => {
    const from = process.cpuUsage()
    const bound = junk.below(200) === 0 ? 1_300_000 : 0
    while (process.cpuUsage(from).user < bound);
    return undefined
  },
  'never answers': (junk) =>
    junk.below(50) === 0 ? new Promise(() => {}) : Promise.resolve(undefined),
  'never comes back': async (junk) => {
    while (junk.below(50) !== 0) if (junk.below(50) === 0) for (;;);
    return undefined
  },
  'ends the process': async (junk) => {
    if (junk.below(200) === 0) process.kill(process.pid, 'SIGSEGV')
    return undefined
  },
}

/** Bugs that the harness must find. */
export function plantedTargets(): Target[] {
  const targets = Object.entries(planted).map(([name, tryOnce]) => ({
    ...{ name, cases: 2000, open: async () => ({ tryOnce }) },
  }))
  return [...targets, { name: 'keeps half', cases: 500, open: storeAttack(keepsHalf, appendBoth) }]
}

const fatal: readonly string[] = ['never comes back', 'ends the process']

/** Their names, in runs: what ends a program, or holds it up for ever, has one of its own. */
export const plantedRuns: readonly (readonly string[])[] = [
  [...Object.keys(planted).filter((name) => !fatal.includes(name)), 'keeps half'],
  ...fatal.map((name) => [name]),
]
