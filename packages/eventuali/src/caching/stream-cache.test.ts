import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { describeStores } from '../../test/harness/adapter-stores.ts'
import { systemClock } from '../kernel/index.ts'
import type { RecordedEvent } from '../model/index.ts'
import type { EventStore, StreamQuery } from '../ports/index.ts'
import { openStore, type Store } from '../store/index.ts'
import { manualClock, openMemoryStore, wrapStore } from '../testing/index.ts'
import { StreamCache } from './index.ts'

const seed = Number(process.env.EVENTUALI_SEED ?? Date.now() % 2 ** 31)

const caching = (port: EventStore, streamBytes = 1_000_000, headMs?: number): Promise<Store> =>
  openStore(port, { cache: { streamBytes, headMs } })

const stream = fc.integer({ min: 0, max: 3 }).map((n) => `s-${n}`)
const number = fc.integer({ min: 1, max: 12 })
const part = fc.record({
  from: fc.option(number, { nil: undefined }),
  to: fc.option(number, { nil: undefined }),
  limit: fc.option(number, { nil: undefined }),
  direction: fc.constantFrom('forward' as const, 'backward' as const),
})
const whole = fc.constant({ from: undefined, to: undefined, limit: undefined })
const read = fc.oneof(
  whole.map((bounds) => ({ ...bounds, direction: 'forward' as const })),
  part,
)
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('read' as const), stream, read }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('append' as const), stream, count: number }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom('truncate' as const, 'delete' as const, 'archive' as const),
      stream,
      count: number,
    }),
  },
)

async function change(store: Store, what: string, name: string, count: number): Promise<void> {
  const info = await store.stream(name)
  if (what === 'append') {
    const undo = info?.state === 'archived'
    if (undo) await store.archive(name, { undo })
    const events = Array.from({ length: count }, (_, n) => ({
      ...{ type: 'Noted', data: { n, deep: { list: [n] } }, metadata: { actor: `a-${n}` } },
    }))
    await store.append(name, events, { recreate: true })
  } else if (info === undefined || info.state !== 'active') return
  else if (what === 'truncate') {
    const before = Math.min(info.version, info.firstVersion + count)
    await store.truncate(name, { before })
  } else if (what === 'delete') await store.deleteStream(name)
  else await store.archive(name)
}

const text = async (port: EventStore, query: StreamQuery): Promise<string> => {
  const events: RecordedEvent[] = []
  for await (const page of port.readStream(query)) {
    if (page.length === 0) throw new Error('an empty page')
    events.push(...page)
  }
  return JSON.stringify(events)
}

/** Two programs change streams; one of them reads through a cache. */
async function run(
  inner: EventStore,
  steps: readonly (typeof step extends fc.Arbitrary<infer S> ? S : never)[],
  streamBytes: number,
  plant: (port: EventStore) => EventStore = (port) => port,
  headMs?: number,
): Promise<number> {
  const other = await openStore(inner)
  const port = plant(inner)
  const store = await caching(port, streamBytes, headMs)
  for (const one of steps) {
    if (one.do !== 'read') await change(other, one.do, one.stream, one.count)
    else {
      const query = { ...one.read, stream: one.stream }
      expect(await text(store.port, query)).toBe(await text(inner, query))
      expect(await store.stream(one.stream)).toEqual(await inner.stream(one.stream))
    }
  }
  return headMs === undefined
    ? store.streamCache.stats.hits
    : (store.streamCache.headStats?.hits ?? 0)
}

describeStores('a stream cache', ({ open }) => {
  test('shows what the store shows, whoever changes it meanwhile', async () => {
    let hits = 0
    const property = fc.asyncProperty(
      fc.array(step, { minLength: 20, maxLength: 40 }),
      fc.constantFrom(1_000_000, 4000),
      async (steps, bytes) => {
        hits += await run(await open(), steps, bytes)
      },
    )
    await fc.assert(property, { numRuns: 40, seed, endOnFailure: true })
    expect(hits).toBeGreaterThan(0)
  })

  test('believes a head until it hears of an append, and shows the same', async () => {
    let hits = 0
    const property = fc.asyncProperty(
      fc.array(step, { minLength: 20, maxLength: 40 }),
      async (steps) => {
        hits += await run(await open(), steps, 1_000_000, undefined, 60_000)
      },
    )
    await fc.assert(property, { numRuns: 12, seed, endOnFailure: true })
    expect(hits).toBeGreaterThan(0)
  })
})

test('the property above notices a notification that never comes', async () => {
  const deaf = (port: EventStore) => wrapStore(port, { watch: () => () => {} })
  const property = fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), (steps) =>
    openMemoryStore()
      .then((inner) => run(inner, steps, 1_000_000, deaf, 60_000))
      .then(() => {}),
  )
  await expect(fc.assert(property, { numRuns: 200, seed })).rejects.toThrow()
})

describe('the property above notices', () => {
  /** Heads as they were when the stream was first asked for. */
  const planted: Record<string, (port: EventStore) => EventStore> = {
    'a head that is believed for ever': (port) => {
      const heads = new Map<string, ReturnType<EventStore['stream']>>()
      return wrapStore(port, {
        stream: (next, name, options) => {
          const head = heads.get(name) ?? next.stream(name, options)
          heads.set(name, head)
          return head
        },
      })
    },
    'a truncation that is not seen': (port) =>
      wrapStore(port, {
        stream: async (next, name, options) => {
          const head = await next.stream(name, options)
          if (head === undefined) return undefined
          return { ...head, firstVersion: 1, count: head.version }
        },
      }),
    'a rest that is short of one': (port) =>
      wrapStore(port, {
        readStream: (next, query, options) => {
          const from = query.to === undefined ? query.from : (query.from ?? 1) + 1
          return next.readStream({ ...query, from }, options)
        },
        stream: async (next, name, options) => {
          const head = await next.stream(name, options)
          return head && { ...head, count: head.count - 1 }
        },
      }),
  }
  test.each(Object.entries(planted))('%s', async (_what, plant) => {
    const property = fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), (steps) =>
      openMemoryStore()
        .then((inner) => run(inner, steps, 1_000_000, plant))
        .then(() => {}),
    )
    await expect(fc.assert(property, { numRuns: 200, seed })).rejects.toThrow()
  })
})

test('a second read asks for the head only, and one after an append for what is new', async () => {
  const asked: string[] = []
  const inner = wrapStore(await openMemoryStore(), {
    stream: (next, name, options) => {
      asked.push('head')
      return next.stream(name, options)
    },
    readStream: (next, query, options) => {
      asked.push(`events ${query.from ?? 1}-${query.to ?? ''}`)
      return next.readStream(query, options)
    },
  })
  await using store = await caching(inner)
  const append = (count: number) =>
    store.append(
      's-1',
      Array.from({ length: count }, (_, n) => ({ type: 'Noted', data: { n } })),
    )
  const reads = async () => {
    asked.length = 0
    const { length } = await store.readStream('s-1').toArray()
    return [length, asked.filter((what) => what !== 'head')]
  }
  await append(3)
  expect(await reads()).toEqual([3, ['events 1-3']])
  expect(await reads()).toEqual([3, []])
  await append(2)
  expect(await reads()).toEqual([5, ['events 4-5']])
  const part = await store.readStream('s-1', { from: 2, limit: 2 }).toArray()
  expect(part.map(({ version }) => version)).toEqual([2, 3])
  expect(store.streamCache.stats).toMatchObject({ hits: 3, misses: 1, entries: 1, evicted: 0 })
  store.streamCache.clear()
  expect(store.streamCache.stats).toMatchObject({ entries: 0, bytes: 0 })
})

test('what one reader does with an event, no other sees', async () => {
  await using store = await caching(await openMemoryStore())
  const data = { list: [1], none: null, deep: { yes: true } }
  await store.append('s-1', { type: 'Noted', data, metadata: { actor: 'ada' }, tags: ['a:b'] })
  const [first] = await store.readStream('s-1').toArray()
  const whole = structuredClone(first)
  for (let n = 0; n < 2; n++) {
    const [event] = await store.readStream('s-1').toArray()
    expect(event).toEqual(whole)
    const { list } = (event as RecordedEvent).data as { list: number[] }
    list.push(2)
    event?.time.setTime(0)
    Object.assign(event?.metadata ?? {}, { actor: 'bob' })
  }
  expect(store.streamCache.stats.hits).toBe(2)
})

test('streams that are too long or too large pass by, and the oldest go for others', async () => {
  await using store = await caching(await openMemoryStore(), 3000)
  const event = { type: 'Noted', data: { text: 'x'.repeat(1000) } }
  for (const name of ['a-1', 'a-2', 'a-3']) {
    await store.append(name, event)
    await store.readStream(name).toArray()
  }
  expect(store.streamCache.stats).toMatchObject({ entries: 2, evicted: 1 })
  await store.append('large-1', { type: 'Noted', data: 'x'.repeat(4000) })
  await store.readStream('large-1').toArray()
  expect(store.streamCache.stats.entries).toBe(2)
  const many = Array.from({ length: 10_001 }, () => ({ type: 'N', data: null }))
  await store.append('long-1', many)
  expect((await store.readStream('long-1').toArray()).length).toBe(10_001)
  expect(store.streamCache.stats.entries).toBe(2)
})

test('a cache needs bytes, and a store without one says so', async () => {
  const port = await openMemoryStore()
  for (const streamBytes of [0, -1, 1.5, Number.NaN]) {
    expect(() => new StreamCache(port, systemClock, { streamBytes })).toThrow(/cache\.streamBytes/)
  }
  await expect(openStore('memory:', { cache: {} })).rejects.toThrow(/bytes for states/)
  await expect(openStore('memory:', { cache: 7 as never })).rejects.toThrow(/bytes for states/)
  await using store = await openStore('memory:', { cache: { bytes: 1000 } })
  expect(() => store.streamCache).toThrow(/has no stream cache/)
  await using other = await openStore('memory:', { cache: { streamBytes: 1000 } })
  expect(() => other.cache).toThrow(/has no cache/)
})

describe('heads of streams', () => {
  const noted = { type: 'Noted', data: {} }
  const setUp = async (headMs: number) => {
    let [asked, notify] = [0, () => {}]
    const clock = manualClock()
    const inner = wrapStore(await openMemoryStore(), {
      stream: (next, name, options) => {
        asked++
        return next.stream(name, options)
      },
      // Another program's appends are heard of when the test says so.
      watch: (_next, listener) => {
        notify = listener
        return () => {
          notify = () => {}
        }
      },
    })
    const store = await openStore(inner, { clock, cache: { streamBytes: 100_000, headMs } })
    const version = async () => (await store.stream('s-1'))?.version
    return { inner, store, clock, version, asked: () => asked, notify: () => notify() }
  }

  test('are believed for a while, and no longer', async () => {
    const { inner, store, clock, version, asked } = await setUp(100)
    const other = await openStore(inner)
    await other.append('s-1', noted)
    expect([await version(), await version(), asked()]).toEqual([1, 1, 1])
    await other.append('s-1', noted)
    await clock.advance(99)
    expect([await version(), asked()]).toEqual([1, 1])
    await clock.advance(1)
    expect([await version(), asked()]).toEqual([2, 2])
    expect(store.cacheStats).toMatchObject({ heads: { hits: 2, misses: 2, entries: 1 } })
    await store.close()
  })

  test('are asked for again after a notification, an append and a transaction', async () => {
    const { inner, store, version, notify } = await setUp(60_000)
    const other = await openStore(inner)
    await other.append('s-1', noted)
    expect(await version()).toBe(1)
    await other.append('s-1', noted)
    expect(await version()).toBe(1)
    notify()
    expect(await version()).toBe(2)
    await store.append('s-1', noted)
    expect(await version()).toBe(3)
    await store.transaction((tx) => tx.append('s-1', noted))
    expect(await version()).toBe(4)
    expect((await store.readStream('s-1').toArray()).length).toBe(4)
    await store.close()
  })

  test('that were asked for before a change and answered after it are not held', async () => {
    const { inner, store, version } = await setUp(60_000)
    const other = await openStore(inner)
    await other.append('s-1', noted)
    const early = version()
    await store.append('s-1', noted)
    await early
    expect(await version()).toBe(2)
    await store.close()
  })

  test('are asked for where a reader says how fresh they must be', async () => {
    const { store, version, asked } = await setUp(60_000)
    await store.append('s-1', noted)
    await version()
    const head = await store.stream('s-1')
    head?.lastTime?.setTime(5)
    expect((await store.stream('s-1'))?.lastTime?.getTime()).not.toBe(5)
    const before = asked()
    await store.stream('s-1', { fresh: { position: 1 } })
    expect(asked()).toBe(before + 1)
    await store.close()
  })

  test.each([0, -1, Number.NaN, 60_001])('headMs of %d is refused', async (headMs) => {
    const opening = openStore('memory:', { cache: { streamBytes: 1000, headMs } })
    await expect(opening).rejects.toMatchObject({ argument: 'cache.headMs' })
  })

  test('need a cache of events', async () => {
    const opening = openStore('memory:', { cache: { bytes: 1000, headMs: 10 } })
    await expect(opening).rejects.toThrow(/goes with streamBytes/)
  })
})
