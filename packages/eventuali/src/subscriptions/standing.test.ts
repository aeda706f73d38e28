import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { append, runtimeOf, until } from '../../test/harness/consumer-kit.ts'
import { ConnectionError, type RecordedEvent } from '../model/index.ts'
import type { EventStore, StoreTransaction } from '../ports/index.ts'
import { openMemoryStore } from '../stores/memory/index.ts'
import { wrapStore } from '../testing/index.ts'
import { Handover } from './handover.ts'
import {
  type BatchHandler,
  type DurableHandler,
  type DurableOptions,
  DurableSubscription,
  type EventHandler,
  type SubscribeOptions,
  Subscription,
  Worker,
} from './index.ts'

// How subscriptions of both kinds stand before they run, while they are held, and at their end.
interface Ends {
  count: number
}

function durable(
  store: EventStore,
  options: Partial<DurableOptions> = {},
  handler?: DurableHandler<RecordedEvent, StoreTransaction>,
  ends: Ends = { count: 0 },
): DurableSubscription {
  const runtime = runtimeOf()
  const onEnd = () => {
    ends.count++
  }
  return new DurableSubscription<RecordedEvent, StoreTransaction>(
    store,
    new Worker(store, runtime),
    { name: 'test', retry: { retryCountMax: 0 }, pollIntervalMs: 20, ...options },
    handler,
    { ...runtime, map: (events) => events, wrap: (tx) => tx, timeoutMs: 5000, onEnd },
  )
}

function plain(
  store: Pick<EventStore, 'readLog' | 'positions' | 'watch'>,
  options: SubscribeOptions = {},
  handler?: EventHandler<RecordedEvent> | BatchHandler<RecordedEvent>,
  ends: Ends = { count: 0 },
): Subscription {
  return new Subscription<RecordedEvent>(store, { pollIntervalMs: 20, ...options }, handler, {
    ...runtimeOf(),
    map: (events) => events,
    onEnd: () => {
      ends.count++
    },
  })
}

describe('a durable subscription', () => {
  it('without a handler stands at the start until a loop begins', async () => {
    const store = await openMemoryStore()
    const ends = { count: 0 }
    const loop = durable(store, {}, undefined, ends)
    expect([loop.state, loop.position, loop.partitions()]).toEqual(['catching-up', 0, []])
    expect([loop.error, loop.reason]).toEqual([undefined, undefined])
    await expect(loop.reached(1)).rejects.toMatchObject({ argument: 'subscription' })
    loop.pause()
    expect(loop.state).toBe('paused')
    loop.resume()
    expect(loop.state).toBe('catching-up')
    await loop.stop()
    expect(loop.state).toBe('stopped')
    await loop.done
    expect(ends.count).toBe(1)
    for await (const event of loop) throw new Error(`not after a stop: ${event.type}`)
  })

  it('stays held when it was held before its loop began', async () => {
    const store = await openMemoryStore()
    await append(store, 'a-1', { n: 1 })
    const loop = durable(store)
    loop.pause()
    const next = loop[Symbol.asyncIterator]().next()
    await until(() => loop.state === 'paused')
    expect(loop.position).toBe(0)
    loop.resume()
    expect((await next).value).toMatchObject({ position: 1 })
    const again = loop[Symbol.asyncIterator]().next()
    await expect(again).rejects.toMatchObject({ argument: 'subscription' })
    await loop.stop()
  })

  it('does not begin under a signal that is aborted, and ends with one', async () => {
    const store = await openMemoryStore()
    await append(store, 'a-1', { n: 1 })
    const seen: number[] = []
    const ends = { count: 0 }
    const handler = ({ position }: RecordedEvent) => seen.push(position)
    const never = durable(store, { signal: AbortSignal.abort() }, handler, ends)
    expect(never.state).toBe('stopped')
    await never.done
    const abort = new AbortController()
    const running = durable(store, { signal: abort.signal }, handler, ends)
    await running.reached(1, { timeoutMs: 2000 })
    abort.abort()
    await running.done
    expect([running.state, seen, ends.count]).toEqual(['stopped', [1], 2])
    await running[Symbol.asyncDispose]()
    expect(ends.count).toBe(2)
  })

  it('fails with what waiting does not mend, for `done` and for whoever waits', async () => {
    const store = await openMemoryStore()
    const broken = wrapStore(store, {
      positions: async () => {
        throw new RangeError('planted')
      },
    })
    const subscription = durable(broken, {}, () => {})
    await expect(subscription.done).rejects.toThrow('planted')
    expect(subscription.state).toBe('failed')
    expect(subscription.error).toBeInstanceOf(RangeError)
    expect(subscription.reason).toBe('RangeError: planted')
    await expect(subscription.reached(1)).rejects.toThrow('planted')
    await subscription.stop()
    expect(subscription.state).toBe('failed')
  })

  it('says when it is late, when it was stopped, and when it is held', async () => {
    const store = await openMemoryStore()
    const subscription = durable(store, {}, () => {})
    const late = subscription.reached(5, { timeoutMs: 30 })
    await expect(late).rejects.toMatchObject({
      code: 'TIMEOUT',
      message: expect.stringContaining('reaching 5'),
    })
    const reason = new Error('enough')
    const abort = new AbortController()
    const aborted = subscription.reached(5, { signal: abort.signal })
    abort.abort(reason)
    await expect(aborted).rejects.toBe(reason)
    subscription.pause()
    await until(() => subscription.state === 'paused')
    expect(subscription.reason).toBe('paused by the program')
    const waiting = subscription.reached(5)
    await subscription.stop()
    await expect(waiting).rejects.toMatchObject({ code: 'STORE_CLOSED' })
    expect([subscription.reason, subscription.error]).toEqual([undefined, undefined])
  })

  it('hands over batches of the size that is asked for, to as many partitions', async () => {
    const store = await openMemoryStore()
    await append(store, 'a-1', ...Array.from({ length: 5 }, (_, n) => ({ n })))
    const sizes: number[] = []
    const positions: number[] = []
    const batch = async (events: readonly RecordedEvent[], context: { position: number }) => {
      sizes.push(events.length)
      positions.push(context.position)
    }
    const handler = { maxBatch: 2, batch }
    const two = durable(store, {}, handler)
    await two.reached(5, { timeoutMs: 2000 })
    await two.stop()
    expect(Math.max(...sizes)).toBe(2)
    expect(positions.at(-1)).toBe(5)
    expect(two.partitions()).toHaveLength(1)
    const of = async (name: string, group: DurableOptions['group']) => {
      const subscription = durable(store, { name, group }, { batch })
      await subscription.reached(5, { timeoutMs: 2000 })
      const count = subscription.partitions().length
      await subscription.stop()
      return count
    }
    expect(await of('many', true)).toBeGreaterThan(1)
    expect(await of('three', { partitions: 3 })).toBe(3)
    expect(await of('by-tag', { by: { tag: 'customer' }, partitions: 2 })).toBe(2)
  })
})

describe('a handover', () => {
  it('takes an event back whose handler is aborted before the loop has come for it', async () => {
    const handover = new Handover<string>()
    const abort = new AbortController()
    const lost = handover.take('a', { signal: abort.signal })
    const kept = handover.take('b', { signal: new AbortController().signal })
    abort.abort(new Error('enough'))
    await expect(lost).rejects.toThrow('enough')
    const offer = await handover.next()
    expect(offer?.event).toBe('b')
    offer?.done()
    await kept
    const last = handover.next()
    handover.end()
    expect(await last).toBe(undefined)
  })

  it('rejects for an event that the loop has and will not finish', async () => {
    const handover = new Handover<string>()
    const abort = new AbortController()
    const given = handover.take('a', { signal: abort.signal })
    expect((await handover.next())?.event).toBe('a')
    abort.abort(new Error('enough'))
    await expect(given).rejects.toThrow('enough')
  })
})

describe('a subscription', () => {
  it('does not begin under a signal that is aborted, and ends with one', async () => {
    const store = await openMemoryStore()
    await append(store, 'a-1', { n: 1 })
    const ends = { count: 0 }
    const seen: number[] = []
    const handler = ({ position }: RecordedEvent) => seen.push(position)
    const never = plain(store, { signal: AbortSignal.abort() }, handler, ends)
    expect(never.state).toBe('stopped')
    await never.done
    const abort = new AbortController()
    const running = plain(store, { signal: abort.signal }, handler, ends)
    await until(() => running.position === 1)
    expect(running.error).toBe(undefined)
    abort.abort()
    await running.done
    running.pause()
    expect([running.state, seen, ends.count]).toEqual(['stopped', [1], 2])
    await running[Symbol.asyncDispose]()
    expect(ends.count).toBe(2)
  })

  it('holds its loop between two events of one batch, also to its end', async () => {
    const store = await openMemoryStore()
    await append(store, 'a-1', { n: 1 }, { n: 2 }, { n: 3 })
    const subscription = plain(store)
    const seen: number[] = []
    const looping = (async () => {
      for await (const { position } of subscription) {
        seen.push(position)
        if (position < 3) subscription.pause()
      }
    })()
    await until(() => seen.length === 1)
    expect(subscription.state).toBe('paused')
    await wait(20)
    expect(seen).toEqual([1])
    subscription.pause()
    subscription.resume()
    await until(() => seen.length === 2)
    await subscription.stop()
    await looping
    expect(seen).toEqual([1, 2])
    expect(subscription.state).toBe('stopped')
  })

  it('ends its loop with the error that it cannot wait out', async () => {
    const store = await openMemoryStore()
    let failures = 0
    const broken = wrapStore(store, {
      positions: async () => {
        failures++
        throw failures < 3 ? new ConnectionError('planted') : new RangeError('planted')
      },
    })
    const subscription = plain(broken)
    const next = subscription[Symbol.asyncIterator]().next()
    await until(() => subscription.state === 'waiting' || failures === 3)
    await expect(next).rejects.toThrow(RangeError)
    expect([subscription.state, failures]).toEqual(['failed', 3])
    expect(subscription.error).toBeInstanceOf(RangeError)
    await expect(subscription.done).rejects.toThrow('planted')
    await subscription.stop()
    expect(subscription.state).toBe('failed')
  })

  it('stops in the midst of trying a handler again', async () => {
    const store = await openMemoryStore()
    await append(store, 'a-1', { n: 1 })
    let tries = 0
    const retry = { retryCountMax: 1000, firstDelayMs: 60_000, delayMaxMs: 60_000 }
    const subscription = plain(store, { retry }, () => {
      tries++
      throw new Error('planted')
    })
    await until(() => tries === 1)
    await subscription.stop()
    await subscription.done
    expect([subscription.state, subscription.position]).toEqual(['stopped', 0])
  })

  it('cuts pages that are longer than it has asked for', async () => {
    const store = await openMemoryStore()
    await append(store, 'a-1', ...Array.from({ length: 5 }, (_, n) => ({ n })))
    const generous = wrapStore(store, {
      readLog: (next, query, options) => next.readLog({ ...query, pageSize: 100 }, options),
    })
    const sizes: number[] = []
    const batch = async (events: readonly RecordedEvent[]) => {
      sizes.push(events.length)
    }
    const subscription = plain(generous, {}, { maxBatch: 2, batch })
    await until(() => subscription.position === 5)
    await subscription.stop()
    expect(sizes).toEqual([2, 2, 1])
  })

  it('goes by the batch where events have no position of their own', async () => {
    const store = await openMemoryStore()
    await append(store, 'a-1', { n: 1 }, { n: 2 })
    const words = (events: readonly RecordedEvent[]) => events.map(({ type }) => type)
    const ends = { ...runtimeOf(), onEnd: () => {} }
    const loop = new Subscription<string>(store, {}, undefined, { ...ends, map: words })
    const seen: string[] = []
    for await (const word of loop) if (seen.push(word) === 2) break
    expect(seen).toEqual(['T', 'T'])
    const runtime = runtimeOf()
    const durables: number[] = []
    const named = new DurableSubscription<string, StoreTransaction>(
      store,
      new Worker(store, runtime),
      { name: 'words', pollIntervalMs: 20 },
      (_word, { position }) => durables.push(position),
      { ...ends, ...runtime, map: words, wrap: (tx) => tx, timeoutMs: 5000 },
    )
    await named.reached(2, { timeoutMs: 2000 })
    await named.stop()
    expect(durables).toEqual([2, 2])
  })

  it('refuses a position or a batch that is none', async () => {
    const store = await openMemoryStore()
    for (const after of [-1, 0.5]) {
      expect(() => plain(store, { after })).toThrow(/must be a position/)
    }
    for (const maxBatch of [0, 1.5]) {
      const handler = { maxBatch, batch: async () => {} }
      expect(() => plain(store, {}, handler)).toThrow(/must be a positive integer/)
    }
  })

  it('waits for a gap and says who holds it open', async () => {
    const store = await openMemoryStore()
    await append(store, 'a-1', { n: 1 })
    let isOpen = true
    const blocker = { what: 'another backend', sinceMs: 3 }
    const gap = wrapStore(store, {
      positions: async (next, options) => {
        const { safe, newest } = await next.positions(options)
        return isOpen ? { safe: 0, newest, blocker: blocker as never } : { safe, newest }
      },
    })
    const seen: number[] = []
    const subscription = plain(gap, { pollIntervalMs: 5 }, ({ position }) => seen.push(position))
    await until(() => subscription.blocker !== undefined)
    expect([subscription.state, seen]).toEqual(['catching-up', []])
    expect(subscription.blocker).toBe(blocker)
    isOpen = false
    await until(() => seen.length === 1)
    await until(() => subscription.state === 'live')
    expect(subscription.blocker).toBe(undefined)
    await subscription.stop()
  })
})
