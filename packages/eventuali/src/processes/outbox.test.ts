import { afterEach, describe, expect, it } from 'vitest'
import { describeStores } from '../../test/harness/adapter-stores.ts'
import { memoryBroker } from '../testing/index.ts'
import { defineOutbox, startOutbox } from './outbox.ts'
import { orders, Program, saga, start, until, wallClock } from './saga.test-support.ts'

const stops: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

const retry = { retryCountMax: 2, firstDelayMs: 1, delayMaxMs: 2 }
const placed = (total: number) => orders.OrderPlaced({ total, sku: 'tea' })

describeStores('an outbox', ({ open }) => {
  it('delivers at least once, with stable ids, in order for each key', async () => {
    const store = await open()
    const program = new Program(store, [saga()], wallClock(start), { ttlMs: 200 })
    const taken: { id: string; key: string; total: number }[] = []
    let calls = 0
    const outbox = defineOutbox({
      name: 'mails',
      from: { types: ['OrderPlaced'] },
      after: 0,
      maxBatch: 3,
      retry: { ...retry, retryCountMax: 100 },
      deliver: (messages) => {
        calls += 1
        for (const [index, { id, key, event }] of messages.entries()) {
          // Every third call breaks off in the midst of its messages.
          if (calls % 3 === 0 && index === messages.length - 1) throw new Error('broke off')
          taken.push({ id, key, total: (event.data as { total: number }).total })
        }
      },
    })
    for (let total = 1; total <= 12; total++) {
      await program.append(`order-${total % 3}`, placed(total))
    }
    const consumer = await startOutbox(store, program.worker, outbox, program.runtime)
    stops.push(
      () => consumer.stop(),
      () => program.stop(),
    )
    const { newest } = await store.positions()
    await consumer.reached(newest, { timeoutMs: 20_000 })
    const firsts = [...new Map(taken.map((message) => [message.id, message])).values()]
    expect(firsts).toHaveLength(12)
    for (const key of ['order-0', 'order-1', 'order-2']) {
      const totals = firsts.filter((message) => message.key === key).map(({ total }) => total)
      expect(totals).toEqual([...totals].sort((a, b) => a - b))
      expect(totals).toHaveLength(4)
    }
    const byId = new Map<string, number>()
    for (const { id, total } of taken) {
      expect(byId.get(id) ?? total).toBe(total)
      byId.set(id, total)
    }
  })

  it('publishes to a broker again what it may not have taken, under the same ids', async () => {
    const store = await open()
    const program = new Program(store, [saga()], wallClock(start), { ttlMs: 200 })
    const broker = memoryBroker()
    broker.fail(1, 'after')
    const rules = { after: 0, maxBatch: 4, retry } as const
    const outbox = defineOutbox({ name: 'out', broker, topic: 'orders', ...rules })
    for (let total = 1; total <= 8; total++) await program.append('order-1', placed(total))
    const consumer = await startOutbox(store, program.worker, outbox, program.runtime)
    stops.push(
      () => consumer.stop(),
      () => program.stop(),
    )
    await consumer.reached((await store.positions()).newest, { timeoutMs: 20_000 })
    expect(broker.published.length).toBeGreaterThan(8)
    expect(broker.messages.map(({ payload }) => (payload as { total: number }).total)).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8,
    ])
  })

  it('parks what nobody takes, and lets other keys pass', async () => {
    const store = await open()
    const program = new Program(store, [saga()], wallClock(start), { ttlMs: 200 })
    const taken: string[] = []
    const outbox = defineOutbox({
      name: 'mails',
      retry,
      deliver: (messages) => {
        for (const { event } of messages) {
          if (event.stream === 'order-bad') throw new Error('no such address')
          taken.push(event.stream)
        }
      },
    })
    await program.append('order-early', placed(1))
    const consumer = await startOutbox(store, program.worker, outbox, program.runtime)
    stops.push(
      () => consumer.stop(),
      () => program.stop(),
    )
    for (const name of ['order-1', 'order-bad', 'order-2', 'order-bad']) {
      await program.append(name, placed(1))
    }
    await consumer.reached((await store.positions()).newest, { timeoutMs: 20_000 })
    await until(() => taken.includes('order-2'), 'delivered')
    expect(new Set(taken)).toEqual(new Set(['order-1', 'order-2']))
    const letters = await store.records.list({ kind: 'letter', limit: 10 })
    expect(letters).toHaveLength(2)
  })
})

describe('defineOutbox', () => {
  it('hands messages to a broker under a topic, and wants one way out', async () => {
    const broker = memoryBroker()
    const { deliver } = defineOutbox({ name: 'out', broker, topic: ({ type }) => `t.${type}` })
    const event = {
      ...{ id: 'e', stream: 'order-1', version: 1, position: 7, type: 'OrderPlaced' },
      ...{ data: { total: 1 }, metadata: { correlationId: 'c' }, schemaVersion: 1, tags: [] },
      ...{ time: new Date(5), recordedAt: new Date(6) },
    }
    const signal = new AbortController().signal
    await deliver([{ id: 'm', key: 'k', event }], { attempt: 0, signal })
    expect(broker.messages).toEqual([
      {
        ...{ id: 'm', key: 'k', type: 'OrderPlaced', topic: 't.OrderPlaced', time: 5 },
        payload: { total: 1 },
        headers: {
          'event-id': 'e',
          stream: 'order-1',
          version: '1',
          position: '7',
          'schema-version': '1',
          'correlation-id': 'c',
        },
      },
    ])
    expect(() => defineOutbox({ name: 'x' } as never)).toThrow(/either deliver or a broker/)
  })
})
