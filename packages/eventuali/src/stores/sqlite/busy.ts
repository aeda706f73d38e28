import { type Clock, type Deadline, type Random, sleep } from '../../kernel/index.ts'
import { StorageBusyError } from '../../model/index.ts'
import { failureKind } from './sqlite-errors.ts'

const FIRST_DELAY_MS = 1
const DELAY_MAX_MS = 24

/** Time and chance for waits. */
export interface Patience {
  readonly clock: Clock
  readonly random: Random
}

/** Waits a little longer each time, with jitter, so that processes do not march in step. */
export function pause(
  { clock, random }: Patience,
  attempt: number,
  signal?: AbortSignal | undefined,
): Promise<void> {
  const bound = Math.min(DELAY_MAX_MS, FIRST_DELAY_MS * 2 ** Math.min(attempt, 10))
  return sleep(clock, Math.max(FIRST_DELAY_MS, random.next() * bound), signal)
}

/**
 * Runs `work` until it does not meet a lock. Between two tries the event loop is free. Throws
 * StorageBusyError after the deadline, the signal's reason when aborted.
 */
export async function whenFree<T>(
  patience: Patience,
  deadline: Deadline,
  work: () => T,
): Promise<T> {
  const startedAt = patience.clock.monotonic()
  for (let attempt = 0; ; attempt++) {
    deadline.signal?.throwIfAborted()
    try {
      return work()
    } catch (cause) {
      if (failureKind(cause) !== 'busy') throw cause
      if (deadline.leftMs() <= 0) {
        throw new StorageBusyError(patience.clock.monotonic() - startedAt, { cause })
      }
    }
    await pause(patience, attempt, deadline.signal)
  }
}
