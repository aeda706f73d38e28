import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { append, optionsOf, runtimeOf, until } from '../../../test/harness/consumer-kit.ts'
import { ConnectionError, type RecordedEvent } from '../../model/index.ts'
import type { EventStore } from '../../ports/index.ts'
import { openMemoryStore } from '../../stores/memory/index.ts'
import { wrapStore } from '../../testing/index.ts'
import {
  type Consumer,
  type ConsumerOptions,
  SubscriptionControl,
  startConsumer,
  Worker,
} from '../index.ts'

const label = ({ stream, data }: RecordedEvent) => `${stream}:${(data as { n: number }).n}`

function start(store: EventStore, options: Partial<ConsumerOptions>): Consumer {
  const runtime = runtimeOf()
  return startConsumer(store, new Worker(store, runtime), optionsOf(options), runtime)
}

function recording(): { readonly done: string[]; readonly handle: ConsumerOptions['handle'] } {
  const done: string[] = []
  return {
    done,
    handle: async ({ events }) => {
      done.push(...events.map(label))
    },
  }
}

describe('a running consumer', () => {
  it('waits while the storage does not answer, for as long as it takes', async () => {
    const memory = await openMemoryStore()
    let down = false
    const guard = () => {
      if (down) throw new ConnectionError('planted')
    }
    const wrapped = wrapStore(memory, {
      transaction: async (next, work, options) => {
        guard()
        return next.transaction(work, options)
      },
      positions: async (next, options) => {
        guard()
        return next.positions(options)
      },
    })
    const records: EventStore['records'] = {
      get: async (kind, keys) => {
        guard()
        return memory.records.get(kind, keys)
      },
      list: async (query) => {
        guard()
        return memory.records.list(query)
      },
    }
    const store = { ...wrapped, records }
    const { done, handle } = recording()
    for (const transactional of [true, false]) {
      const name = String(transactional)
      const consumer = start(store, { name, handle, transactional, retry: noRetry })
      await append(memory, 'a-1', { n: 1 })
      await until(() => consumer.state === 'live')
      down = true
      await until(() => consumer.state === 'waiting')
      expect(consumer.error).toBeInstanceOf(ConnectionError)
      expect(consumer.reason).toContain('planted')
      const before = done.length
      await append(memory, 'a-1', { n: 2 })
      await wait(100)
      down = false
      await until(() => done.length > before && consumer.state === 'live')
      expect(consumer.error).toBeUndefined()
      await consumer.stop()
    }
    expect(await memory.records.list({ kind: 'letter', limit: 1 })).toEqual([])
  })

  it('never counts a store that does not answer as the handler’s failure', async () => {
    const store = await openMemoryStore()
    let failures = 20
    const done: string[] = []
    const consumer = start(store, {
      retry: noRetry,
      handle: async ({ events }) => {
        if (failures-- > 15) throw new ConnectionError('another database')
        done.push(...events.map(label))
      },
    })
    await append(store, 'a-1', { n: 1 })
    await until(() => consumer.state === 'waiting')
    await until(() => done.length === 1)
    expect(await store.records.list({ kind: 'letter', limit: 1 })).toEqual([])
    await consumer.stop()
  })

  it('holds here by itself and everywhere by the record, and goes on', async () => {
    const store = await openMemoryStore()
    const control = new SubscriptionControl(store, runtimeOf(), 5000)
    const { done, handle } = recording()
    const consumer = start(store, { handle })
    await until(() => consumer.state === 'live')
    consumer.pause()
    await append(store, 'a-1', { n: 1 })
    await wait(50)
    expect(consumer.state).toBe('paused')
    expect(done).toEqual([])
    consumer.resume()
    await until(() => done.length === 1)
    await control.pause('test', { reason: 'night', actor: 'eva' })
    await until(() => consumer.state === 'paused')
    expect(consumer.reason).toBe('night')
    await append(store, 'a-1', { n: 2 })
    await wait(50)
    expect(done.length).toBe(1)
    expect((await control.status('test'))?.paused).toBe('night')
    await control.resume('test')
    await until(() => done.length === 2)
    await consumer.stop()
  })

  it('refuses a checkpoint that belongs to another log, until it is reset', async () => {
    const store = await openMemoryStore()
    const control = new SubscriptionControl(store, runtimeOf(), 5000)
    const { done, handle } = recording()
    await append(store, 'a-1', { n: 1 }, { n: 2 })
    const first = start(store, { handle })
    await first.reached(2, { timeoutMs: 1000 })
    await first.stop()
    const restored = { ...wrapStore(store, {}), incarnation: 'another' }
    const second = start(restored, { handle })
    await expect(second.done).rejects.toMatchObject({ code: 'LOG_CHANGED' })
    expect(second.state).toBe('failed')
    await control.reset('test', 99)
    const third = start(store, { handle })
    await expect(third.done).rejects.toMatchObject({ code: 'LOG_CHANGED' })
    await control.reset('test', 1)
    const fourth = start(store, { handle })
    await until(() => done.length === 3)
    expect(done).toEqual(['a-1:1', 'a-1:2', 'a-1:2'])
    await fourth.stop()
  })

  it('refuses another kind of key, and options that make no sense', async () => {
    const store = await openMemoryStore()
    const first = start(store, {})
    await until(() => first.state === 'live')
    await first.stop()
    const second = start(store, { keyLabel: 'tag:course' })
    await expect(second.done).rejects.toMatchObject({ code: 'SUBSCRIPTION_CHANGED' })
    for (const wrong of [{ name: '' }, { partitions: 0 }, { maxBatch: 0 }, { after: -1 }]) {
      expect(() => start(store, wrong)).toThrow(/ARGUMENT|must/)
    }
  })

  it('changes its number of partitions without losing or repeating an event', async () => {
    const store = await openMemoryStore()
    const control = new SubscriptionControl(store, runtimeOf(), 5000)
    const { done, handle } = recording()
    const members = [0, 1].map(() => start(store, { handle, partitions: 4 }))
    for (let round = 1; round <= 4; round++) {
      for (let s = 0; s < 10; s++) await append(store, `s-${s}`, { n: round })
      if (round < 4) await control.repartition('test', [7, 1, 16][round - 1] ?? 1)
      await until(() => done.length === round * 10)
    }
    await until(async () => (await control.status('test'))?.partitions.length === 16)
    for (let s = 0; s < 10; s++) {
      const own = done.filter((one) => one.startsWith(`s-${s}:`))
      expect(own).toEqual([1, 2, 3, 4].map((n) => `s-${s}:${n}`))
    }
    await Promise.all(members.map((one) => one.stop()))
    expect((await store.records.list({ kind: 'partition', limit: 99 })).length).toBe(16)
  })

  it('bounds what waits for a slow handler, by count and by bytes', async () => {
    const store = await openMemoryStore()
    const text = 'x'.repeat(10_000)
    for (let i = 0; i < 20; i++) {
      await append(store, `s-${i % 4}`, ...Array.from({ length: 100 }, (_, n) => ({ n, text })))
    }
    for (const bound of [{ bufferCountMax: 50 }, { bufferBytesMax: 500_000 }]) {
      let most = 0
      let handled = 0
      const consumer = start(store, {
        ...{ name: JSON.stringify(bound), maxBatch: 10, ...bound },
        handle: async ({ events }) => {
          handled += events.length
          await wait(1)
          const [lane] = consumer.partitions()
          most = Math.max(most, lane?.buffered ?? 0)
        },
      })
      await until(() => handled === 2000, 20_000)
      expect(most).toBeGreaterThan(10)
      // The bound and the page that went over it.
      expect(most).toBeLessThanOrEqual(70)
      await consumer.stop()
    }
  })

  it('does not let a slow key keep the others waiting', async () => {
    const store = await openMemoryStore()
    const slow = Promise.withResolvers<void>()
    const { done, handle } = recording()
    await append(store, 'slow-1', ...Array.from({ length: 2000 }, (_, n) => ({ n })))
    await append(store, 'quick-1', { n: 1 })
    const consumer = start(store, {
      ...{ partitions: 16, bufferCountMax: 200 },
      handle: async (batch) => {
        if (batch.events.some(({ stream }) => stream === 'slow-1')) await slow.promise
        await handle(batch)
      },
    })
    await until(() => done.includes('quick-1:1'), 20_000)
    expect(done.length).toBe(1)
    slow.resolve()
    await until(() => done.length === 2001, 20_000)
    const own = done.filter((one) => one.startsWith('slow'))
    expect(own).toEqual(Array.from({ length: 2000 }, (_, n) => `slow-1:${n}`))
    await consumer.stop()
  })

  it('saves its progress past events that are not for it, seldom', async () => {
    const store = await openMemoryStore()
    const consumer = start(store, { filter: { types: ['Never'] } })
    await append(store, 'a-1', { n: 1 }, { n: 2 })
    await consumer.reached(2, { timeoutMs: 1000 })
    await consumer.stop()
    const control = new SubscriptionControl(store, runtimeOf(), 5000)
    expect((await control.status('test'))?.position).toBe(2)
    await control.drop('test')
    expect(await control.status('test')).toBeUndefined()
    expect(await store.records.list({ kind: 'partition', limit: 1 })).toEqual([])
    await expect(control.pause('test')).rejects.toMatchObject({ code: 'SUBSCRIPTION_UNKNOWN' })
  })
})

const noRetry = { retryCountMax: 0, firstDelayMs: 1, delayMaxMs: 1 }
