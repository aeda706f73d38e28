import { describe, expect, it } from 'vitest'
import { append, optionsOf, runtimeOf, until } from '../../../test/harness/consumer-kit.ts'
import { ConnectionError, OutcomeUnknownError } from '../../model/index.ts'
import type { EventStore, RecordChange } from '../../ports/index.ts'
import { openMemoryStore } from '../../stores/memory/index.ts'
import { type StoreHooks, wrapStore } from '../../testing/index.ts'
import {
  type Consumer,
  type ConsumerOptions,
  DeadLetters,
  SubscriptionControl,
  startConsumer,
  Worker,
} from '../index.ts'

// What a consumer does when a write of its records fails, or finds them in other hands.
const noRetry = { retryCountMax: 0, firstDelayMs: 1, delayMaxMs: 1 }
const within = { timeoutMs: 5000 }

function start(store: EventStore, options: Partial<ConsumerOptions> = {}): Consumer {
  const runtime = runtimeOf()
  return startConsumer(store, new Worker(store, runtime), optionsOf(options), runtime)
}

const lettersOf = (store: EventStore) => new DeadLetters(store, runtimeOf(), 5000)
const saved = async (store: EventStore) =>
  (await new SubscriptionControl(store, runtimeOf(), 5000).status('test'))?.partitions[0]?.position

/** A store whose writes of records go by `write` first. */
function writing(inner: EventStore, write: (changes: readonly RecordChange[]) => void): EventStore {
  const hooks: StoreHooks = {
    records: {
      write: async (next, changes, options) => {
        write(changes)
        return next.write(changes, options)
      },
    },
  }
  return wrapStore(inner, hooks)
}

/** Somebody who takes this one for gone has taken its partition, and is gone as well. */
async function takeOver(store: EventStore): Promise<void> {
  await store.transaction(async (tx) => {
    const [record] = await tx.records.lock('partition', ['test/1/0000'])
    const { epoch, ...rest } = (record?.value ?? {}) as { epoch: number }
    const value = { ...rest, epoch: epoch + 1, owner: 'gone' }
    await tx.records.write([{ kind: 'partition', key: 'test/1/0000', expected: 'any', value }])
  })
}

describe('progress that cannot be saved', () => {
  it('shows in the state, and is saved once the storage answers', async () => {
    const memory = await openMemoryStore()
    let isDown = false
    const store = writing(memory, (changes) => {
      if (isDown && changes.some(({ kind }) => kind === 'partition')) {
        throw new ConnectionError('planted')
      }
    })
    const done: number[] = []
    const consumer = start(store, {
      handle: async ({ events }) => {
        done.push(...events.map(({ position }) => position))
      },
    })
    await until(() => consumer.state === 'live')
    isDown = true
    await append(memory, 'a-1', { n: 1 })
    await until(() => consumer.state === 'waiting')
    expect(consumer.reason).toContain('planted')
    // The handler has nothing to do with it.
    await append(memory, 'a-1', { n: 2 })
    await until(() => done.length === 2)
    expect(await saved(memory)).toBe(0)
    isDown = false
    await until(async () => (await saved(memory)) === 2)
    await until(() => consumer.state === 'live')
    expect(consumer.error).toBe(undefined)
    await consumer.stop()
    expect(done).toEqual([1, 2])
  })

  it('does not keep a stop waiting', async () => {
    const memory = await openMemoryStore()
    let isDown = false
    const store = writing(memory, (changes) => {
      if (isDown && changes.some(({ kind }) => kind === 'partition')) {
        throw new ConnectionError('planted')
      }
    })
    const consumer = start(store)
    await until(() => consumer.state === 'live')
    isDown = true
    await append(memory, 'a-1', { n: 1 })
    await until(() => consumer.state === 'waiting')
    await consumer.stop()
    expect(consumer.state).toBe('stopped')
    // It was handled and not saved: the next one handles it again.
    expect(await saved(memory)).toBe(0)
  })

  it('ends the consumer when its store was closed', async () => {
    const store = await openMemoryStore()
    const entered = Promise.withResolvers<void>()
    const hold = Promise.withResolvers<void>()
    const consumer = start(store, {
      transactional: true,
      handle: async () => {
        entered.resolve()
        await hold.promise
      },
    })
    await append(store, 'a-1', { n: 1 })
    await entered.promise
    const closed = store.close()
    hold.resolve()
    await closed
    await consumer.done
    expect(consumer).toMatchObject({ state: 'stopped', error: undefined })
  })

  it('ends it as well when its subscription was removed', async () => {
    const store = await openMemoryStore()
    const consumer = start(store)
    await until(() => consumer.state === 'live')
    await store.transaction((tx) =>
      tx.records.write([
        { kind: 'subscription', key: 'test', expected: 'any' },
        { kind: 'partition', key: 'test/1/0000', expected: 'any' },
      ]),
    )
    await consumer.done
    expect(consumer).toMatchObject({ state: 'stopped', error: undefined })
    expect(await saved(store)).toBe(undefined)
  })
})

describe('an event that is put aside', () => {
  /** A consumer that fails at the first of two events; `port` stands before its store. */
  async function poisoned(make: (memory: EventStore, isParking: () => boolean) => EventStore) {
    const memory = await openMemoryStore()
    let failures = 0
    const seen: number[] = []
    // The next transaction after the handler's failure is the one that parks.
    let parkings = 0
    const counted = writing(memory, (changes) => {
      parkings += changes.filter(({ kind }) => kind === 'letter').length
    })
    const port = make(counted, () => failures === 1)
    const consumer = start(port, {
      ...{ retry: noRetry, maxBatch: 1 },
      handle: async ({ events }) => {
        seen.push(...events.map(({ position }) => position))
        if (events[0]?.position !== 1) return
        failures += 1
        throw new RangeError('planted')
      },
    })
    await append(memory, 'a-1', { n: 1 })
    await append(memory, 'b-1', { n: 2 })
    await consumer.reached(2, within)
    await consumer.stop()
    const letters = await lettersOf(memory).list({ state: 'any' })
    expect(letters.map(({ position, state }) => [position, state])).toEqual([[1, 'parked']])
    expect(await saved(memory)).toBe(2)
    return { seen, parkings }
  }

  const once = (happen: () => Promise<void>) => {
    let isOver = false
    return async () => {
      if (isOver) return
      isOver = true
      await happen()
    }
  }

  it('is put aside once the storage answers', async () => {
    const { seen } = await poisoned((memory, isParking) => {
      const fail = once(async () => {
        throw new ConnectionError('planted')
      })
      return wrapStore(memory, {
        transaction: async (next, work, options) => {
          if (isParking()) await fail()
          return next.transaction(work, options)
        },
      })
    })
    expect(seen).toEqual([1, 2])
  })

  it('is put aside once when the answer was lost', async () => {
    const { seen, parkings } = await poisoned((memory, isParking) => {
      const fail = once(async () => {
        throw new OutcomeUnknownError('the letter')
      })
      return wrapStore(memory, {
        transaction: async (next, work, options) => {
          const isIt = isParking()
          const done = await next.transaction(work, options)
          if (isIt) await fail()
          return done
        },
      })
    })
    expect(parkings).toBe(1)
    expect(seen).toEqual([1, 2])
  })

  it('is left to whoever has taken the partition over meanwhile', async () => {
    const { seen } = await poisoned((memory, isParking) => {
      const take = once(() => takeOver(memory))
      return wrapStore(memory, {
        transaction: async (next, work, options) => {
          if (isParking()) await take()
          return next.transaction(work, options)
        },
      })
    })
    // Tried again by the next owner, which is this one: the other one is gone.
    expect(seen).toEqual([1, 1, 2])
  })
})

describe('a dead letter that is handled again', () => {
  async function parked(onRetry: (consumer: Consumer, store: EventStore) => Promise<void>) {
    const memory = await openMemoryStore()
    let mode: 'broken' | 'well' = 'broken'
    let isFirst = true
    const done: number[] = []
    const consumer: Consumer = start(memory, {
      retry: noRetry,
      handle: async ({ events, retried }) => {
        if (mode === 'broken') throw new RangeError('planted')
        if (retried && isFirst) {
          isFirst = false
          await onRetry(consumer, memory)
        }
        done.push(...events.map(({ position }) => position))
      },
    })
    await append(memory, 'a-1', { n: 1 }, { n: 2 })
    await consumer.reached(2, within)
    mode = 'well'
    const letters = lettersOf(memory)
    await letters.retryAll('test')
    return { memory, consumer, letters, done }
  }

  it('by one that has lost its partition is not taken for done', async () => {
    const { consumer, letters, done } = await parked((_, store) => takeOver(store))
    await until(async () => (await letters.list({ state: 'done' })).length === 2)
    // The first one again: what its stale owner did was not recorded.
    expect(done).toEqual([1, 1, 2])
    expect(consumer.partitions()[0]?.epoch).toBe(3)
    await consumer.stop()
  })

  it('and does not end before a stop is done by the next process', async () => {
    let stopped: Promise<void> | undefined
    const { memory, letters, done } = await parked(async (consumer) => {
      stopped = consumer.stop()
      throw new Error('told to stop')
    })
    await until(() => stopped !== undefined)
    await stopped
    expect((await letters.list({ state: 'requested' })).map(({ position }) => position)).toEqual([
      1,
    ])
    const next = start(memory, {
      handle: async ({ events }) => {
        done.push(...events.map(({ position }) => position))
      },
    })
    await until(async () => (await letters.list({ state: 'done' })).length === 2)
    expect(done).toEqual([1, 2])
    await next.stop()
  })

  it('ends the consumer at an error that waiting does not mend', async () => {
    const memory = await openMemoryStore()
    const error = new RangeError('planted by the storage')
    let isBroken = false
    const store = wrapStore(memory, {
      readLog: (next, query, options) => {
        if (isBroken && query.includeArchived === true) throw error
        return next.readLog(query, options)
      },
    })
    const consumer = start(store, {
      retry: noRetry,
      handle: async () => {
        throw new Error('planted')
      },
    })
    await append(memory, 'a-1', { n: 1 })
    await consumer.reached(1, within)
    isBroken = true
    await lettersOf(memory).retryAll('test')
    await expect(consumer.done).rejects.toBe(error)
    expect(consumer).toMatchObject({ state: 'failed', error })
  })
})
