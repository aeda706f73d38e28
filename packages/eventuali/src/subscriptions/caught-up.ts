import { type Clock, deadlineIn } from '../kernel/index.ts'
import { InvalidArgumentError, OperationTimeoutError } from '../model/index.ts'
import type { CallOptions, EventStore } from '../ports/index.ts'
import { WakeSignal } from './wake.ts'

/** A look at least this often while waiting, in milliseconds. */
const LOOK_INTERVAL_MS = 20

/**
 * Resolves with the safe position once it has reached `position`. Throws OperationTimeoutError
 * after `timeoutMs`, or the signal's reason.
 */
export async function waitForPosition(
  store: Pick<EventStore, 'positions' | 'watch'>,
  position: number,
  clock: Clock,
  options: CallOptions,
): Promise<number> {
  if (!Number.isSafeInteger(position) || position < 0) {
    throw new InvalidArgumentError('position', 'must be a position: 0 or a positive integer')
  }
  const { timeoutMs, signal } = options
  const deadline = deadlineIn(clock, timeoutMs, signal)
  const wake = new WakeSignal(clock)
  const unwatch = store.watch(() => wake.hint())
  const onAbort = () => wake.hint()
  signal?.addEventListener('abort', onAbort)
  try {
    for (;;) {
      signal?.throwIfAborted()
      const { safe } = await store.positions({ signal })
      if (safe >= position) return safe
      const leftMs = deadline.leftMs()
      if (leftMs <= 0) {
        throw new OperationTimeoutError(`waiting for position ${position}`, timeoutMs ?? 0)
      }
      await wake.sleep(Math.min(LOOK_INTERVAL_MS, leftMs))
    }
  } finally {
    signal?.removeEventListener('abort', onAbort)
    unwatch()
  }
}
