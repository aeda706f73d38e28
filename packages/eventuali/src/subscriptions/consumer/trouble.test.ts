import { describe, expect, it } from 'vitest'
import { append, optionsOf, runtimeOf, until } from '../../../test/harness/consumer-kit.ts'
import {
  ConnectionError,
  OutcomeUnknownError,
  RecordConflictError,
  StorageError,
  TransactionTimeoutError,
} from '../../model/index.ts'
import type { EventStore } from '../../ports/index.ts'
import { openMemoryStore } from '../../stores/memory/index.ts'
import { wrapStore } from '../../testing/index.ts'
import {
  type Consumer,
  type ConsumerOptions,
  DeadLetters,
  SubscriptionControl,
  startConsumer,
  Worker,
} from '../index.ts'
import { isCommitTrouble, isHandlerTrouble, isPassing } from './trouble.ts'

function start(
  store: EventStore,
  options: Partial<ConsumerOptions> = {},
  runtime = runtimeOf(),
): Consumer {
  return startConsumer(store, new Worker(store, runtime), optionsOf(options), runtime)
}

const noRetry = { retryCountMax: 0, firstDelayMs: 1, delayMaxMs: 1 }

describe('whose fault an error is', () => {
  const connection = new ConnectionError('planted')
  const unknown = new OutcomeUnknownError('the append', { cause: connection })
  const storage = new StorageError('a read', { cause: connection })
  const conflict = new RecordConflictError('partition', 'x')
  const slow = new TransactionTimeoutError(5)
  const bug = new RangeError('planted')

  it.each([
    ['a lost connection', connection, { handler: true, commit: true, passing: true }],
    ['an unknown outcome', unknown, { handler: true, commit: true, passing: true }],
    ['storage that fails', storage, { handler: false, commit: false, passing: true }],
    ['a changed record', conflict, { handler: false, commit: false, passing: true }],
    ['a slow transaction', slow, { handler: false, commit: false, passing: slow.retryable }],
    ['a bug', bug, { handler: false, commit: false, passing: false }],
  ])('%s', (_what, error, expected) => {
    const found = {
      handler: isHandlerTrouble(error),
      commit: isCommitTrouble(error),
      passing: isPassing(error),
    }
    expect(found).toEqual(expected)
  })
})

describe('a transactional handler that is slower than its transaction', () => {
  it('fails as a handler does: its event is parked, the next one goes on', async () => {
    const store = await openMemoryStore()
    const done: number[] = []
    const consumer = start(store, {
      ...{ transactional: true, timeoutMs: 40, maxBatch: 1 },
      retry: noRetry,
      handle: async ({ events, tx, signal }) => {
        const [event] = events
        if (event?.position === 1) {
          await new Promise((resolve) => {
            signal.addEventListener('abort', resolve)
            setTimeout(resolve, 200)
          })
        }
        await tx?.records.get('effect', ['x'])
        done.push(...events.map(({ position }) => position))
      },
    })
    await append(store, 'a-1', { n: 1 })
    await append(store, 'b-1', { n: 2 })
    await consumer.reached(2, { timeoutMs: 5000 })
    expect(done).toEqual([2])
    const letters = new DeadLetters(store, runtimeOf(), 5000)
    expect((await letters.list()).map(({ position }) => position)).toEqual([1])
    await consumer.stop()
  })
})

describe('a store that is closed under a consumer', () => {
  it('ends it as a stop does', async () => {
    const store = await openMemoryStore()
    const consumer = start(store)
    await until(() => consumer.state === 'live')
    await store.close()
    await consumer.done
    expect(consumer.state).toBe('stopped')
    expect(consumer.error).toBe(undefined)
  })
})

describe('a dead letter', () => {
  it('waits for a store that does not answer, and is handled once it does', async () => {
    const memory = await openMemoryStore()
    let isDown = false
    let tries = 0
    const store = wrapStore(memory, {
      readLog: (next, query, options) => {
        if (isDown && query.includeArchived === true) {
          tries++
          throw new ConnectionError('planted')
        }
        return next.readLog(query, options)
      },
    })
    let isBroken = true
    const done: number[] = []
    const consumer = start(store, {
      retry: noRetry,
      handle: async ({ events }) => {
        if (isBroken) throw new RangeError('planted')
        done.push(...events.map(({ position }) => position))
      },
    })
    await append(memory, 'a-1', { n: 1 }, { n: 2 })
    await consumer.reached(2, { timeoutMs: 5000 })
    const letters = new DeadLetters(store, runtimeOf(), 5000)
    isBroken = false
    isDown = true
    await letters.retryAll('test')
    await until(() => tries >= 2)
    expect(consumer.state).toBe('waiting')
    expect(done).toEqual([])
    isDown = false
    await until(async () => (await letters.list({ state: 'done' })).length === 2)
    expect(done).toEqual([1, 2])
    expect(await letters.list({ state: 'parked' })).toEqual([])
    await consumer.stop()
  })

  it('whose handler finds no store stays asked for; alone it goes on alone', async () => {
    const store = await openMemoryStore()
    let mode: 'broken' | 'away' | 'well' = 'broken'
    const done: number[] = []
    const consumer = start(store, {
      onPoison: 'park',
      retry: noRetry,
      handle: async ({ events }) => {
        if (mode === 'broken') throw new RangeError('planted')
        if (mode === 'away') throw new ConnectionError('another database')
        done.push(...events.map(({ position }) => position))
      },
    })
    await append(store, 'a-1', { n: 1 }, { n: 2 })
    await consumer.reached(2, { timeoutMs: 5000 })
    const letters = new DeadLetters(store, runtimeOf(), 5000)
    const [first, second] = await letters.list()
    expect([first?.position, second?.position]).toEqual([1, 2])
    mode = 'away'
    await letters.retry(second?.id ?? '')
    await until(() => consumer.state === 'waiting')
    expect((await letters.get(second?.id ?? ''))?.state).toBe('requested')
    mode = 'well'
    await until(async () => (await letters.get(second?.id ?? ''))?.state === 'done')
    expect(done).toEqual([2])
    expect((await letters.get(first?.id ?? ''))?.state).toBe('parked')
    await consumer.stop()
  })
})

describe('a key whose only dead letter was given up', () => {
  it.each([true, false])('goes on with its next event, transactional %s', async (transactional) => {
    const store = await openMemoryStore()
    let isBroken = true
    const done: number[] = []
    const consumer = start(store, {
      transactional,
      retry: noRetry,
      handle: async ({ events }) => {
        if (isBroken) throw new RangeError('planted')
        done.push(...events.map(({ position }) => position))
      },
    })
    await append(store, 'a-1', { n: 1 })
    await consumer.reached(1, { timeoutMs: 5000 })
    const letters = new DeadLetters(store, runtimeOf(), 5000)
    const [letter] = await letters.list()
    await letters.discard(letter?.id ?? '', { reason: 'a test' })
    isBroken = false
    await append(store, 'a-1', { n: 2 })
    await consumer.reached(2, { timeoutMs: 5000 })
    expect(done).toEqual([2])
    expect(await letters.list()).toEqual([])
    await consumer.stop()
  })
})

describe('a stopped subscription', () => {
  it('names the reason in words while its partition stands', async () => {
    const store = await openMemoryStore()
    const consumer = start(store, {
      onPoison: 'stop',
      retry: noRetry,
      handle: async () => {
        throw new RangeError('planted')
      },
    })
    await append(store, 'a-1', { n: 1 })
    await until(() => consumer.state === 'failed')
    expect(consumer.reason).toBe('RangeError: planted')
    const other = start(store)
    await until(() => other.state === 'failed')
    expect(other.reason).toBe('RangeError: planted')
    expect(other.error).toBe(undefined)
    const control = new SubscriptionControl(store, runtimeOf(), 5000)
    expect((await control.status('test'))?.partitions[0]?.stopped).toBe('RangeError: planted')
    await Promise.all([consumer.stop(), other.stop()])
  })
})

describe('options', () => {
  it.each([
    ['onPoison', { onPoison: 'ignore' as never }],
    ['maxBatch', { maxBatch: 0 }],
    ['concurrency', { concurrency: 1.5 }],
    ['after', { after: -1 }],
    ['after', { after: 'start' as never }],
    ['partitions', { partitions: 0 }],
    ['bufferBytesMax', { bufferBytesMax: 0 }],
  ])('refuse a bad %s', async (argument, options) => {
    const store = await openMemoryStore()
    const refused = expect.objectContaining({ code: 'ARGUMENT_INVALID', argument })
    expect(() => start(store, options)).toThrow(refused)
  })

  it('of a worker that has joined nothing make it a member of nothing', async () => {
    const store = await openMemoryStore()
    const one = new Worker(store, runtimeOf())
    const other = new Worker(store, runtimeOf())
    await one.join('test')
    await other.look(0)
    expect(other.members('test')).toEqual([one.id])
    expect(one.members('test')).toEqual([one.id])
    expect(other.members('none')).toEqual([])
    await one.leave('none')
    await one.stop()
    await other.look(0)
    expect(other.members('test')).toEqual([])
    await other.stop()
  })

  it('of any number of other workers are read in pages', async () => {
    const store = await openMemoryStore()
    const others = Array.from({ length: 2001 }, (_, n) => `w${String(n).padStart(5, '0')}`)
    const value = { beat: 1, ttlMs: 60_000, subscriptions: ['test'] }
    const changes = others.map((key) => ({ kind: 'worker', key, expected: 0 as const, value }))
    await store.transaction((tx) => tx.records.write(changes))
    const worker = new Worker(store, runtimeOf())
    await worker.look(0)
    expect(worker.members('test')).toEqual(others)
  })

  it('of a worker have a ttl of at least 100 ms', async () => {
    const store = await openMemoryStore()
    for (const ttlMs of [99, Number.NaN]) {
      expect(() => new Worker(store, runtimeOf(), { ttlMs })).toThrow(/at least 100/)
    }
    expect(new Worker(store, runtimeOf(), { ttlMs: 100 }).ttlMs).toBe(100)
  })
})
