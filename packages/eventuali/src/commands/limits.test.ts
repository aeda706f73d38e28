import { describe, expect, it } from 'vitest'
import { deadlineIn, seededRandom, systemClock, uuidV7Source } from '../kernel/index.ts'
import {
  defineAggregate,
  defineDecision,
  defineEvents,
  event,
  eventRegistry,
  type,
} from '../model/index.ts'
import { openStore } from '../store/index.ts'
import { openMemoryStore } from '../stores/memory/index.ts'
import { wrapStore } from '../testing/index.ts'
import { aggregateRepository } from './aggregates.ts'
import { checkedExpectedVersion } from './append.ts'
import { contextOf, currentContext, withContext } from './context.ts'
import { runDecision } from './decisions.ts'
import { type CommandRuntime, defaultRetryPolicy, remaining } from './runtime.ts'

const random = seededRandom(5)
const runtime: CommandRuntime = {
  ...{ clock: systemClock, random, ids: uuidV7Source(systemClock, random) },
  ...{ registry: eventRegistry(), unknown: 'allow' },
  retry: { ...defaultRetryPolicy, firstDelayMs: 1, delayMaxMs: 8, retryCountMax: 1000 },
}

const events = defineEvents({
  Added: type<{ n: number }>(),
  Due: event(type<{ at: Date }>(), {
    codec: {
      encode: ({ at }) => ({ at: at.getTime() }),
      decode: ({ at }) => ({ at: new Date(at) }),
    },
  }),
})
const Counter = defineAggregate('counter', {
  events,
  initial: () => ({ sum: 0 }),
  evolve: {
    Added: (state, { data }) => ({ sum: state.sum + data.n }),
    Due: (state) => state,
  },
  commands: {
    add: (_state, n: number) => events.Added({ n }),
    nothing: () => undefined,
    named: (_state, id: string) => events.Added({ n: 1 }, { id }),
  },
})
/** Waits far longer between tries than any of these tests may take. */
const patient: CommandRuntime = {
  ...runtime,
  random: { ...random, next: () => 0.9 },
  retry: { ...runtime.retry, firstDelayMs: 60_000, delayMaxMs: 60_000 },
}
const id = '01890a5d-ac96-774b-bcce-b302099a8057'

describe('an expected version', () => {
  it('is a whole number, any or exists', async () => {
    expect([checkedExpectedVersion(undefined), checkedExpectedVersion('any')]).toEqual([
      'any',
      'any',
    ])
    expect([checkedExpectedVersion('exists'), checkedExpectedVersion(3)]).toEqual(['exists', 3])
    for (const bad of [-1, 0.5, '3', null, Number.NaN, 2 ** 53]) {
      expect(() => checkedExpectedVersion(bad)).toThrow(/expectedVersion/)
    }
    await using store = await openStore('memory:', { events: [events] })
    const first = store.append('a-1', events.Added({ n: 1 }), { expectedVersion: 'exists' })
    await expect(first).rejects.toMatchObject({ code: 'VERSION_CONFLICT', actualVersion: 0 })
    await store.append('a-1', events.Added({ n: 1 }))
    const next = await store.append('a-1', events.Added({ n: 1 }), { expectedVersion: 'exists' })
    expect(next.version).toBe(2)
  })

  it('of a command is compared before it decides', async () => {
    await using store = await openStore('memory:')
    const counters = store.aggregate(Counter)
    await counters.execute('1', 'add', 2)
    const stale = counters.execute('1', 'add', 2, { expectedVersion: 0 })
    await expect(stale).rejects.toMatchObject({ code: 'VERSION_CONFLICT', actualVersion: 1 })
    await counters.execute('1', 'add', 2, { expectedVersion: 1 })
    expect((await counters.load('1')).state).toEqual({ sum: 4 })
  })
})

describe('what an append is handed', () => {
  it.each([
    ['metadata', { type: 'A', data: 1, metadata: 'ada' }],
    ['metadata', { type: 'A', data: 1, metadata: null }],
    ['metadata', { type: 'A', data: 1, metadata: [] }],
    ['tags', { type: 'A', data: 1, tags: 'a' }],
    ['time', { type: 'A', data: 1, time: 5 }],
    ['time', { type: 'A', data: 1, time: new Date(Number.NaN) }],
  ])('has no bad %s: %j', async (argument, input) => {
    await using store = await openStore('memory:')
    const appending = store.append('a-1', input as never)
    await expect(appending).rejects.toMatchObject({ code: 'ARGUMENT_INVALID', argument })
    expect(await store.stream('a-1')).toBe(undefined)
  })

  it('has data that JSON carries', async () => {
    await using store = await openStore('memory:')
    const code = 'DATA_NOT_JSON'
    for (const [data, path] of [
      [undefined, 'data'],
      [Promise.resolve(1), 'data'],
      [{ n: 1n }, 'data.n'],
      [[() => 1], 'data[0]'],
    ] as const) {
      const appending = store.append('a-1', { type: 'A', data } as never)
      await expect(appending).rejects.toMatchObject({ code, path })
    }
  })

  it('is a list of streams with their events', async () => {
    await using store = await openStore('memory:')
    for (const entries of [[null], ['a-1'], [7]]) {
      await expect(store.appendAll(entries as never)).rejects.toMatchObject({ argument: 'entries' })
    }
  })
})

describe('an append that is known', () => {
  it('gives its events back decoded, with and without a codec', async () => {
    await using store = await openStore('memory:', { events: [events] })
    const at = new Date(5)
    const both = () => [
      events.Due({ at }, { id }),
      events.Added({ n: 1 }, { id: `${id.slice(0, -1)}8` }),
    ]
    const first = await store.append('a-1', both())
    const again = await store.append('a-1', both())
    expect(again.duplicate).toBe(true)
    expect(again.position).toBe(first.position)
    expect(again.events.map(({ data }) => data)).toEqual([{ at }, { n: 1 }])
  })
})

describe('a command', () => {
  it('may decide that nothing happens', async () => {
    await using store = await openStore('memory:')
    const counters = store.aggregate(Counter)
    const result = await counters.execute('1', 'nothing')
    expect(result).toMatchObject({ version: 0, position: undefined, events: [] })
    expect(await store.stream('counter-1')).toBe(undefined)
  })

  it('takes metadata without an id of its own, over that of its surroundings', async () => {
    await using store = await openStore('memory:')
    const counters = store.aggregate(Counter)
    const options = { metadata: { actor: 'ada', note: 'x' } }
    const { events: made } = await withContext({ correlationId: 'c', actor: 'eva' }, () =>
      counters.execute('1', 'add', 1, options),
    )
    expect(made[0]?.metadata).toEqual({ correlationId: 'c', actor: 'ada', note: 'x' })
    const { events: bare } = await counters.execute('1', 'add', 1, options)
    expect(bare[0]?.metadata).toEqual({ actor: 'ada', note: 'x' })
    expect(currentContext()).toBe(undefined)
  })

  it('with an id names its events itself', async () => {
    await using store = await openStore('memory:')
    const counters = store.aggregate(Counter)
    const twice = counters.execute('1', 'named', id, { commandId: id })
    await expect(twice).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
    const { events: made } = await counters.execute('1', 'named', id)
    expect(made[0]?.id).toBe(id)
  })

  it('that loses every race ends in time with the conflict, and with its signal', async () => {
    let tries = 0
    const store = wrapStore(await openMemoryStore(), {
      append: async (_next, { entries: [entry] }) => {
        tries++
        const { stream = '', expectedVersion = 'any' } = entry ?? {}
        return { ok: false, reason: 'version-conflict', stream, expectedVersion, actualVersion: 9 }
      },
    })
    const slow = aggregateRepository(store, patient, Counter)
    const lost = slow.execute('1', 'add', 1, { timeoutMs: 10_000 })
    await expect(lost).rejects.toMatchObject({ code: 'VERSION_CONFLICT', actualVersion: 9 })
    expect(tries).toBe(1)
    const counters = aggregateRepository(store, runtime, Counter)
    tries = 0
    const few = counters.execute('1', 'add', 1, { retryCountMax: 2 })
    await expect(few).rejects.toMatchObject({ code: 'VERSION_CONFLICT' })
    expect(tries).toBe(3)
    const reason = new Error('enough')
    const aborted = counters.execute('1', 'add', 1, { signal: AbortSignal.abort(reason) })
    await expect(aborted).rejects.toBe(reason)
    const late = counters.execute('1', 'add', 1, { timeoutMs: 0 })
    await expect(late).rejects.toMatchObject({ code: 'TIMEOUT' })
    const created = counters.execute('1', 'add', 1, { expectedVersion: 9 })
    await expect(created).rejects.toMatchObject({ code: 'VERSION_CONFLICT', expectedVersion: 9 })
  })
})

describe('what is left of a time', () => {
  it('is nothing at all, the signal alone, or both', () => {
    const { signal } = new AbortController()
    const deadline = deadlineIn(systemClock, 1000, signal)
    expect(remaining('x', {}, deadline)).toBe(undefined)
    expect(remaining('x', { signal }, deadline)).toEqual({ signal })
    const { timeoutMs = 0 } = remaining('x', { timeoutMs: 1000 }, deadline) ?? {}
    expect(timeoutMs).toBeGreaterThan(0)
    expect(timeoutMs).toBeLessThanOrEqual(1000)
  })
})

describe('a decision', () => {
  const Taken = defineEvents({
    Taken: event(type<{ name: string }>(), { tags: ({ name }) => [`name:${name}`] }),
  })
  const take = (decide: (state: { count: number }) => unknown) =>
    defineDecision({
      events: Taken,
      query: ({ name }: { name: string }) => ({ types: ['Taken'], tags: [`name:${name}`] }),
      initial: () => ({ count: 0 }),
      evolve: { Taken: ({ count }) => ({ count: count + 1 }) },
      decide: decide as never,
    })
  const one = take(() => ({ stream: 'name-ada', events: Taken.Taken({ name: 'ada' }) }))
  const input = { name: 'ada' }

  it('may decide that nothing happens', async () => {
    const store = await openMemoryStore()
    const nothing = await runDecision(
      store,
      runtime,
      take(() => undefined),
      input,
    )
    expect(nothing).toEqual({ position: 0, results: [] })
    expect(
      await runDecision(
        store,
        runtime,
        take(() => []),
        input,
      ),
    ).toEqual(nothing)
  })

  it('takes metadata over that of its surroundings', async () => {
    const store = await openMemoryStore()
    const options = { metadata: { actor: 'ada' } }
    const { results } = await withContext({ actor: 'eva', correlationId: 'c' }, () =>
      runDecision(store, runtime, one, input, options),
    )
    expect(results[0]?.events[0]?.metadata).toEqual({ actor: 'ada', correlationId: 'c' })
  })

  it('that is refused again and again ends in time with the refusal', async () => {
    let tries = 0
    const memory = await openMemoryStore()
    const store = wrapStore(memory, {
      append: async () => {
        tries++
        return { ok: false, reason: 'condition-failed', position: 0, events: [] }
      },
    })
    const lost = runDecision(store, patient, one, input, { timeoutMs: 10_000 })
    await expect(lost).rejects.toMatchObject({ code: 'CONDITION_FAILED' })
    expect(tries).toBe(1)
    tries = 0
    const few = runDecision(store, runtime, one, input, { retryCountMax: 1 })
    await expect(few).rejects.toMatchObject({ code: 'CONDITION_FAILED' })
    expect(tries).toBe(2)
  })

  it('waits for the events that refused it to be safe, and no longer than it may', async () => {
    const memory = await openMemoryStore()
    await runDecision(memory, runtime, one, input)
    let looks = 0
    let safeAfter = 4
    const store = wrapStore(memory, {
      positions: async (next, options) => {
        const found = await next.positions(options)
        return looks++ < safeAfter ? { ...found, safe: 0 } : found
      },
    })
    const { results } = await runDecision(store, runtime, one, input)
    expect(results[0]?.version).toBe(2)
    expect(looks).toBe(6)
    looks = 0
    safeAfter = Number.POSITIVE_INFINITY
    const late = runDecision(store, runtime, one, input, { timeoutMs: 60 }).catch((e: unknown) => e)
    // Its time ends between two looks, or in one.
    expect(['CONDITION_FAILED', 'TIMEOUT']).toContain(((await late) as { code: string }).code)
  })
})

describe('the context of a reaction', () => {
  it('goes on with a correlation, or begins one; the tenant goes with it', () => {
    const rest = { id: 'e1', metadata: {} }
    expect(contextOf(rest as never)).toEqual({ correlationId: 'e1', causationId: 'e1' })
    const metadata = { correlationId: 'c', causationId: 'b', tenant: 't', actor: 'ada' }
    expect(contextOf({ ...rest, metadata } as never)).toEqual({
      ...{ correlationId: 'c', causationId: 'e1', tenant: 't' },
    })
  })
})

describe('a load', () => {
  it('is at a moment that is a Date, by one of two times', async () => {
    await using store = await openStore('memory:')
    const counters = store.aggregate(Counter)
    await counters.execute('1', 'add', 3)
    const at = new Date(Date.now() + 1000)
    expect((await counters.load('1', { at, by: 'recordedAt' })).state).toEqual({ sum: 3 })
    for (const bad of ['2026-01-01', new Date(Number.NaN), 5]) {
      const loaded = counters.load('1', { at: bad as never })
      await expect(loaded).rejects.toMatchObject({ argument: 'at' })
    }
    const by = counters.load('1', { at, by: 'position' as never })
    await expect(by).rejects.toMatchObject({ argument: 'by' })
    for (const version of [-1, 0.5]) {
      await expect(counters.load('1', { version })).rejects.toMatchObject({ argument: 'version' })
    }
  })
})
