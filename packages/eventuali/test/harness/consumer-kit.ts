import { setTimeout as wait } from 'node:timers/promises'
import { expect } from 'vitest'
import { type Clock, seededRandom, systemClock, uuidV7Source } from '../../src/kernel/index.ts'
import type { EventStore, NewEvent } from '../../src/ports/index.ts'
import type { ConsumerOptions, ConsumerRuntime } from '../../src/subscriptions/consumer-options.ts'

let serial = 0
let seeds = 0

/** What consumers in tests run on; ids that no other has, unless the seed is given. */
export function runtimeOf(clock: Clock = systemClock, seed = ++seeds): ConsumerRuntime {
  const random = seededRandom(seed)
  return { clock, random, ids: uuidV7Source(clock, random) }
}

/** Options that are quick, with a handler that does nothing. */
export function optionsOf(options: Partial<ConsumerOptions> = {}): ConsumerOptions {
  return {
    ...{ name: 'test', filter: {}, after: 0, partitions: 1, keyLabel: 'stream', maxBatch: 100 },
    ...{ transactional: false, handle: async () => {}, concurrency: 4, onPoison: 'park-key' },
    ...{ pollIntervalMs: 20, timeoutMs: 5000, checkpointIntervalMs: 5 },
    retry: { retryCountMax: 2, firstDelayMs: 1, delayMaxMs: 2 },
    ...options,
  }
}

export function newEvent(type: string, data: object = {}): NewEvent {
  return {
    ...{ id: `e${++serial}`, idGiven: false, type, data: data as never, metadata: {} },
    ...{ time: 0, schemaVersion: 1, tags: [] },
  }
}

/** Appends one event for each data to a stream. */
export async function append(
  store: Pick<EventStore, 'append'>,
  stream: string,
  ...data: readonly object[]
): Promise<readonly number[]> {
  const events = data.map((one) => newEvent('T', one))
  const outcome = await store.append({ entries: [{ stream, expectedVersion: 'any', events }] })
  if (!outcome.ok) throw new Error(outcome.reason)
  return outcome.entries.flatMap(({ positions }) => positions)
}

export async function until(holds: () => boolean | Promise<boolean>, ms = 5000): Promise<void> {
  const end = performance.now() + ms
  while (!(await holds()) && performance.now() < end) await wait(2)
  expect(await holds()).toBe(true)
}
