import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import {
  composeDecisions,
  defineAggregate,
  defineDecision,
  defineDecisionModel,
  defineEvents,
  event,
  reject,
  type,
} from '../model/index.ts'
import { openMemoryStore, wrapStore } from '../testing/index.ts'
import { openStore, type Store } from './index.ts'

const events = defineEvents({
  OrderPlaced: z.object({ customer: z.string(), total: z.number() }),
  OrderShipped: type<{ carrier: string }>(),
})
type OrderState = { status: 'new' | 'placed' | 'shipped'; total: number }
const Order = defineAggregate('order', {
  events,
  initial: (): OrderState => ({ status: 'new', total: 0 }),
  evolve: {
    OrderPlaced: (state, { data }) => ({ ...state, status: 'placed', total: data.total }),
    OrderShipped: (state) => ({ ...state, status: 'shipped' }),
  },
  commands: {
    place: (state, input: { customer: string; total: number }) =>
      state.status === 'new' ? events.OrderPlaced(input) : reject('order is already placed'),
    ship: (state, input: { carrier: string }) =>
      state.status === 'placed' ? events.OrderShipped(input) : reject('nothing to ship'),
  },
})

describe.each(['memory:', 'sqlite::memory:'])('a store at %s', (url) => {
  let store: Store
  beforeEach(async () => {
    store = await openStore(url)
  })
  afterEach(() => store.close())

  it('appends, reads and types what it reads', async () => {
    await using typed = await openStore(url, { events: [events] })
    const result = await typed.append('order-1', events.OrderPlaced({ customer: 'ada', total: 3 }))
    expect(result).toMatchObject({ stream: 'order-1', version: 1, position: 1 })
    const [first] = await typed.readAll({ types: ['OrderPlaced'] }).toArray()
    const total: number | undefined = first?.data.total
    expect(total).toBe(3)
    await expect(
      typed.append('order-1', { type: 'Other', data: {} } as never),
    ).rejects.toMatchObject({ code: 'EVENT_TYPE_UNKNOWN' })
    await expect(
      typed.append('order-1', events.OrderPlaced({ customer: 'ada', total: 'x' as never })),
    ).rejects.toMatchObject({ code: 'EVENT_INVALID' })
  })

  it('runs commands and keeps their idempotency', async () => {
    const orders = store.aggregate(Order)
    const first = await orders.execute(
      'o-1',
      'place',
      { customer: 'ada', total: 30 },
      { commandId: 'c1' },
    )
    const again = await orders.execute(
      'o-1',
      'place',
      { customer: 'ada', total: 30 },
      { commandId: 'c1' },
    )
    expect(again).toMatchObject({ duplicate: true, version: first.version })
    await expect(orders.at('o-1').place({ customer: 'b', total: 1 })).rejects.toMatchObject({
      code: 'DOMAIN_REJECTED',
    })
    await orders.at('o-1').ship({ carrier: 'dhl' })
    expect(await orders.load('o-1')).toMatchObject({
      state: { status: 'shipped', total: 30 },
      version: 2,
    })
  })

  it('commits several aggregates in one transaction, or none', async () => {
    await store.transaction(async (tx) => {
      await tx.aggregate(Order).at('1').place({ customer: 'a', total: 1 })
      await tx.aggregate(Order).at('2').place({ customer: 'b', total: 2 })
      expect((await tx.readStream('order-1').toArray()).length).toBe(1)
    })
    await expect(
      store.transaction(async (tx) => {
        await tx.append('order-3', { type: 'X', data: null })
        throw new Error('no')
      }),
    ).rejects.toThrow('no')
    expect((await store.streams().toArray()).map(({ stream }) => stream)).toEqual([
      'order-1',
      'order-2',
    ])
  })

  it('refuses its own use inside a transaction, and lets work left behind go on', async () => {
    const later = Promise.withResolvers<void>()
    let left: Promise<unknown> | undefined
    await store.transaction(async () => {
      await expect(store.append('a-1', { type: 'A', data: 1 })).rejects.toMatchObject({
        code: 'TRANSACTION_NESTED',
      })
      expect(() => store.readStream('a-1').pages()).toThrow('inside store.transaction')
      left = later.promise.then(() => store.append('a-1', { type: 'A', data: 1 }))
    })
    later.resolve()
    expect(await left).toMatchObject({ version: 1 })
  })

  it('archives, truncates and deletes, each with its system event', async () => {
    for (let i = 0; i < 3; i++) await store.append('a-1', { type: 'A', data: i })
    await store.truncate('a-1', { before: 3, reason: 'old', actor: 'ada' })
    await expect(store.readStream('a-1', { from: 1 }).toArray()).rejects.toMatchObject({
      code: 'STREAM_TRUNCATED',
      firstVersion: 3,
    })
    const kept = await store.readStream('a-1').toArray()
    expect(kept.map(({ version, type: name }) => [version, name])).toEqual([
      [3, 'A'],
      [4, '$truncated'],
    ])
    expect(kept[1]).toMatchObject({
      data: { before: 3, reason: 'old' },
      metadata: { actor: 'ada' },
    })
    await store.archive('a-1')
    await expect(store.append('a-1', { type: 'A', data: 1 })).rejects.toMatchObject({
      code: 'STREAM_ARCHIVED',
    })
    expect((await store.readAll({ types: ['A'] }).toArray()).length).toBe(0)
    await store.archive('a-1', { undo: true })
    // A second time there is nothing to take back.
    const undone = await store.archive('a-1', { undo: true, actor: 'ada' })
    const head = await store.stream('a-1')
    expect(undone).toMatchObject({ stream: 'a-1', version: head?.version, events: [] })
    const [last] = await store.readStream('a-1', { direction: 'backward', limit: 1 }).toArray()
    expect([last?.type, last?.position]).toEqual(['$unarchived', undone.position])
    const stale = store.archive('a-1', { undo: true, expectedVersion: 2 })
    await expect(stale).rejects.toMatchObject({ code: 'VERSION_CONFLICT' })
    const unknown = store.archive('a-9', { undo: true })
    await expect(unknown).rejects.toMatchObject({ code: 'VERSION_CONFLICT' })
    await store.deleteStream('a-1')
    const deleted = store.archive('a-1', { undo: true })
    await expect(deleted).rejects.toMatchObject({ code: 'STREAM_DELETED' })
    await expect(store.append('a-1', { type: 'A', data: 1 })).rejects.toMatchObject({
      code: 'STREAM_DELETED',
    })
    const next = await store.append('a-1', { type: 'A', data: 1 }, { recreate: true })
    expect(next.version).toBe(8)
    expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
  })

  it('travels in time by the event time or the recording time', async () => {
    const at = (day: number) => new Date(Date.UTC(2020, 0, day))
    await store.append('a-1', [
      { type: 'A', data: 1, time: at(1) },
      { type: 'A', data: 2, time: at(3) },
    ])
    expect((await store.readStream('a-1', { asOf: at(2) }).toArray()).length).toBe(1)
    expect(
      (await store.readStream('a-1', { asOf: at(2), by: 'recordedAt' }).toArray()).length,
    ).toBe(0)
    expect((await store.readAll({ since: at(2), until: at(4) }).toArray()).length).toBe(1)
  })

  it('subscribes and catches up', async () => {
    const seen: string[] = []
    const subscription = store.subscribe({ categories: ['a'] }, (e) => seen.push(e.type))
    const { position } = await store.append('a-1', { type: 'A', data: 1 })
    await store.append('b-1', { type: 'B', data: 1 })
    await store.caughtUp(position, { timeoutMs: 5000 })
    for (let i = 0; i < 200 && seen.length < 1; i++) await new Promise((r) => setTimeout(r, 5))
    expect(seen).toEqual(['A'])
    await store.close()
    expect(subscription.state).toBe('stopped')
  })

  it('says what is wrong with an argument before it touches storage', async () => {
    const bad: (() => unknown)[] = [
      () => store.readStream('', {}),
      () => store.readStream('a', { from: 0 }),
      () => store.readStream('a', { asOf: new Date(Number.NaN) }),
      () => store.readAll({ after: -1 }),
      () => store.readAll({ limit: 1.5 }),
      () => store.readAll({ direction: 'up' as never }),
      () => store.subscribe({ after: -1 }),
    ]
    for (const call of bad) expect(call).toThrowError(expect.objectContaining({ retryable: false }))
    await expect(store.append('a', [])).rejects.toBeInstanceOf(TypeError)
    await expect(store.append('a', { type: '$x', data: 1 })).rejects.toMatchObject({
      code: 'NAME_INVALID',
    })
  })
})

const campus = defineEvents({
  CourseOpened: event(type<{ course: string; seats: number }>(), {
    tags: ({ course }) => [`course:${course}`],
  }),
  StudentEnrolled: event(type<{ course: string; student: string }>(), {
    tags: ({ course, student }) => [`course:${course}`, `student:${student}`],
  }),
})
type Enrolment = { course: string; student: string }
const Seats = defineDecisionModel({
  events: campus,
  query: ({ course }: Enrolment) => ({
    types: ['CourseOpened', 'StudentEnrolled'],
    tags: [`course:${course}`],
  }),
  initial: () => ({ free: 0 }),
  evolve: {
    CourseOpened: (_, { data }) => ({ free: data.seats }),
    StudentEnrolled: ({ free }) => ({ free: free - 1 }),
  },
})
const Load = defineDecisionModel({
  events: campus,
  query: ({ student }: Enrolment) => ({ types: ['StudentEnrolled'], tags: [`student:${student}`] }),
  initial: () => ({ courses: 0 }),
  evolve: { StudentEnrolled: ({ courses }) => ({ courses: courses + 1 }) },
})
const enrol = composeDecisions({ seats: Seats, load: Load }, ({ seats, load }, input) => {
  if (seats.free < 1) reject('the course is full')
  if (load.courses >= 2) reject('the student has two courses already')
  return { stream: `course-${input.course}`, events: campus.StudentEnrolled(input) }
})

describe.each(['memory:', 'sqlite::memory:'])('decisions at %s', (url) => {
  it('keeps two rules over two tags', async () => {
    await using store = await openStore(url)
    for (const course of ['a', 'b', 'c']) {
      await store.append(`course-${course}`, campus.CourseOpened({ course, seats: 2 }))
    }
    await store.decide(enrol, { course: 'a', student: 's1' })
    await store.decide(enrol, { course: 'b', student: 's1' })
    await expect(store.decide(enrol, { course: 'c', student: 's1' })).rejects.toThrow('two courses')
    await store.decide(enrol, { course: 'a', student: 's2' })
    await expect(store.decide(enrol, { course: 'a', student: 's3' })).rejects.toThrow('full')
  })

  it('gives the last seat to one of 16 racers', async () => {
    await using store = await openStore(url)
    await store.append('course-a', campus.CourseOpened({ course: 'a', seats: 1 }))
    const racers = Array.from({ length: 16 }, (_, i) =>
      store.decide(enrol, { course: 'a', student: `s${i}` }),
    )
    const results = await Promise.allSettled(racers)
    expect(results.filter(({ status }) => status === 'fulfilled').length).toBe(1)
    const enrolled = await store.readAll({ types: ['StudentEnrolled'] }).toArray()
    expect(enrolled.length).toBe(1)
  })

  it('leaves a decision without events alone', async () => {
    await using store = await openStore(url)
    const nothing = defineDecision({
      events: campus,
      query: (_: { course: string }) => ({ types: ['CourseOpened'] }),
      initial: () => 0,
      evolve: { CourseOpened: (count) => count + 1 },
      decide: () => undefined,
    })
    expect(await store.decide(nothing, { course: 'a' })).toMatchObject({ results: [] })
  })
})

it('bounds commands and loads that name no time by the one of the store', async () => {
  const bounds: (number | undefined)[] = []
  const port = wrapStore(await openMemoryStore(), {
    readStream: (next, query, options) => {
      bounds.push(options?.timeoutMs)
      return next.readStream(query, options)
    },
    append: (next, request, options) => {
      bounds.push(options?.timeoutMs)
      return next.append(request, options)
    },
  })
  const events = defineEvents({ Counted: type<null>() })
  const Counter = defineAggregate('counter', {
    events,
    initial: () => ({ count: 0 }),
    evolve: { Counted: ({ count }) => ({ count: count + 1 }) },
    commands: { count: () => events.Counted(null) },
  })
  const store = await openStore(port, { timeoutMs: 5000, schemas: false, unknown: 'allow' })
  const counters = store.aggregate(Counter)
  await counters.execute('a', 'count')
  await counters.at('a').count()
  await counters.load('a')
  await store.close()
  expect(bounds.length).toBeGreaterThan(4)
  for (const bound of bounds) expect(bound).toBeLessThanOrEqual(5000)
})
