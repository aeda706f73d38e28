import { ConnectionError } from '../model/index.ts'
import type { EventStore } from '../ports/index.ts'
import { wrapStore } from './wrap.ts'

/** Which call fails, and how. */
export interface FaultPlan {
  /** The call to fail, counted from 0 over all calls of the port, those in transactions too. */
  readonly at: number
  /**
   * `before` (default): the call does nothing and fails. `after`: it does its work, and the
   * answer is lost.
   */
  readonly when?: 'before' | 'after'
  /** What it fails with; a ConnectionError when left out. */
  readonly error?: () => Error
}

/** A store with one fault in it. */
export interface FaultyStore {
  readonly store: EventStore
  /** Whether the fault has come up; when not, the run made fewer calls than that. */
  readonly fired: () => boolean
  /** Calls so far. */
  readonly calls: () => number
}

/**
 * Makes one call of a store fail. Loop over `at` from 0 until a run ends without the fault, and
 * every point of failure has been visited.
 *
 * @example
 * ```ts
 * import { openMemoryStore, withFault } from 'eventuali/testing'
 *
 * for (let at = 0; ; at++) {
 *   const { store, fired } = withFault(await openMemoryStore(), { at })
 *   await store.positions().catch((error) => console.log('failed at call', at, error.code))
 *   if (!fired()) break
 * }
 * ```
 */
export function withFault(inner: EventStore, plan: FaultPlan): FaultyStore {
  let count = 0
  let fired = false
  const { at, when = 'before', error = () => new ConnectionError('a fault made for a test') } = plan
  const isNext = (): boolean => {
    const now = count === at
    count += 1
    if (now) fired = true
    return now
  }
  const call = async <T>(work: () => Promise<T>): Promise<T> => {
    if (!isNext()) return work()
    if (when === 'after') await work()
    throw error()
  }
  async function* pages<T>(make: () => AsyncIterable<T>): AsyncGenerator<T> {
    const failing = isNext()
    if (failing && when === 'before') throw error()
    yield* make()
    if (failing) throw error()
  }
  const store = wrapStore(inner, {
    append: (next, request, options) => call(() => next.append(request, options)),
    readStream: (next, query, options) => pages(() => next.readStream(query, options)),
    readLog: (next, query, options) => pages(() => next.readLog(query, options)),
    eventById: (next, stream, id, options) => call(() => next.eventById(stream, id, options)),
    stream: (next, name, options) => call(() => next.stream(name, options)),
    positions: (next, options) => call(() => next.positions(options)),
    transaction: (next, work, options) => call(() => next.transaction(work, options)),
    readSide: (_name, run) => call(run),
  })
  return { store, fired: () => fired, calls: () => count }
}
