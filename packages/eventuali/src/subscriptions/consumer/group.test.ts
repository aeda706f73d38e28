import { describe, expect, it } from 'vitest'
import { append, optionsOf, runtimeOf, until } from '../../../test/harness/consumer-kit.ts'
import { ConnectionError } from '../../model/index.ts'
import type { EventStore } from '../../ports/index.ts'
import { openMemoryStore } from '../../stores/memory/index.ts'
import { manualClock, wrapStore } from '../../testing/index.ts'
import {
  type Consumer,
  type ConsumerOptions,
  DeadLetters,
  startConsumer,
  Worker,
} from '../index.ts'

// What members of a group do for each other, and with the leases of those that are gone.
const noRetry = { retryCountMax: 0, firstDelayMs: 1, delayMaxMs: 1 }

function start(store: EventStore, options: Partial<ConsumerOptions> = {}): Consumer {
  const runtime = runtimeOf()
  return startConsumer(store, new Worker(store, runtime), optionsOf(options), runtime)
}

describe('a group', () => {
  it('handles each dead letter where its key belongs', async () => {
    const store = await openMemoryStore()
    let isBroken = true
    const done: string[] = []
    const member = (who: string) =>
      start(store, {
        ...{ partitions: 8, retry: noRetry },
        handle: async ({ events }) => {
          if (isBroken) throw new RangeError('planted')
          done.push(...events.map(({ stream }) => `${who} ${stream}`))
        },
      })
    const members = [member('one'), member('two')]
    const owned = (consumer?: Consumer) =>
      new Set(consumer?.partitions().map(({ owner }) => owner)).size === 2
    await until(() => members.every(owned))
    const streams = Array.from({ length: 16 }, (_, n) => `a-${n}`)
    for (const stream of streams) await append(store, stream, { n: 1 })
    const letters = new DeadLetters(store, runtimeOf(), 5000)
    await until(async () => (await letters.list()).length === 16)
    isBroken = false
    await letters.retryAll('test')
    await until(async () => (await letters.list({ state: 'done' })).length === 16)
    expect(done.map((one) => one.split(' ')[1]).sort()).toEqual(streams.toSorted())
    expect(new Set(done.map((one) => one.split(' ')[0])).size).toBe(2)
    await Promise.all(members.map((consumer) => consumer.stop()))
  })

  /** Two members; `fail` stands before the write that gives partitions of the first one back. */
  async function handingOver(fail: () => void) {
    const memory = await openMemoryStore()
    let isShared = false
    const store = wrapStore(memory, {
      records: {
        write: async (next, changes, options) => {
          const isRelease = changes.some(
            ({ kind, value }) =>
              kind === 'partition' && (value as { owner: unknown } | undefined)?.owner === null,
          )
          if (isShared && isRelease) fail()
          return next.write(changes, options)
        },
      },
    })
    const first = start(store, { partitions: 2 })
    await until(() => first.state === 'live')
    isShared = true
    const second = start(memory, { partitions: 2 })
    return { memory, first, second }
  }

  it('hands a partition over once the storage answers', async () => {
    let failures = 0
    const { first, second } = await handingOver(() => {
      if (failures++ < 2) throw new ConnectionError('planted')
    })
    await until(() => failures > 0)
    await until(() => first.state === 'waiting')
    expect(first.reason).toContain('planted')
    await until(() => second.state === 'live')
    await until(() => first.state === 'live')
    expect(first.error).toBe(undefined)
    await Promise.all([first.stop(), second.stop()])
  })

  it('loses a member that cannot hand over for a reason that waiting does not mend', async () => {
    const error = new RangeError('planted')
    const { first, second } = await handingOver(() => {
      throw error
    })
    await expect(first.done).rejects.toBe(error)
    expect(first.state).toBe('failed')
    await second.stop()
  })
})

describe('the lease of a worker that is gone', () => {
  /** A worker that has seen another one be silent for three ttls. */
  async function silent(happen: (memory: EventStore) => Promise<void>) {
    const memory = await openMemoryStore()
    const key = 'gone'
    const value = { beat: 1, ttlMs: 100, subscriptions: ['test'] }
    await memory.transaction((tx) =>
      tx.records.write([{ kind: 'worker', key, expected: 0, value }]),
    )
    const store = wrapStore(memory, {
      transaction: async (next, work, options) => {
        await happen(memory)
        return next.transaction(work, options)
      },
    })
    const clock = manualClock()
    const worker = new Worker(store, runtimeOf(clock))
    await worker.look(0)
    expect(worker.members('test')).toEqual(['gone'])
    await clock.advance(301)
    const there = async () => (await memory.records.get('worker', ['gone']))[0] !== undefined
    return { worker, there }
  }

  it('is left alone when it beats again in that moment', async () => {
    const { worker, there } = await silent(async (memory) => {
      const value = { beat: 2, ttlMs: 100, subscriptions: ['test'] }
      await memory.transaction((tx) =>
        tx.records.write([{ kind: 'worker', key: 'gone', expected: 'any', value }]),
      )
    })
    await worker.look(0)
    expect(await there()).toBe(true)
    await worker.look(0)
    expect(worker.members('test')).toEqual(['gone'])
  })

  it('is removed at a later look when the storage does not answer', async () => {
    const error = new ConnectionError('planted')
    let isDown = true
    const { worker, there } = await silent(async () => {
      if (isDown) throw error
    })
    await expect(worker.look(0)).rejects.toBe(error)
    expect(await there()).toBe(true)
    isDown = false
    await worker.look(0)
    expect(await there()).toBe(false)
    expect(worker.members('test')).toEqual([])
  })
})
