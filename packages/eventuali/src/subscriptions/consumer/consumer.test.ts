import { describe, expect, it } from 'vitest'
import { append, optionsOf, runtimeOf, until } from '../../../test/harness/consumer-kit.ts'
import type { RecordedEvent } from '../../model/index.ts'
import { openMemoryStore } from '../../stores/memory/index.ts'
import { startConsumer, Worker } from '../index.ts'

const numbers = (events: readonly RecordedEvent[]) =>
  events.map(({ data }) => (data as { n: number }).n)

describe('startConsumer', () => {
  it('handles what is there and what comes, and goes on at its checkpoint', async () => {
    const store = await openMemoryStore()
    const runtime = runtimeOf()
    const worker = new Worker(store, runtime)
    const seen: number[] = []
    const handle = async ({ events }: { events: readonly RecordedEvent[] }) => {
      seen.push(...numbers(events))
    }
    await append(store, 'a-1', { n: 1 }, { n: 2 })
    const first = startConsumer(store, worker, optionsOf({ handle }), runtime)
    await until(() => seen.length === 2)
    await append(store, 'a-1', { n: 3 })
    await first.reached(3, { timeoutMs: 1000 })
    await until(() => first.state === 'live')
    await first.stop()
    expect(first.state).toBe('stopped')
    await append(store, 'a-1', { n: 4 })
    const second = startConsumer(store, worker, optionsOf({ handle }), runtime)
    await until(() => seen.length === 4)
    await second.stop()
    expect(seen).toEqual([1, 2, 3, 4])
  })

  it('moves the checkpoint in the transaction of the handler', async () => {
    const store = await openMemoryStore()
    const runtime = runtimeOf()
    const worker = new Worker(store, runtime)
    let failures = 1
    const consumer = startConsumer(
      store,
      worker,
      optionsOf({
        transactional: true,
        handle: async ({ events, tx }) => {
          for (const { position } of events) {
            const key = String(position)
            await tx?.records.write([{ kind: 'effect', key, expected: 0, value: position }])
          }
          if (failures-- > 0) throw new Error('once')
        },
      }),
      runtime,
    )
    await append(store, 'a-1', { n: 1 }, { n: 2 }, { n: 3 })
    await until(async () => (await store.records.list({ kind: 'effect', limit: 9 })).length === 3)
    await consumer.stop()
    expect(consumer.position).toBe(3)
  })

  it('shares the partitions of a group among its workers, and hands over at a stop', async () => {
    const store = await openMemoryStore()
    const runtime = runtimeOf()
    const options = optionsOf({ partitions: 8 })
    const [one, two] = [0, 1].map(() =>
      startConsumer(store, new Worker(store, runtime), options, runtime),
    )
    const owned = (consumer = one) => {
      const infos = consumer?.partitions() ?? []
      const ids = new Set(infos.map(({ owner }) => owner))
      return ids.size === 2 && infos.every(({ owner }) => owner !== undefined)
    }
    await until(() => owned(one) && owned(two))
    await one?.stop()
    await until(() => new Set(two?.partitions().map(({ owner }) => owner)).size === 1)
    await two?.stop()
  })
})
