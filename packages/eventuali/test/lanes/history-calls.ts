import { isEventualiError, type Store } from '../../src/index.ts'
import type { AppendCall, Outcome, ReadCall } from '../harness/stream-history.ts'

/** Bounds of one append: some are given up. */
export interface CallBounds {
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** What the clients of a history do with a stream. */
export interface StreamCalls {
  append(stream: string, call: AppendCall, bounds: CallBounds): Promise<Outcome>
  read(stream: string, call: ReadCall): Promise<Outcome>
}

/** The data of an event of a history. */
export interface Marked {
  readonly mark: number
}

/** Errors after which the store promises that nothing was stored. */
const nothingStored = new Set(['TIMEOUT', 'STORAGE_BUSY', 'CONNECTION_FAILED', 'QUEUE_FULL'])

/** What an error says of an append; throws one that says nothing. */
export function outcomeOf(error: unknown, signal: AbortSignal | undefined): Outcome {
  if (signal?.aborted && error === signal.reason) return { is: 'refused' }
  const code = isEventualiError(error) ? error.code : ''
  if (code === 'VERSION_CONFLICT') {
    return { is: 'conflict', version: (error as { actualVersion?: number }).actualVersion ?? -1 }
  }
  // The clients repeat their own appends only, unchanged: no version fits this answer.
  if (code === 'IDEMPOTENCY_CONFLICT') return { is: 'conflict', version: -1 }
  if (code === 'OUTCOME_UNKNOWN') return { is: 'unknown' }
  if (nothingStored.has(code)) return { is: 'refused' }
  throw error
}

/** The calls as the library makes them. */
export function callsOf(store: Store): StreamCalls {
  return {
    append: async (stream, { marks, expected, given }, bounds) => {
      const events = marks.map((mark) => {
        const event = { type: 'Marked', data: { mark } satisfies Marked }
        return given ? { ...event, id: `id-${mark}` } : event
      })
      try {
        const options = { expectedVersion: expected, ...bounds }
        const { version, duplicate = false } = await store.append(stream, events, options)
        return { is: 'stored', version, duplicate }
      } catch (error) {
        return outcomeOf(error, bounds.signal)
      }
    },
    read: async (stream, { last }) => {
      if (last === 0) {
        return { is: 'seen', version: (await store.stream(stream))?.version ?? 0, marks: [] }
      }
      const backward = { direction: 'backward', limit: last === 'all' ? undefined : last } as const
      const events = await store.readStream(stream, last === 'all' ? {} : backward).toArray()
      if (last !== 'all') events.reverse()
      const version = events.at(-1)?.version ?? 0
      if (events.some((event, n) => event.version !== version - events.length + 1 + n)) {
        throw new Error(`${stream}: versions ${events.map((event) => event.version).join()}`)
      }
      return { is: 'seen', version, marks: events.map(({ data }) => (data as Marked).mark) }
    },
  }
}
