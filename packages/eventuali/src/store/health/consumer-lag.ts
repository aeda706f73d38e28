import { type Clock, systemClock } from '../../kernel/index.ts'
import type { CallOptions, EventStore } from '../../ports/index.ts'
import { registeredProjections } from '../../projections/index.ts'
import type { SubscriptionControl, SubscriptionStatus } from '../../subscriptions/index.ts'

/** What follows the log under a name. */
export type ConsumerKind =
  | 'subscription'
  | 'projection'
  | 'effects'
  | 'process'
  | 'outbox'
  | 'schedules'

/** How far something that follows the log has come, as the store has it, whoever runs it. */
export interface ConsumerLag {
  /** Of its durable subscription. */
  readonly name: string
  readonly kind: ConsumerKind
  /** Everything at or below it is done. */
  readonly position: number
  /**
   * Positions from there to the safe position. Progress past events that a subscription does not
   * ask for is saved every 5 seconds, and only while a program runs it: it may be less.
   */
  readonly lag: number
  /** Milliseconds since the first event behind `position` was recorded; 0 when there is none. */
  readonly behindMs: number
  readonly partitions: number
  /** Partitions that a program has taken. */
  readonly owned: number
  /** Why all programs hold, while they do. */
  readonly paused: string | undefined
  /** Why partitions have stopped: each needs somebody. */
  readonly stopped: readonly string[]
  /** Whether its place is one of another log: the store was restored or forked since. */
  readonly isForeign: boolean
  /** False for the generation of a projection that readers do not see. */
  readonly live: boolean
}

const kindsByPrefix: Readonly<Record<string, ConsumerKind>> = {
  projection: 'projection',
  effects: 'effects',
  process: 'process',
  outbox: 'outbox',
}

/** What follows the log under a subscription's name. */
function kindOf(name: string): ConsumerKind {
  if (name === 'schedules') return 'schedules'
  const colon = name.indexOf(':')
  const prefix = colon < 0 ? '' : name.slice(0, colon)
  return Object.hasOwn(kindsByPrefix, prefix)
    ? (kindsByPrefix[prefix] ?? 'subscription')
    : 'subscription'
}

/** Milliseconds since the first event after a position was recorded. */
async function behindMs(
  port: EventStore,
  position: number,
  safe: number,
  nowMs: number,
  call: CallOptions,
): Promise<number> {
  if (position >= safe) return 0
  const query = {
    after: position,
    upTo: safe,
    limit: 1,
    pageSize: 1,
    direction: 'forward',
  } as const
  for await (const [event] of port.readLog(query, call)) {
    if (event !== undefined) return Math.max(0, nowMs - event.recordedAt.getTime())
  }
  return 0
}

/** Names of the subscriptions that keep generations current, and whether readers see those. */
async function generationsLive(
  port: EventStore,
  call: CallOptions,
): Promise<ReadonlyMap<string, { readonly live: boolean; readonly paused: boolean }>> {
  const found = new Map<string, { live: boolean; paused: boolean }>()
  for (const { name, subscription, paused, generations } of await registeredProjections(
    { port },
    call,
  )) {
    for (const { generation } of generations) {
      const key = `projection:${name}/g${generation}`
      found.set(key, { live: key === subscription, paused })
    }
  }
  return found
}

/**
 * How far the durable subscriptions of a store have come, by name: those of projections, processes
 * and outboxes too, whoever runs them.
 *
 * @example
 * ```ts
 * import { consumerLag, openStore } from 'eventuali'
 *
 * await using store = await openStore('memory:')
 * for (const { name, lag, behindMs } of await consumerLag(store)) console.log(name, lag, behindMs)
 * ```
 */
export async function consumerLag(
  store: { readonly port: EventStore; readonly subscriptions: SubscriptionControl },
  options: CallOptions & {
    /** Only these; all when left out. */
    readonly names?: readonly string[] | undefined
    /** For repeatable runs: the source of time. */
    readonly clock?: Clock | undefined
  } = {},
): Promise<readonly ConsumerLag[]> {
  const { names, clock = systemClock, ...call } = options
  const { port, subscriptions } = store
  const { safe } = await port.positions(call)
  const generations = await generationsLive(port, call)
  const found: ConsumerLag[] = []
  for (const name of names ?? (await subscriptions.names())) {
    call.signal?.throwIfAborted()
    const status = await subscriptions.status(name)
    if (status === undefined) continue
    const generation = generations.get(name)
    const behind = await behindMs(port, status.position, safe, clock.now(), call)
    found.push(lagOf(status, safe, behind, generation))
  }
  return found
}

function lagOf(
  { name, position, partitions, paused, isForeign }: SubscriptionStatus,
  safe: number,
  behindMs: number,
  generation: { readonly live: boolean; readonly paused: boolean } | undefined,
): ConsumerLag {
  return {
    ...{ name, kind: kindOf(name), position, behindMs, isForeign },
    lag: Math.max(0, safe - position),
    partitions: partitions.length,
    owned: partitions.filter(({ owner }) => owner !== undefined).length,
    paused: paused ?? (generation?.paused === true ? 'paused by hand' : undefined),
    stopped: partitions.flatMap(({ stopped }) => (stopped === undefined ? [] : [stopped])),
    live: generation?.live ?? true,
  }
}
