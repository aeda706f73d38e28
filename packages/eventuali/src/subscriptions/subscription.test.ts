import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { type Clock, seededRandom, systemClock } from '../kernel/index.ts'
import { ConnectionError, type RecordedEvent } from '../model/index.ts'
import type { EventStore, NewEvent } from '../ports/index.ts'
import { openMemoryStore } from '../stores/memory/index.ts'
import { filterOf } from './feed.ts'
import {
  type BatchHandler,
  type EventHandler,
  type SubscribeOptions,
  Subscription,
  waitForPosition,
} from './index.ts'

let serial = 0
const newEvent = (type: string, tags: readonly string[] = []): NewEvent => ({
  ...{ id: `e${++serial}`, idGiven: false, type, data: { n: serial }, metadata: {} },
  ...{ time: 0, schemaVersion: 1, tags },
})

async function append(store: EventStore, stream: string, ...types: string[]): Promise<void> {
  const events = types.map((type) => newEvent(type))
  await store.append({ entries: [{ stream, expectedVersion: 'any', events }] })
}

function subscribe(
  store: Pick<EventStore, 'readLog' | 'positions' | 'watch'>,
  options: SubscribeOptions,
  handler?: EventHandler<RecordedEvent> | BatchHandler<RecordedEvent>,
): Subscription {
  return new Subscription<RecordedEvent>(store, options, handler, {
    clock: systemClock,
    random: seededRandom(1),
    map: (events) => events,
    onEnd: () => {},
  })
}

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !holds(); i++) await wait(5)
  expect(holds()).toBe(true)
}

describe('Subscription', () => {
  it('delivers what is there and what comes, in order and once', async () => {
    const store = await openMemoryStore()
    await append(store, 'a-1', 'A', 'B')
    const seen: string[] = []
    const subscription = subscribe(store, {}, (event) => seen.push(event.type))
    await until(() => seen.length === 2)
    await append(store, 'b-1', 'C')
    await until(() => seen.length === 3)
    await subscription.stop()
    expect(seen).toEqual(['A', 'B', 'C'])
    expect(subscription.state).toBe('stopped')
    expect(subscription.position).toBe(3)
  })

  it('starts after a position and filters by category, type and tag', async () => {
    const store = await openMemoryStore()
    await append(store, 'a-1', 'A', 'B')
    await append(store, 'b-1', 'A')
    const seen: string[] = []
    const options = { after: 1, categories: ['b'], types: ['A'] }
    const subscription = subscribe(store, options, (event) => seen.push(event.stream))
    await until(() => subscription.position === 3)
    expect(seen).toEqual(['b-1'])
    await subscription.stop()
  })

  it('hands over batches of at most maxBatch', async () => {
    const store = await openMemoryStore()
    await append(store, 'a-1', 'A', 'B', 'C', 'D', 'E')
    const sizes: number[] = []
    const handler = { batch: (events: readonly unknown[]) => sizes.push(events.length) }
    const subscription = subscribe(store, {}, { ...handler, maxBatch: 2 })
    await until(() => subscription.position === 5)
    expect(sizes).toEqual([2, 2, 1])
    await subscription.stop()
  })

  it('holds while paused and goes on after resume', async () => {
    const store = await openMemoryStore()
    const seen: string[] = []
    const subscription = subscribe(store, {}, (event) => seen.push(event.type))
    await until(() => subscription.state === 'live')
    subscription.pause()
    await append(store, 'a-1', 'A')
    await wait(30)
    expect(seen).toEqual([])
    expect(subscription.state).toBe('paused')
    subscription.resume()
    await until(() => seen.length === 1)
    await subscription.stop()
  })

  it('stop waits for the handler at work and hands over nothing more', async () => {
    const store = await openMemoryStore()
    await append(store, 'a-1', 'A', 'B')
    const entered = Promise.withResolvers<void>()
    const leave = Promise.withResolvers<void>()
    const seen: string[] = []
    const subscription = subscribe(store, {}, async (event) => {
      entered.resolve()
      await leave.promise
      seen.push(event.type)
    })
    await entered.promise
    const stopped = subscription.stop()
    leave.resolve()
    await stopped
    expect(seen).toEqual(['A'])
    expect(subscription.position).toBe(1)
  })

  it('fails with the error of its handler and remembers how far it came', async () => {
    const store = await openMemoryStore()
    await append(store, 'a-1', 'A', 'B')
    const subscription = subscribe(store, {}, (event) => {
      if (event.type === 'B') throw new Error('boom')
    })
    await expect(subscription.done).rejects.toThrow('boom')
    expect(subscription.state).toBe('failed')
    expect(subscription.position).toBe(1)
  })

  it('reads again by itself after a retryable error, skipping nothing', async () => {
    const store = await openMemoryStore()
    let failures = 3
    const flaky = {
      readLog: store.readLog.bind(store),
      watch: store.watch.bind(store),
      positions: async () => {
        if (failures-- > 0) throw new ConnectionError('planted')
        return store.positions()
      },
    }
    await append(store, 'a-1', 'A')
    const seen: string[] = []
    const subscription = subscribe(flaky, {}, (event) => seen.push(event.type))
    await until(() => seen.length === 1)
    await subscription.stop()
  })

  it('ends the iteration when it is stopped or aborted', async () => {
    const store = await openMemoryStore()
    await append(store, 'a-1', 'A')
    const abort = new AbortController()
    const seen: string[] = []
    for await (const event of subscribe(store, { signal: abort.signal })) {
      seen.push(event.type)
      if (seen.length === 1) await append(store, 'a-1', 'B')
      else abort.abort()
    }
    expect(seen).toEqual(['A', 'B'])
  })

  it('delivers only what comes after the end, of one category or one type', async () => {
    const store = await openMemoryStore()
    await append(store, 'a-1', 'A')
    const abort = new AbortController()
    const { signal } = abort
    const reading = (async () => {
      const seen: string[] = []
      for await (const event of subscribe(store, { after: 'end', category: 'a', signal })) {
        if (seen.push(event.type) === 1) abort.abort()
      }
      return seen
    })()
    const types: string[] = []
    const one = subscribe(store, { after: 'end', type: 'C' }, (event) => types.push(event.stream))
    await until(() => one.state === 'live')
    expect(one.position).toBe(1)
    await append(store, 'b-1', 'B')
    await append(store, 'a-1', 'C')
    expect(await reading).toEqual(['C'])
    await until(() => types.length === 1)
    await one.stop()
  })

  it('tries a handler again when it is told to, from the event it failed at', async () => {
    const store = await openMemoryStore()
    await append(store, 'a-1', 'A', 'B')
    const retry = { retryCountMax: 2, firstDelayMs: 1, delayMaxMs: 1 }
    const seen: string[] = []
    let failures = 2
    const subscription = subscribe(store, { retry }, (event) => {
      seen.push(event.type)
      if (event.type === 'B' && failures-- > 0) throw new Error('boom')
    })
    await until(() => subscription.position === 2)
    expect(seen).toEqual(['A', 'B', 'B', 'B'])
    await subscription.stop()
  })

  it('refuses a second consumer', async () => {
    const store = await openMemoryStore()
    const subscription = subscribe(store, {}, () => {})
    const read = async () => {
      for await (const _ of subscription) break
    }
    await expect(read()).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
    await subscription.stop()
  })

  it('joins one type or category with the list of them', () => {
    const words = { type: 'A', types: ['B'], category: 'a', categories: ['b'] }
    expect(filterOf(words)).toMatchObject({ types: ['B', 'A'], categories: ['b', 'a'] })
    expect(filterOf({ type: 'A' })).toMatchObject({ types: ['A'], categories: undefined })
  })

  it('looks as often as it is told to, and is over with its block', async () => {
    const store = await openMemoryStore()
    const asked: number[] = []
    const timer: Clock['timer'] = (ms, ...rest) => {
      asked.push(ms)
      return systemClock.timer(ms, ...rest)
    }
    const clock = { ...systemClock, timer }
    const runtime = { clock, random: seededRandom(1), map: <T>(all: T) => all, onEnd: () => {} }
    const handler = () => {}
    const options = { pollIntervalMs: 7 }
    const subscription = new Subscription<RecordedEvent>(store, options, handler, runtime)
    {
      await using _ = subscription
      await until(() => asked.length > 0)
    }
    expect(subscription.state).toBe('stopped')
    expect(Math.max(...asked)).toBeLessThanOrEqual(7)
  })
})

describe('waitForPosition', () => {
  it('resolves once the position is safe, and times out otherwise', async () => {
    const store = await openMemoryStore()
    const waiting = waitForPosition(store, 1, systemClock, { timeoutMs: 5000 })
    await append(store, 'a-1', 'A')
    expect(await waiting).toBe(1)
    await expect(waitForPosition(store, 9, systemClock, { timeoutMs: 30 })).rejects.toMatchObject({
      code: 'TIMEOUT',
      message: expect.stringContaining('within 30 ms'),
    })
  })

  it('hands its signal on to the store', async () => {
    const store = await openMemoryStore()
    const stop = new AbortController()
    const signals: unknown[] = []
    const positions: EventStore['positions'] = (options) => {
      signals.push(options?.signal)
      return store.positions(options)
    }
    const looked = { positions, watch: store.watch.bind(store) }
    const waiting = waitForPosition(looked, 9, systemClock, { signal: stop.signal })
    await until(() => signals.length > 1)
    stop.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
    expect(new Set(signals)).toEqual(new Set([stop.signal]))
  })
})
