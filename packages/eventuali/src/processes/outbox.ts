import { type Clock, type RetryPolicy, uuidV5 } from '../kernel/index.ts'
import {
  assertStreamName,
  DefinitionError,
  type EventRegistry,
  InvalidNameError,
  type Json,
  type RecordedEvent,
} from '../model/index.ts'
import type { Broker, BrokerMessage, EventStore } from '../ports/index.ts'
import {
  type Consumer,
  type ConsumerBatch,
  type ConsumerRuntime,
  keyAsRead,
  type PoisonMode,
  startConsumer,
  type Worker,
} from '../subscriptions/index.ts'

/** An event on its way out. */
export interface OutboxMessage<E extends RecordedEvent = RecordedEvent> {
  /** Stable: the same for every delivery of this event by this outbox. */
  readonly id: string
  /** Messages of one key are delivered in order. */
  readonly key: string
  readonly event: E
}

/** What a delivery may know. */
export interface DeliveryContext {
  /** 0 at first. */
  readonly attempt: number
  /** Aborted when the outbox stops. */
  readonly signal: AbortSignal
}

/** What `defineOutbox` takes, beside where messages go. */
interface OutboxBase {
  readonly name: string
  /** Which events go out; all of them when left out. */
  readonly from?: {
    readonly types?: readonly string[]
    readonly categories?: readonly string[]
    readonly tags?: readonly string[]
  }
  /** Where one that is new begins; with what comes from the first start on when left out. */
  readonly after?: number | 'end'
  /** Messages of one key keep their order; the stream when left out. */
  readonly key?: (event: RecordedEvent) => string
  /** Shares of the work, each with its own owner; 1 when left out, which keeps all in order. */
  readonly partitions?: number
  /** Events in one delivery, at most; 100 when left out. */
  readonly maxBatch?: number
  readonly retry?: RetryPolicy
  /** What becomes of a message that is not taken after all tries; `park-key` when left out. */
  readonly onPoison?: PoisonMode
}

/** Delivers by a function. */
interface DeliverOutbox extends OutboxBase {
  readonly deliver: (
    messages: readonly OutboxMessage[],
    ctx: DeliveryContext,
  ) => Promise<void> | void
}

/** Delivers to a broker. */
interface BrokerOutbox extends OutboxBase {
  readonly broker: Broker
  /** The topic, or what gives it. */
  readonly topic: string | ((event: RecordedEvent) => string)
}

/** What `defineOutbox` takes. */
export type OutboxParts = DeliverOutbox | BrokerOutbox

/** An outbox as `defineOutbox` makes it. */
export interface OutboxDefinition extends Required<Omit<OutboxBase, 'key'>> {
  readonly kind: 'outbox'
  readonly key: (event: RecordedEvent) => string
  readonly deliver: DeliverOutbox['deliver']
}

/** Half a minute of tries, then the message is parked. */
const defaultRetry: RetryPolicy = { retryCountMax: 10, firstDelayMs: 50, delayMaxMs: 10_000 }
const MAX_BATCH = 100
const POLL_INTERVAL_MS = 1000
const TIMEOUT_MS = 30_000

function brokerMessage(
  { id, key, event }: OutboxMessage,
  topic: BrokerOutbox['topic'],
): BrokerMessage {
  const { correlationId, causationId, tenant } = event.metadata
  const headers = {
    'event-id': event.id,
    stream: event.stream,
    version: String(event.version),
    position: String(event.position),
    'schema-version': String(event.schemaVersion),
    ...(correlationId === undefined ? {} : { 'correlation-id': correlationId }),
    ...(causationId === undefined ? {} : { 'causation-id': causationId }),
    ...(tenant === undefined ? {} : { tenant }),
  }
  return {
    ...{ id, key, headers, type: event.type },
    topic: typeof topic === 'string' ? topic : topic(event),
    payload: event.data as Json,
    time: event.time.getTime(),
  }
}

/**
 * Defines an outbox: events go to a function or to a broker, at least once, with stable ids, in
 * order for each key. What is not taken after its tries is parked among the dead letters.
 *
 * @example
 * ```ts
 * import { defineOutbox } from 'eventuali'
 *
 * const mails = defineOutbox({
 *   name: 'mails',
 *   from: { types: ['OrderPlaced'] },
 *   deliver: async (messages) => {
 *     for (const { id, event } of messages) console.log('send once for', id, event.data)
 *   },
 * })
 * console.log(mails.name)
 * ```
 */
export function defineOutbox(parts: OutboxParts): OutboxDefinition {
  const { name, from = {}, after = 'end', partitions = 1, maxBatch = MAX_BATCH } = parts
  try {
    assertStreamName(name)
  } catch (error) {
    if (!(error instanceof InvalidNameError)) throw error
    throw new DefinitionError(`the outbox's name: ${error.message}`)
  }
  if ('deliver' in parts === 'broker' in parts) {
    throw new DefinitionError(`outbox ${name} needs either deliver or a broker`)
  }
  const deliver: OutboxDefinition['deliver'] =
    'deliver' in parts
      ? parts.deliver
      : (messages, { signal }) =>
          parts.broker.publish(
            messages.map((message) => brokerMessage(message, parts.topic)),
            { signal },
          )
  const key = parts.key ?? (({ stream }) => stream)
  const { retry = defaultRetry, onPoison = 'park-key' } = parts
  const rules = { after, partitions, maxBatch, retry, onPoison }
  return { kind: 'outbox', name, from, key, deliver, ...rules }
}

/** What outboxes run on. */
export interface OutboxRuntime extends ConsumerRuntime {
  readonly clock: Clock
  readonly registry: EventRegistry
}

/** The message of an event: its id is the same whenever and wherever it is delivered. */
export function outboxMessage(
  { name, key }: Pick<OutboxDefinition, 'name' | 'key'>,
  event: RecordedEvent,
): OutboxMessage {
  const id = uuidV5('outbox', name, event.stream, event.version, event.id)
  return { id, key: key(event), event }
}

/** Starts this program's part of an outbox. What is appended after it has resolved goes out. */
export async function startOutbox(
  port: EventStore,
  worker: Worker,
  outbox: OutboxDefinition,
  runtime: OutboxRuntime,
): Promise<Consumer> {
  const { registry } = runtime
  const after = outbox.after === 'end' ? (await port.positions()).safe : outbox.after
  const { types } = outbox.from
  const read = (events: readonly RecordedEvent[]) => registry.read(events, types)
  const handle = async ({ events, attempt, signal }: ConsumerBatch): Promise<void> => {
    const messages = read(events).map((event) => outboxMessage(outbox, event))
    // Upcasters may have left nothing of them.
    if (messages.length > 0) await outbox.deliver(messages, { attempt, signal })
  }
  const { name, from, partitions, key, maxBatch, retry, onPoison } = outbox
  return startConsumer(
    port,
    worker,
    {
      ...{
        filter: types === undefined ? from : { ...from, types: registry.storedTypes(types) },
        after,
        partitions,
        maxBatch,
        retry,
        onPoison,
        handle,
      },
      name: `outbox:${name}`,
      keyOf: keyAsRead(read, key),
      keyLabel: 'outbox',
      transactional: false,
      concurrency: partitions,
      pollIntervalMs: POLL_INTERVAL_MS,
      timeoutMs: TIMEOUT_MS,
    },
    runtime,
  )
}
