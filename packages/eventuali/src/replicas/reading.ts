import type { Clock } from '../kernel/index.ts'
import { OperationTimeoutError } from '../model/index.ts'
import type { EventStore, ReadOptions } from '../ports/index.ts'

/** What a read on a replica takes place under. */
export interface ReplicaCall {
  readonly store: EventStore
  /** Aborted as soon as the replica is known to be lost. */
  readonly gone: AbortSignal
  readonly clock: Clock
}

/** Bound of a call that names none. */
const TIMEOUT_MS = 30_000

/** The half of a call's time that a replica may take for each answer; the rest is the primary's. */
export function replicaTimeMs(options: ReadOptions): number {
  return (options.timeoutMs ?? TIMEOUT_MS) / 2
}

/** Settles as `work` does, unless the replica, the caller or the time comes in between. */
export function within<T>(
  work: Promise<T>,
  { gone, clock }: ReplicaCall,
  options: ReadOptions,
): Promise<T> {
  const { signal } = options
  const timeMs = replicaTimeMs(options)
  return new Promise((resolve, reject) => {
    const late = (): void => end(() => reject(new OperationTimeoutError('a replica', timeMs)))
    const lose = (): void => end(() => reject(gone.reason))
    const abort = (): void => end(() => reject(signal?.reason))
    const stop = clock.timer(timeMs, late)
    const end = (settle: () => void): void => {
      stop()
      gone.removeEventListener('abort', lose)
      signal?.removeEventListener('abort', abort)
      settle()
    }
    gone.addEventListener('abort', lose)
    signal?.addEventListener('abort', abort)
    if (signal?.aborted === true) abort()
    else if (gone.aborted) lose()
    work.then(
      (value) => end(() => resolve(value)),
      (error) => end(() => reject(error)),
    )
  })
}

/** Pages of a read on a replica; ends with an error as soon as one of them does not come. */
export async function* pagesOf<T>(
  call: ReplicaCall,
  read: (store: EventStore, options: ReadOptions) => AsyncIterable<readonly T[]>,
  options: ReadOptions,
): AsyncGenerator<readonly T[], void, void> {
  // Its own queries end by themselves when nobody waits for them any more.
  const own = { signal: options.signal, timeoutMs: replicaTimeMs(options) }
  const pages = read(call.store, own)[Symbol.asyncIterator]()
  try {
    for (;;) {
      const { done, value } = await within(pages.next(), call, options)
      if (done === true) return
      yield value
    }
  } finally {
    // Not awaited: a generator that hangs would not come back.
    pages.return?.().catch(() => {})
  }
}

/** A read of pages that can be made again from after what it has given. */
export interface Continued<Query, Item> {
  read(store: EventStore, query: Query, options: ReadOptions): AsyncIterable<readonly Item[]>
  /** What is left of the query after a page, or undefined when nothing is. */
  rest(query: Query, page: readonly Item[]): Query | undefined
}
