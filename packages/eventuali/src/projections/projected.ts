import { type Clock, deadlineIn, sleep } from '../kernel/index.ts'
import { InvalidArgumentError, OperationTimeoutError } from '../model/index.ts'
import type { CallOptions, EventStore } from '../ports/index.ts'
import { savedPosition } from '../subscriptions/index.ts'
import { wantedEvents } from './build.ts'
import type { AnyProjection } from './define.ts'
import { consumerName, liveOf, readRegistered } from './registry.ts'

const FIRST_LOOK_INTERVAL_MS = 1
const LOOK_INTERVAL_MAX_MS = 50

/**
 * How far the live generation has come: the checkpoint of its consumer (or what the consumer of
 * that generation says in this process), or the end of the log where it is inline. Undefined while
 * there is none. Which one is live is read each time: another program may have switched.
 */
export async function livePosition(
  port: EventStore,
  name: string,
  options: CallOptions = {},
  consumerPosition?: (generation: number) => number | undefined,
): Promise<number | undefined> {
  const live = liveOf((await readRegistered(port.records, name, options))?.value)
  if (live === undefined) return undefined
  if (live.mode === 'inline') return (await port.positions(options)).newest
  const consumer = consumerName(name, live.generation)
  const saved = (await savedPosition(port.records, consumer, options)) ?? live.position
  return Math.max(saved, consumerPosition?.(live.generation) ?? 0)
}

/** Whether no event that the projection wants lies after one position up to another. */
async function isNothingBetween(
  port: EventStore,
  projection: AnyProjection,
  after: number,
  upTo: number,
  options: CallOptions,
): Promise<boolean> {
  const { safe } = await port.positions(options)
  if (safe < upTo) return false
  const query = { ...wantedEvents(projection), after, upTo, limit: 1, pageSize: 1 }
  for await (const _ of port.readLog({ ...query, direction: 'forward' }, options)) return false
  return true
}

/**
 * Resolves once readers of the projection see every event up to `position`. A checkpoint is not
 * saved for events that are passed over, so that a look at the log settles what it leaves open.
 * Throws OperationTimeoutError, whose cause is what keeps the projection from going on, if known.
 */
export async function waitProjected(
  port: EventStore,
  projection: AnyProjection,
  position: number,
  clock: Clock,
  options: CallOptions & {
    /** Of a generation's consumer, where it runs in this process. */
    readonly consumerPosition: (generation: number) => number | undefined
    /** Why the projection does not go on, where this process knows. */
    readonly error: () => unknown
  },
): Promise<void> {
  if (!Number.isSafeInteger(position) || position < 0) {
    throw new InvalidArgumentError('position', 'must be a position: 0 or a positive integer')
  }
  const { timeoutMs, signal } = options
  const deadline = deadlineIn(clock, timeoutMs, signal)
  const call = { signal }
  for (let intervalMs = FIRST_LOOK_INTERVAL_MS; ; intervalMs *= 2) {
    signal?.throwIfAborted()
    const live = await livePosition(port, projection.name, call, options.consumerPosition)
    if (live !== undefined && live >= position) return
    if (live !== undefined && (await isNothingBetween(port, projection, live, position, call))) {
      return
    }
    const leftMs = deadline.leftMs()
    if (leftMs <= 0) {
      const what = `waiting for ${projection.name} at position ${position}`
      throw new OperationTimeoutError(what, timeoutMs ?? 0, { cause: options.error() })
    }
    await sleep(clock, Math.min(intervalMs, LOOK_INTERVAL_MAX_MS, leftMs), signal)
  }
}
