import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { seededRandom, systemClock, uuidV5, uuidV7Source } from '../kernel/index.ts'
import {
  Aggregate,
  type AppliedOf,
  defineAggregate,
  defineEvents,
  type EventsOf,
  eventRegistry,
  type Handlers,
  reject,
  type StreamInfo,
  type,
} from '../model/index.ts'
import type { EventStore, StreamChange } from '../ports/index.ts'
import { openMemoryStore } from '../stores/memory/index.ts'
import { aggregateRepository, classRepository } from './aggregates.ts'
import { append } from './append.ts'
import { withContext } from './context.ts'
import { prepareSystemEvent } from './prepare.ts'
import { type CommandRuntime, defaultRetryPolicy } from './runtime.ts'

const random = seededRandom(2)
const runtime: CommandRuntime = {
  clock: systemClock,
  random,
  ids: uuidV7Source(systemClock, random),
  registry: eventRegistry(),
  unknown: 'allow',
  retry: { ...defaultRetryPolicy, retryCountMax: 100 },
}

const events = defineEvents({
  Added: z.object({ amount: z.number(), note: z.string().default('none') }),
  Closed: type<null>(),
})
const foreign = defineEvents({ Foreign: type<null>() })
type State = { sum: number; status: 'open' | 'closed' }
const Counter = defineAggregate('counter', {
  events,
  initial: (): State => ({ sum: 0, status: 'open' }),
  evolve: {
    Added: (state, { data }) => ({ ...state, sum: state.sum + data.amount }),
    Closed: (state) => ({ ...state, status: 'closed' }),
  },
  commands: {
    add: (state, input: { amount: number }) =>
      state.status === 'closed' ? reject('closed', { sum: state.sum }) : events.Added(input),
    twice: (_state, amount: number) => [events.Added({ amount }), events.Added({ amount })],
    close: (state) => (state.status === 'open' ? events.Closed(null) : undefined),
    rest: (state) => (state.sum === 0 ? [] : events.Added({ amount: -state.sum })),
  },
})

async function change(store: EventStore, stream: string, kind: StreamChange): Promise<void> {
  const types = { archive: '$archived', unarchive: '$unarchived', truncate: '$truncated' } as const
  const type = kind.kind === 'delete' ? '$deleted' : types[kind.kind]
  const event = prepareSystemEvent(runtime, type, {})
  const entry = { stream, expectedVersion: 'any', events: [event], change: kind } as const
  expect((await store.append({ entries: [entry] })).ok).toBe(true)
}

describe('aggregateRepository', () => {
  it('loads, executes, creates and handles', async () => {
    const store = await openMemoryStore()
    const counters = aggregateRepository(store, runtime, Counter)
    expect(await counters.load('1')).toEqual({ state: { sum: 0, status: 'open' }, version: 0 })
    const first = await counters.create('1', 'add', { amount: 2 })
    expect(first).toMatchObject({ stream: 'counter-1', version: 1 })
    expect(first.events[0]?.data).toEqual({ amount: 2, note: 'none' })
    await counters.at('1').twice(3)
    expect(await counters.load('1')).toEqual({ state: { sum: 8, status: 'open' }, version: 3 })
    expect((await counters.load('1', { version: 1 })).state.sum).toBe(2)
    await counters.handle('1', async (state) => events.Added({ amount: state.sum }))
    expect((await counters.load('1')).state.sum).toBe(16)
    await expect(counters.create('1', 'add', { amount: 1 })).rejects.toMatchObject({
      code: 'VERSION_CONFLICT',
      actualVersion: 4,
    })
    expect((await store.stream('counter-1'))?.version).toBe(4)
  })

  it('appends nothing when a command gives no event', async () => {
    const store = await openMemoryStore()
    const counters = aggregateRepository(store, runtime, Counter)
    const result = await counters.execute('1', 'rest')
    expect(result).toEqual({ stream: 'counter-1', version: 0, position: undefined, events: [] })
    expect(await store.stream('counter-1')).toBeUndefined()
  })

  it('passes on refusals of the domain and names wrong calls', async () => {
    const store = await openMemoryStore()
    const counters = aggregateRepository(store, runtime, Counter)
    await counters.execute('1', 'close')
    await expect(counters.execute('1', 'add', { amount: 1 })).rejects.toMatchObject({
      code: 'DOMAIN_REJECTED',
      reason: 'closed',
      details: { sum: 0 },
    })
    for (const name of ['constructor', '__proto__', 'toString', 'missing']) {
      await expect(counters.execute('1', name as 'close')).rejects.toMatchObject({
        code: 'COMMAND_UNKNOWN',
      })
      expect((counters.at('1') as never)[name]).toBeUndefined()
    }
    await expect(counters.load('')).rejects.toMatchObject({ code: 'NAME_INVALID' })
    await expect(
      counters.execute('1', 'close', undefined, { commandId: '' }),
    ).rejects.toMatchObject({ code: 'NAME_INVALID' })
    await expect(counters.handle('1', () => foreign.Foreign(null) as never)).rejects.toMatchObject({
      code: 'EVENT_TYPE_UNKNOWN',
    })
  })

  it('decides again on a conflict, unless the caller gave a version', async () => {
    const store = await openMemoryStore()
    const counters = aggregateRepository(store, runtime, Counter)
    await Promise.all(Array.from({ length: 20 }, () => counters.execute('1', 'add', { amount: 1 })))
    expect(await counters.load('1')).toMatchObject({ state: { sum: 20 }, version: 20 })
    let decided = 0
    const racing = counters.handle(
      '1',
      async () => {
        decided += 1
        await append(store, runtime, 'counter-1', events.Added({ amount: 1 }))
        return events.Added({ amount: 1 })
      },
      { expectedVersion: 20 },
    )
    await expect(racing).rejects.toMatchObject({ code: 'VERSION_CONFLICT', expectedVersion: 20 })
    expect(decided).toBe(1)
    const endless = counters.handle(
      '1',
      async () => {
        await append(store, runtime, 'counter-1', events.Added({ amount: 1 }))
        return events.Added({ amount: 1 })
      },
      { retryCountMax: 2 },
    )
    await expect(endless).rejects.toMatchObject({ code: 'VERSION_CONFLICT' })
  })

  it('gives the first result for a commandId that is known', async () => {
    const store = await openMemoryStore()
    const counters = aggregateRepository(store, runtime, Counter)
    const first = await counters.execute('1', 'twice', 4, { commandId: 'cmd' })
    await counters.execute('1', 'close')
    const again = await counters.execute('1', 'add', { amount: 4 }, { commandId: 'cmd' })
    expect(again).toEqual({ ...first, duplicate: true })
    expect(first.events.map(({ id }) => id)).toEqual([
      uuidV5('cmd', 'counter-1', 0),
      uuidV5('cmd', 'counter-1', 1),
    ])
    expect(first.events[0]?.metadata).toMatchObject({ commandId: 'cmd', correlationId: 'cmd' })
    expect((await store.stream('counter-1'))?.version).toBe(3)
  })

  it('gives racing calls with one commandId the same result', async () => {
    const store = await openMemoryStore()
    const counters = aggregateRepository(store, runtime, Counter)
    await counters.execute('1', 'add', { amount: 5 })
    const results = await Promise.all(
      Array.from({ length: 8 }, () =>
        counters.execute('1', 'rest', undefined, { commandId: 'same' }),
      ),
    )
    expect(new Set(results.map(({ events: [event] }) => event?.position)).size).toBe(1)
    expect(results.filter(({ duplicate }) => duplicate !== true)).toHaveLength(1)
    expect((await counters.load('1')).version).toBe(2)
  })

  it('carries the context into the metadata', async () => {
    const counters = aggregateRepository(await openMemoryStore(), runtime, Counter)
    const { events: made } = await withContext({ correlationId: 'c', actor: 'ada' }, () =>
      counters.execute('1', 'add', { amount: 1 }, { metadata: { actor: 'bob' }, commandId: 'k' }),
    )
    expect(made[0]?.metadata).toEqual({
      correlationId: 'c',
      causationId: 'k',
      actor: 'bob',
      commandId: 'k',
    })
  })

  it('folds what is left of a stream, or says that it cannot', async () => {
    const store = await openMemoryStore()
    const counters = aggregateRepository(store, runtime, Counter)
    await counters.execute('1', 'twice', 1)
    await change(store, 'counter-1', { kind: 'archive' })
    expect(await counters.load('1')).toMatchObject({ state: { sum: 2 }, version: 3 })
    await change(store, 'counter-1', { kind: 'unarchive' })
    await change(store, 'counter-1', { kind: 'truncate', before: 2 })
    await expect(counters.load('1')).rejects.toMatchObject({
      code: 'STREAM_TRUNCATED',
      firstVersion: 2,
    })
    await expect(counters.load('1', { version: 1 })).rejects.toMatchObject({
      code: 'STREAM_TRUNCATED',
    })
    await change(store, 'counter-1', { kind: 'delete' })
    const { version } = (await store.stream('counter-1')) as StreamInfo
    expect(await counters.load('1')).toEqual({ state: { sum: 0, status: 'open' }, version })
    await expect(counters.execute('1', 'add', { amount: 1 })).rejects.toMatchObject({
      code: 'STREAM_DELETED',
    })
    await counters.execute('1', 'add', { amount: 7 }, { recreate: true })
    expect(await counters.load('1')).toMatchObject({ state: { sum: 7 }, version: version + 1 })
  })

  it('loads as of a moment and refuses unknown types', async () => {
    const store = await openMemoryStore()
    const counters = aggregateRepository(store, runtime, Counter)
    for (const time of [10, 20]) {
      await append(
        store,
        runtime,
        'counter-1',
        events.Added({ amount: 1 }, { time: new Date(time) }),
      )
    }
    expect((await counters.load('1', { at: new Date(15) })).state.sum).toBe(1)
    expect((await counters.load('1', { at: new Date(5) })).version).toBe(0)
    expect((await counters.load('1', { at: new Date(15), by: 'recordedAt' })).version).toBe(0)
    await expect(counters.load('1', { at: new Date('x') })).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    })
    await append(store, runtime, 'counter-1', foreign.Foreign(null))
    await expect(counters.load('1')).rejects.toMatchObject({ code: 'EVENT_TYPE_UNKNOWN' })
  })
})

type CounterEvents = EventsOf<typeof events>
class ClassCounter extends Aggregate<CounterEvents> implements Handlers<CounterEvents> {
  static readonly aggregateName = 'counter'
  static readonly events = events
  sum = 0
  notes: string[] = []
  times: Date[] = []
  isClosed = false

  onAdded({ data, time }: AppliedOf<typeof events, 'Added'>): void {
    this.sum += data.amount
    this.notes.push(data.note)
    this.times.push(time)
  }
  onClosed(): void {
    this.isClosed = true
  }
  add(amount: number): void {
    if (this.isClosed) reject('closed')
    this.record(events.Added({ amount }))
  }
  double(): void {
    this.add(this.sum)
    this.add(this.sum)
  }
}

describe('classRepository', () => {
  it('applies at once, buffers, appends, and replays to the same', async () => {
    const store = await openMemoryStore()
    const counters = classRepository(store, runtime, ClassCounter)
    await counters.create('1', 'add', 3)
    let inside: Date[] = []
    const { version } = await counters.handle('1', (counter) => {
      expect([counter.id, counter.version]).toEqual(['1', 1])
      counter.double()
      expect([counter.sum, counter.version]).toEqual([12, 3])
      inside = counter.times
    })
    expect(version).toBe(3)
    const loaded = await counters.load('1')
    expect([loaded.sum, loaded.version, loaded.notes]).toEqual([12, 3, ['none', 'none', 'none']])
    expect(loaded.times).toEqual(inside)
    await counters.at('1').add(1)
    await expect(counters.execute('1', 'onAdded' as 'double')).rejects.toMatchObject({
      code: 'COMMAND_UNKNOWN',
    })
    await Promise.all(Array.from({ length: 10 }, () => counters.execute('1', 'add', 1)))
    expect((await counters.load('1')).sum).toBe(23)
  })

  it('works without a store, and names what is missing', () => {
    const alone = new ClassCounter()
    alone.add(2)
    expect([alone.sum, alone.version]).toEqual([2, 1])
    expect(() => alone.add('x' as never)).toThrow(/does not fit/)
    class NoHandler extends Aggregate<CounterEvents> {
      static readonly aggregateName = 'x'
      static readonly events = events
      onAdded(): void {}
    }
    expect(() => classRepository({} as never, runtime, NoHandler)).toThrow(/onClosed/)
    class NoName extends Aggregate<CounterEvents> {}
    expect(() => classRepository({} as never, runtime, NoName as never)).toThrow(/aggregateName/)
  })
})
