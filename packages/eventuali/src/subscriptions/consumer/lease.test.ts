import { describe, expect, it } from 'vitest'
import { append, optionsOf, runtimeOf, until } from '../../../test/harness/consumer-kit.ts'
import type { EventStore } from '../../ports/index.ts'
import { openMemoryStore } from '../../stores/memory/index.ts'
import { type ManualClock, manualClock, wrapStore } from '../../testing/index.ts'
import { type Consumer, type ConsumerOptions, startConsumer, Worker } from '../index.ts'

const TTL_MS = 1000
const POLL_MS = 100

interface Member {
  readonly clock: ManualClock
  readonly worker: Worker
  readonly consumer: Consumer
}

let seed = 0

function join(store: EventStore, options: Partial<ConsumerOptions> = {}): Member {
  const clock = manualClock(1_000_000 * ++seed)
  const runtime = runtimeOf(clock, seed)
  const worker = new Worker(store, runtime, { ttlMs: TTL_MS })
  const all = optionsOf({ pollIntervalMs: POLL_MS, ...options })
  return { clock, worker, consumer: startConsumer(store, worker, all, runtime) }
}

const owns = ({ consumer, worker }: Member) =>
  consumer.partitions().filter(({ owner }) => owner === worker.id).length

async function pass(ms: number, ...members: readonly Member[]): Promise<void> {
  for (let done = 0; done < ms; done += 10) {
    for (const { clock } of members) await clock.advance(10)
  }
}

describe('the lease', () => {
  it('is taken over exactly when its beat has been seen unchanged for its ttl', async () => {
    const store = await openMemoryStore()
    const first = join(store)
    await until(() => owns(first) === 1)
    const second = join(store)
    await until(() => second.consumer.state === 'standby')
    // Both live: nothing moves, for many ttls.
    await pass(5 * TTL_MS, first, second)
    expect([owns(first), owns(second)]).toEqual([1, 0])
    // The first one freezes. Its last beat was seen up to one poll before.
    let tookMs = 0
    for (; owns(second) === 0 && tookMs < 3 * TTL_MS; tookMs += 10) await pass(10, second)
    expect(tookMs).toBeGreaterThan(TTL_MS / 2)
    expect(tookMs).toBeLessThanOrEqual(TTL_MS + POLL_MS + 10)
    expect(second.consumer.partitions()[0]?.epoch).toBe(2)
    await Promise.all([first.consumer.stop(), second.consumer.stop()])
  })

  it('waits a whole ttl from its own first sight of the owner', async () => {
    const store = await openMemoryStore()
    const first = join(store)
    await until(() => owns(first) === 1)
    const second = join(store)
    await until(() => second.consumer.state === 'standby')
    await pass(TTL_MS - 10, second)
    expect(owns(second)).toBe(0)
    await pass(20, second)
    expect(owns(second)).toBe(1)
    await Promise.all([first.consumer.stop(), second.consumer.stop()])
  })

  it('does not notice wall clocks that jump', async () => {
    const store = await openMemoryStore()
    const first = join(store)
    await until(() => owns(first) === 1)
    const second = join(store)
    await until(() => second.consumer.state === 'standby')
    for (let i = 0; i < 200; i++) {
      const jumpMs = (i % 2 === 0 ? 1 : -1) * 3_600_000 * ((i % 5) + 1)
      const { clock } = i % 3 === 0 ? first : second
      clock.set(clock.now() + jumpMs)
      await pass(50, first, second)
      expect([owns(first), owns(second)]).toEqual([1, 0])
    }
    expect(first.consumer.partitions()[0]?.epoch).toBe(1)
    await Promise.all([first.consumer.stop(), second.consumer.stop()])
  })

  it('lets a stale owner write neither its checkpoint nor its effect', async () => {
    const store = await openMemoryStore()
    let stale = 0
    const handle =
      (who: string): ConsumerOptions['handle'] =>
      async ({ events, tx }) => {
        if (who === 'first') stale += 1
        for (const { position } of events) {
          const effect = { kind: 'effect', key: `${who}-${position}`, expected: 'any' } as const
          await tx?.records.write([{ ...effect, value: position }])
        }
      }
    const first = join(store, { transactional: true, handle: handle('first') })
    await until(() => owns(first) === 1)
    const second = join(store, { transactional: true, handle: handle('second') })
    await until(() => second.consumer.state === 'standby')
    await pass(TTL_MS + POLL_MS, second)
    expect(owns(second)).toBe(1)
    // The first has slept all the while: by its own clock its lease is good.
    expect(first.worker.valid).toBe(true)
    await append(store, 'a-1', { n: 1 })
    await until(() => stale > 0 && second.consumer.position === 1)
    await until(async () => owns(first) === 0)
    const effects = await store.records.list({ kind: 'effect', limit: 9 })
    expect(effects.map(({ key }) => key)).toEqual(['second-1'])
    await Promise.all([first.consumer.stop(), second.consumer.stop()])
  })

  it('keeps a plain handler that outlived its lease from moving the checkpoint', async () => {
    const store = await openMemoryStore()
    const hold = Promise.withResolvers<void>()
    const entered = Promise.withResolvers<void>()
    const first = join(store, {
      handle: async () => {
        entered.resolve()
        await hold.promise
      },
    })
    await append(store, 'a-1', { n: 1 })
    await entered.promise
    const seen: number[] = []
    const second = join(store, {
      handle: async ({ events }) => {
        seen.push(...events.map(({ position }) => position))
      },
    })
    await until(() => second.consumer.state === 'standby')
    await pass(TTL_MS + POLL_MS, second)
    await until(() => seen.length === 1)
    await append(store, 'a-1', { n: 2 })
    await until(() => seen.length === 2)
    await pass(POLL_MS, second)
    hold.resolve()
    await pass(TTL_MS, first)
    expect(owns(first)).toBe(0)
    await first.consumer.stop()
    const [record] = await store.records.list({ kind: 'partition', limit: 1 })
    expect(record?.value).toMatchObject({ owner: second.worker.id, epoch: 2, position: 2 })
    await second.consumer.stop()
  })

  it('moves at once when its owner stops, and standbys do nothing before', async () => {
    const store = await openMemoryStore()
    const first = join(store)
    await until(() => owns(first) === 1)
    const second = join(store)
    await until(() => second.consumer.state === 'standby')
    await first.consumer.stop()
    await until(() => owns(second) === 1)
    await second.consumer.stop()
    expect(await store.records.list({ kind: 'worker', limit: 1 })).toEqual([])
  })

  it('costs eight idle workers at most two commits a second', async () => {
    const memory = await openMemoryStore()
    let commits = 0
    const store = wrapStore(memory, {
      transaction: (next, work, options) => {
        commits += 1
        return next.transaction(work, options)
      },
    })
    const clock = manualClock(0)
    const runtime = runtimeOf(clock, 99)
    const members = Array.from({ length: 8 }, () => {
      const worker = new Worker(store, runtime)
      const options = optionsOf({ partitions: 64, pollIntervalMs: 1000 })
      // Five subscriptions in each of them: the lease is the worker's, not the subscription's.
      const consumers = ['a', 'b', 'c', 'd', 'e'].map((name) =>
        startConsumer(store, worker, { ...options, name }, runtime),
      )
      return { worker, consumers }
    })
    for (let i = 0; i < 30; i++) await clock.advance(1000)
    for (const { worker, consumers } of members) {
      for (const consumer of consumers) {
        const own = consumer.partitions().filter(({ owner }) => owner === worker.id)
        expect(own.length).toBe(8)
      }
    }
    commits = 0
    for (let i = 0; i < 60; i++) await clock.advance(1000)
    expect(commits).toBeGreaterThan(0)
    expect(commits).toBeLessThanOrEqual(120)
    const stopping = members.flatMap(({ consumers }) => consumers.map((one) => one.stop()))
    await Promise.all(stopping)
  })
})
