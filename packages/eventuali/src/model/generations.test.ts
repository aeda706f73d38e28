import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { until } from '../../test/harness/consumer-kit.ts'
import { replay } from '../pipelines/index.ts'
import { defineOutbox, defineProcess } from '../processes/index.ts'
import { collection, defineProjection } from '../projections/index.ts'
import { openStore, type Store } from '../store/index.ts'
import { Evolution } from './evolution.ts'
import { customerEvents, type Happening, written } from './generations.test-support.ts'
import {
  Aggregate,
  defineAggregate,
  defineDecision,
  defineEvents,
  event,
  type RecordedEvent,
  type,
} from './index.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})

function freshUrl(): string {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-generations-'))
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
  return `sqlite:${join(folder, 'log.db')}`
}

interface Customer {
  readonly names: readonly string[]
  readonly cities: readonly string[]
}
const nobody = (): Customer => ({ names: [], cities: [] })
const renamed = (was: Customer, { data }: { readonly data: { readonly name: string } }) => ({
  ...was,
  names: [...was.names, data.name],
})
const moved = (
  was: Customer,
  { data }: { readonly data: { readonly to: { readonly city: string }; readonly since: Date } },
) => ({ ...was, cities: [...was.cities, `${data.to.city} ${data.since.toISOString()}`] })

const CustomerAggregate = defineAggregate('customer', {
  events: customerEvents,
  initial: nobody,
  evolve: { Renamed: renamed, Moved: moved },
  commands: {},
})

const current = defineProjection({
  ...{ name: 'customers', version: 1, events: [customerEvents] },
  collections: { customers: collection<Customer>() },
  key: ({ stream }) => stream,
  handlers: {
    Renamed: (event, ctx) =>
      ctx.collection('customers').patch(event.stream, (was = nobody()) => renamed(was, event)),
    Moved: (event, ctx) =>
      ctx.collection('customers').patch(event.stream, (was = nobody()) => moved(was, event)),
  },
})
const inline = defineProjection({
  ...{ name: 'inlined', version: 1, mode: 'inline', events: [customerEvents] },
  collections: { inlined: collection<Customer>() },
  handlers: {
    Renamed: (event, ctx) =>
      ctx.collection('inlined').patch(event.stream, (was = nobody()) => renamed(was, event)),
    Moved: (event, ctx) =>
      ctx.collection('inlined').patch(event.stream, (was = nobody()) => moved(was, event)),
  },
})

/** Counts the renamings alone: they may be stored under other types altogether. */
const renamings = defineProjection({
  ...{ name: 'renamings', version: 1, events: [customerEvents] },
  collections: { names: collection<{ times: number }>() },
  handlers: {
    Renamed: ({ data }, ctx) =>
      ctx.collection('names').patch(data.name, (was) => ({ times: (was?.times ?? 0) + 1 })),
  },
})

const followers = (['record', 'events'] as const).map((state) =>
  defineProcess({
    ...{ name: `follow_${state}`, state, after: 0, events: [customerEvents] },
    correlate: ({ stream }) => stream,
    initial: nobody,
    on: { Renamed: renamed, Moved: moved },
  }),
)

const named = defineDecision({
  events: customerEvents,
  query: (_input: null) => ({ types: ['Renamed'] }),
  initial: (): readonly string[] => [],
  evolve: { Renamed: (was, { data }) => [...was, data.name] },
  decide: (names) => {
    throw new Error(names.join())
  },
})

const shown = ({ type, stream, data, time }: RecordedEvent) => ({ type, stream, data, time })

/** Documents without the position of their last event: it is another where events are split. */
const content = (entries: readonly { readonly key: string; readonly document: unknown }[]) =>
  entries.map(({ key, document }) => [key, document])

function subscribed(store: Store<never>) {
  const delivered: Record<string, RecordedEvent[]> = {}
  const take = (name: string) => {
    const taken: RecordedEvent[] = []
    delivered[name] = taken
    return (event: RecordedEvent) => void taken.push(event)
  }
  const category = 'customer'
  const batches = take('batches')
  const subscriptions = [
    store.subscribe({ category }, take('live')),
    store.subscribe({ type: 'Renamed' }, take('names')),
    store.subscribe({ name: 'durable', category }, take('durable')),
    store.subscribe({ name: 'names', types: ['Renamed'] }, take('durableNames')),
    store.subscribe({ name: 'batches', category }, { batch: (all) => all.forEach(batches) }),
  ]
  const group = take('group')
  const by = {
    name: 'name',
    key: (event: RecordedEvent) => `${(event.data as { readonly name?: string }).name}`,
  }
  subscriptions.push(
    store.subscribe({ name: 'group', category, group: { partitions: 4, by } }, group),
  )
  return { delivered, subscriptions }
}

/** From the events, and from a kept state. */
async function loadedTwice(store: Store<never>, id: string) {
  const customers = store.aggregate(CustomerAggregate)
  const first = await customers.load(id)
  await store.snapshots.settled()
  expect(await customers.load(id)).toEqual(first)
  await store.snapshots.settled()
  expect(await customers.load(id)).toEqual(first)
  return first
}

/** Everything that a program of today can see of a log. */
async function seenIn(store: Store<never>): Promise<unknown> {
  const { safe } = await store.positions()
  const all = (await store.readAll().toArray()) as readonly RecordedEvent[]
  const backward = await store.readAll({ direction: 'backward' }).toArray()
  const some = await store.readAll({ limit: 3 }).toArray()
  expect((backward as readonly RecordedEvent[]).toReversed()).toEqual(all)
  expect(some).toEqual(all.slice(0, 3))
  const names = await store.readAll({ types: ['Renamed'] as never }).toArray()
  const streams = [...new Set(all.map(({ stream }) => stream))].sort()
  const { delivered, subscriptions } = subscribed(store)
  const messages: RecordedEvent[] = []
  await store.relay(
    defineOutbox({
      ...{ name: 'out', after: 0, from: { types: ['Renamed'] } },
      deliver: (batch) => void messages.push(...batch.map(({ event }) => event)),
    }),
  )
  await store.projections.start()
  await store.processes.start()
  for (const { name } of [current, renamings, inline]) await store.projected(name, safe)
  await store.processes.reached(safe)
  await until(() => subscriptions.every(({ position }) => position >= safe))
  await until(() => messages.length >= names.length)
  const states: unknown[] = []
  for (const stream of streams) {
    const { state } = await loadedTwice(store, stream.slice('customer-'.length))
    const followed = await Promise.all(
      followers.map(async ({ name }) => (await store.processes.get(name, stream))?.state),
    )
    states.push({ stream, state, followed })
  }
  const { projection } = await replay(store, { into: { projection: current } })
  const { comparison } = await store.projections.rebuild('customers')
  expect(comparison?.equal).toBe(true)
  for (const one of [delivered.live, delivered.durable, delivered.batches]) expect(one).toEqual(all)
  for (const one of [delivered.names, delivered.durableNames, messages]) expect(one).toEqual(names)
  const inOrder = (events: readonly RecordedEvent[]) =>
    events.toSorted((a, b) => a.position - b.position)
  expect(inOrder(delivered.group ?? [])).toEqual(all)
  expect(new Set(all.map(({ id }) => id)).size).toBe(all.length)
  return {
    ...{ states, all: all.map(shown), names: names.map(shown) },
    documents: content(await store.collection(current, 'customers').entries()),
    inlined: content(await store.collection(inline, 'inlined').entries()),
    counts: content(await store.collection(renamings, 'names').entries()),
    replayed: content(await projection.collection('customers').entries()),
    decided: await store.decide(named, null).catch(({ message }: Error) => message),
  }
}

const happenings = fc.array(
  fc.record({
    happening: fc.record({
      customer: fc.integer({ min: 1, max: 3 }),
      kind: fc.constantFrom('moved', 'moved', 'moved', 'pinged'),
      name: fc.constantFrom('Ada', 'Grace', 'Edsger'),
      street: fc.constantFrom('Main 1', 'High 2'),
      city: fc.constantFrom('Bonn', 'Paris', 'Rome'),
    }),
    generation: fc.integer({ min: 1, max: 5 }),
  }),
  { minLength: 1, maxLength: 30 },
)

const happened = (customer: number): Happening => ({
  ...{ customer, kind: 'moved', name: 'Ada', street: 'Main 1', city: 'Bonn' },
})

/** Written by programs of their time, and opened by one of today. */
async function storeOf(
  log: readonly { readonly happening: Happening; readonly generation: number }[],
): Promise<Store<never>> {
  const url = freshUrl()
  const old = await openStore(url)
  for (const [index, { happening, generation }] of log.entries()) {
    const events = written(generation, happening, new Date(index * 1000))
    if (events.length > 0) await old.append(`customer-${happening.customer}`, events)
  }
  await old.close()
  const store = await openStore(url, {
    events: [customerEvents],
    projections: [current, renamings, inline],
    processes: followers,
    snapshots: { every: 1, checkRate: 1 },
  })
  cleanups.push(() => store.close())
  return store as unknown as Store<never>
}

describe('a log of five generations', () => {
  test('is for every reader what it would be, had the last one written all of it', async () => {
    await fc.assert(
      fc.asyncProperty(happenings, async (log) => {
        const mixed = await seenIn(await storeOf(log))
        const newest = log.map(({ happening }) => ({ happening, generation: 5 }))
        expect(mixed).toEqual(await seenIn(await storeOf(newest)))
        for (const clean of cleanups.splice(0).reverse()) await clean()
      }),
      { numRuns: 40 },
    )
  }, 120_000)

  const { storedTypes, upcast } = Evolution.prototype
  const planted: Record<string, () => unknown> = {
    'filters that know types of today only': () =>
      vi.spyOn(Evolution.prototype, 'storedTypes').mockImplementation((types) => types),
    'events in the wrong order': () =>
      vi.spyOn(Evolution.prototype, 'upcast').mockImplementation(function (
        this: Evolution,
        events,
      ) {
        return upcast.call(this, events).toReversed()
      }),
    'a part of an event lost': () =>
      vi.spyOn(Evolution.prototype, 'upcast').mockImplementation(function (
        this: Evolution,
        events,
      ) {
        return events.flatMap((one) => upcast.call(this, [one]).slice(0, 1))
      }),
    'types of former times forgotten': () =>
      vi.spyOn(Evolution.prototype, 'storedTypes').mockImplementation(function (
        this: Evolution,
        types,
      ) {
        return storedTypes.call(this, types).filter((type) => type !== 'DetailsChanged')
      }),
  }
  test.each(Object.keys(planted))('shows %s', async (name) => {
    const log = [1, 3].map((generation) => ({ happening: happened(1), generation }))
    const newest = await seenIn(await storeOf(log.map((one) => ({ ...one, generation: 5 }))))
    planted[name]?.()
    try {
      const mixed = await seenIn(await storeOf(log)).catch((error: unknown) => error)
      expect(mixed).not.toEqual(newest)
    } finally {
      vi.restoreAllMocks()
    }
  })
})

describe('one stored event that is read as several', () => {
  test('is one dead letter, and comes back as a whole', async () => {
    const store = await storeOf([{ happening: happened(1), generation: 1 }])
    let isBroken = true
    const taken: string[] = []
    const retry = { retryCountMax: 1, firstDelayMs: 1, delayMaxMs: 1 }
    const options = { name: 'mailer', category: 'customer', retry }
    store.subscribe(options, (event: RecordedEvent) => {
      if (isBroken && event.type === 'Moved') throw new Error('no mail today')
      taken.push(event.type)
    })
    await until(async () => (await store.deadLetters.list()).length > 0)
    const letters = await store.deadLetters.list()
    expect(letters).toMatchObject([{ type: 'DetailsChanged', position: 1, attempts: 2 }])
    isBroken = false
    taken.length = 0
    await store.deadLetters.retry(letters[0]?.id ?? '', { actor: 'ada' })
    await until(() => taken.length === 2)
    expect(taken).toEqual(['Renamed', 'Moved'])
  })

  test('is not passed over when its first part is done and the second fails', async () => {
    const store = await storeOf([
      { happening: happened(1), generation: 1 },
      { happening: happened(2), generation: 1 },
    ])
    const taken: string[] = []
    let failures = 1
    const options = { name: 'mailer', category: 'customer' }
    store.subscribe(options, (event: RecordedEvent) => {
      if (event.type === 'Moved' && failures-- > 0) throw new Error('once')
      taken.push(`${event.stream} ${event.type}`)
    })
    await until(() => taken.includes('customer-2 Moved'))
    // At least once each, and in order: the first part is delivered again.
    expect(taken.filter((one) => one.startsWith('customer-1'))).toEqual([
      'customer-1 Renamed',
      'customer-1 Renamed',
      'customer-1 Moved',
    ])
  })

  test('is parked while its upcaster is missing, and read once it is there', async () => {
    const url = freshUrl()
    const old = await openStore(url)
    await old.append('customer-1', written(2, happened(1), new Date(0)))
    await old.close()
    const half = defineEvents({
      DetailsChanged: event(type<{ place: string }>(), { version: 3 }),
    })
    const broken = await openStore(url, { events: [half] })
    const retry = { retryCountMax: 0, firstDelayMs: 1, delayMaxMs: 1 }
    broken.subscribe({ name: 'mailer', retry }, () => {})
    await until(async () => (await broken.deadLetters.list()).length > 0)
    const [letter] = await broken.deadLetters.list()
    expect(letter?.error?.message).toContain('upcast: { 2:')
    await expect(broken.readAll().toArray()).rejects.toMatchObject({
      code: 'EVENT_UPCASTER_MISSING',
    })
    await broken.close()
    const mended = await openStore(url, { events: [customerEvents] })
    cleanups.push(() => mended.close())
    const taken: string[] = []
    mended.subscribe({ name: 'mailer' }, ({ type }) => void taken.push(type))
    await mended.deadLetters.retry(letter?.id ?? '', { actor: 'ada' })
    await until(() => taken.length === 2)
    expect(taken).toEqual(['Renamed', 'Moved'])
  })

  test('waits part by part for a process that is stuck', async () => {
    let isBroken = true
    const seen: string[] = []
    const Follow = defineProcess({
      ...{ name: 'follow', after: 0, events: [customerEvents] },
      correlate: ({ stream }) => stream,
      initial: nobody,
      on: {
        Renamed: renamed,
        Moved: (was, stored) => {
          if (isBroken) throw new Error('not yet')
          seen.push(stored.data.to.city)
          return moved(was, stored)
        },
      },
    })
    const url = freshUrl()
    const old = await openStore(url)
    for (const at of [0, 1000])
      await old.append('customer-1', written(3, happened(1), new Date(at)))
    await old.close()
    const store = await openStore(url, { processes: [Follow] })
    cleanups.push(() => store.close())
    await store.processes.start()
    await store.processes.reached((await store.positions()).safe)
    const status = async () => (await store.processes.get('follow', 'customer-1'))?.status
    await until(async () => (await status()) === 'stuck')
    isBroken = false
    await store.processes.resume('follow', 'customer-1', { actor: 'ada' })
    await until(() => seen.length === 2)
    await store.processes.settle()
    expect((await store.processes.get('follow', 'customer-1'))?.state).toEqual({
      names: ['Ada', 'Ada'],
      cities: ['Bonn 1970-01-01T00:00:00.000Z', 'Bonn 1970-01-01T00:00:01.000Z'],
    })
  })
})

describe('stored events of types that an aggregate does not define', () => {
  test('are refused, or left out by choice', async () => {
    const events = defineEvents({ Counted: type<null>() })
    const parts = { initial: () => 0, evolve: { Counted: (n: number) => n + 1 }, commands: {} }
    await using store = await openStore('memory:')
    await store.append('counter-1', [events.Counted(null), { type: 'Odd', data: {} }])
    const strict = store.aggregate(defineAggregate('counter', { events, ...parts }))
    await expect(strict.load('1')).rejects.toMatchObject({ code: 'EVENT_TYPE_UNKNOWN' })
    const lenient = defineAggregate('counter', { events, ...parts, unknownEvents: 'skip' })
    expect(await store.aggregate(lenient).load('1')).toEqual({ state: 1, version: 2 })
    class Counter extends Aggregate {
      static readonly aggregateName = 'counter'
      static readonly events = events
      static readonly unknownEvents = 'skip'
      count = 0
      onCounted(): void {
        this.count++
      }
    }
    expect((await store.aggregate(Counter).load('1')).count).toBe(1)
  })
})
