import { type RetryPolicy, uuidV5 } from '../kernel/index.ts'
import { isSystemType } from '../model/index.ts'
import type { EventStore } from '../ports/index.ts'
import {
  type Consumer,
  type ConsumerOptions,
  type ConsumerRuntime,
  keyAsRead,
  startConsumer,
  type Worker,
} from '../subscriptions/index.ts'
import { wantedEvents } from './build.ts'
import type { AnyProjection } from './define.ts'
import { consumerName } from './registry.ts'
import { ProjectionRun } from './run.ts'

const BATCH_COUNT = 1000
const TRANSACTION_TIMEOUT_MS = 60_000
const retry: RetryPolicy = { retryCountMax: 4, firstDelayMs: 50, delayMaxMs: 2000 }

/** What consumers of this folder run on. */
export interface FollowRuntime extends ConsumerRuntime {
  readonly qualifier: string
  readonly pollIntervalMs: number
}

function optionsOf(
  projection: AnyProjection,
  { pollIntervalMs }: FollowRuntime,
): Omit<ConsumerOptions, 'name' | 'after' | 'transactional' | 'handle'> {
  const { key, registry } = projection
  return {
    filter: wantedEvents(projection),
    partitions: 1,
    keyOf:
      key === undefined
        ? undefined
        : keyAsRead(
            (events) => registry.upcast(events),
            (event) => (isSystemType(event.type) ? event.stream : key(registry.decode(event))),
          ),
    keyLabel: key === undefined ? 'stream' : 'key',
    maxBatch: BATCH_COUNT,
    retry,
    onPoison: 'park-key',
    concurrency: 1,
    pollIntervalMs,
    timeoutMs: TRANSACTION_TIMEOUT_MS,
  }
}

/** Keeps a generation current: each event's effect and the checkpoint in one transaction. */
export function followLog(
  port: EventStore,
  worker: Worker,
  projection: AnyProjection,
  generation: { readonly generation: number; readonly position: number },
  runtime: FollowRuntime,
): Consumer {
  const { clock, qualifier } = runtime
  const options: ConsumerOptions = {
    ...optionsOf(projection, runtime),
    name: consumerName(projection.name, generation.generation),
    after: generation.position,
    transactional: true,
    handle: async ({ events, tx }) => {
      if (tx === undefined) return
      const run = new ProjectionRun(projection, generation.generation, tx, {
        ...{ clock, qualifier, inline: false },
      })
      await run.take(events)
      await run.handle(events)
      await run.end()
    },
  }
  return startConsumer(port, worker, options, runtime)
}

/** Name of the durable consumer that runs a projection's effects. */
export function effectsName(name: string): string {
  return `effects:${name}`
}

/** Runs effects, at least once each, after the position at which the projection first went live. */
export function followEffects(
  port: EventStore,
  worker: Worker,
  projection: AnyProjection,
  after: number,
  runtime: FollowRuntime,
): Consumer {
  const { effects, name, registry, from } = projection
  const { categories, tags, includeArchived } = from
  const options: ConsumerOptions = {
    ...optionsOf(projection, runtime),
    filter: {
      types: registry.storedTypes(Object.keys(effects)),
      categories,
      tags,
      includeArchived,
    },
    ...{ name: effectsName(name), after, transactional: false },
    handle: async ({ events, signal, progress }) => {
      const seen = registry.upcast(events)
      for (const [index, event] of seen.entries()) {
        signal.throwIfAborted()
        const { id, position, stream, type } = event
        if (Object.hasOwn(effects, type)) {
          const effectId = uuidV5(name, stream, id, type)
          await effects[type]?.(registry.decode(event), { effectId, signal })
        }
        // Several may stand in the place of one stored event: it is done with the last of them.
        if (seen[index + 1]?.position !== position) progress(position)
      }
    },
  }
  return startConsumer(port, worker, options, runtime)
}
