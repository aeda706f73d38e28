import type { AppendCall, Outcome } from '../harness/stream-history.ts'
import type { StreamCalls } from './history-calls.ts'

/** Planted bugs: stores that break one promise each, now and then. */
export const streamMutants = [
  'ignores-expected-version',
  'reads-stale',
  'loses-after-acknowledging',
  'doubles-a-retry',
  'reorders-a-batch',
  'stores-a-batch-in-parts',
  'reads-what-is-not-committed',
  'acknowledges-a-conflict',
  'takes-absent-for-existing',
  'refuses-what-it-stored',
  'tells-another-version',
  'forgets-a-known-id',
] as const

export type StreamMutant = (typeof streamMutants)[number]

type Change = (calls: StreamCalls, now: () => boolean) => Partial<StreamCalls>

const changes: Readonly<Record<StreamMutant, Change>> = {
  'ignores-expected-version': (calls, now) => ({
    append: (stream, call, bounds) =>
      calls.append(stream, now() ? { ...call, expected: 'any' } : call, bounds),
  }),
  'reads-stale': (calls, now) => {
    const cache = new Map<string, Outcome>()
    return {
      read: async (stream, call) => {
        const key = `${stream} ${call.last}`
        const old = now() ? cache.get(key) : undefined
        if (old !== undefined) return old
        const fresh = await calls.read(stream, call)
        cache.set(key, fresh)
        return fresh
      },
    }
  },
  'loses-after-acknowledging': (calls, now) => ({
    append: async (stream, call, bounds) => {
      if (call.expected !== 'any' || !now()) return calls.append(stream, call, bounds)
      const head = await calls.read(stream, { kind: 'read', last: 0 })
      const version = ('version' in head ? head.version : 0) + call.marks.length
      return { is: 'stored', version, duplicate: false }
    },
  }),
  'doubles-a-retry': (calls, now) => ({
    append: async (stream, call, bounds) => {
      const first = await calls.append(stream, call, bounds)
      if (first.is !== 'stored' || first.duplicate || !now()) return first
      await calls.append(stream, { ...call, given: false, expected: 'any' }, {})
      return first
    },
  }),
  'reorders-a-batch': (calls, now) => ({
    append: (stream, call, bounds) =>
      calls.append(stream, now() ? { ...call, marks: [...call.marks].reverse() } : call, bounds),
  }),
  'stores-a-batch-in-parts': (calls) => ({
    append: async (stream, call, bounds) => {
      const [first, ...rest] = call.marks
      if (first === undefined || rest.length === 0) return calls.append(stream, call, bounds)
      let told = await calls.append(stream, { ...call, marks: [first] }, {})
      for (const mark of told.is === 'stored' ? rest : []) {
        told = await calls.append(stream, { ...call, marks: [mark], expected: 'any' }, {})
      }
      return told
    },
  }),
  'reads-what-is-not-committed': (calls) => {
    const underWay = new Map<string, AppendCall>()
    return {
      append: async (stream, call, bounds) => {
        underWay.set(stream, call)
        try {
          return await calls.append(stream, call, bounds)
        } finally {
          underWay.delete(stream)
        }
      },
      read: async (stream, call) => {
        const early = underWay.get(stream)
        const seen = await calls.read(stream, call)
        if (early === undefined || seen.is !== 'seen' || call.last !== 'all') return seen
        if (seen.marks.includes(early.marks[0] ?? 0)) return seen
        const marks = [...seen.marks, ...early.marks]
        return { is: 'seen', version: marks.length, marks }
      },
    }
  },
  'acknowledges-a-conflict': (calls, now) => ({
    append: async (stream, call, bounds) => {
      const told = await calls.append(stream, call, bounds)
      if (told.is !== 'conflict' || !now()) return told
      return { is: 'stored', version: told.version + call.marks.length, duplicate: false }
    },
  }),
  'takes-absent-for-existing': (calls) => ({
    append: (stream, call, bounds) =>
      calls.append(
        stream,
        call.expected === 'exists' ? { ...call, expected: 'any' } : call,
        bounds,
      ),
  }),
  'refuses-what-it-stored': (calls, now) => ({
    append: async (stream, call, bounds) => {
      const told = await calls.append(stream, call, bounds)
      return told.is === 'stored' && !told.duplicate && now() ? { is: 'refused' } : told
    },
  }),
  'tells-another-version': (calls, now) => ({
    append: async (stream, call, bounds) => {
      const told = await calls.append(stream, call, bounds)
      return told.is === 'stored' && now() ? { ...told, version: told.version + 1 } : told
    },
  }),
  'forgets-a-known-id': (calls, now) => ({
    append: (stream, call, bounds) =>
      calls.append(stream, now() ? { ...call, given: false } : call, bounds),
  }),
}

/** The calls of a store with a planted bug; `now` draws when it shows. */
export function mutate(
  calls: StreamCalls,
  mutant: StreamMutant | undefined,
  now: () => boolean,
): StreamCalls {
  return mutant === undefined ? calls : { ...calls, ...changes[mutant](calls, now) }
}
