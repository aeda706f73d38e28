import { expect, it } from 'vitest'
import { describeStores } from '../../test/harness/adapter-stores.ts'
import { defineEvents, type } from '../model/index.ts'
import type { EventStore } from '../ports/index.ts'
import { type OpenSchedules, runStoreCase, scheduleContract } from '../testing/index.ts'
import { commandTo, defineProcess } from './index.ts'
import { countsOf, Program, Shelf, wallClock } from './saga.test-support.ts'

const events = defineEvents({
  AskedOnce: type<{ at: number; stream: string }>(),
  AskedAgain: type<{ pattern: string; timeZone: string; stream: string }>(),
  TakenBack: type<null>(),
  Rang: type<null>(),
})

/** Does what schedules do by deadlines; a process for each name. */
const Bell = defineProcess({
  name: 'bell',
  events: [events],
  after: 0,
  correlate: ({ stream }) => stream,
  starts: ['AskedOnce', 'AskedAgain', 'TakenBack'],
  initial: () => ({ rung: 0 }),
  on: {
    AskedOnce: (_state, { data: { at, stream } }, ctx) => ctx.at(new Date(at), 'ring', { stream }),
    AskedAgain: (_state, { data: { pattern, timeZone, stream } }, ctx) =>
      ctx.every(pattern, { timeZone }, 'ring', { stream }),
    TakenBack: (_state, _event, ctx) => ctx.cancel('ring'),
  },
  deadlines: { ring: type<{ stream: string }>() },
  onDeadline: {
    ring: ({ rung }, { payload: { stream } }, ctx) => {
      ctx.append(stream, events.Rang(null))
      return { rung: rung + 1 }
    },
  },
})

const openDeadlines: OpenSchedules = (store: EventStore, clock) => {
  const program = new Program(store, [Bell], clock, { ttlMs: 200 })
  const { processes } = program
  const ask = async (name: string, event: Parameters<Program['append']>[1]): Promise<void> => {
    await program.append(`ask-${name}`, event)
    const { newest } = await store.positions()
    await processes.reached(newest, { timeoutMs: 20_000 })
  }
  return {
    start: () => processes.start(),
    at: (name, moment, stream) => ask(name, events.AskedOnce({ at: moment.getTime(), stream })),
    every: (name, pattern, timeZone, stream) =>
      ask(name, events.AskedAgain({ pattern, timeZone, stream })),
    cancel: (name) => ask(name, events.TakenBack(null)),
    due: async (name) => (await processes.deadlines('bell', `ask-${name}`))[0]?.dueAt,
    settle: () => processes.settle(),
    stop: () => program.stop(),
  }
}

// `store.schedules` is held to the same laws in the tests of the stores.
describeStores('deadlines of processes', ({ open }) => {
  const make = async () => ({ store: await open(), dispose: async () => {} })
  for (const found of scheduleContract(openDeadlines).cases) {
    it(found.name, () => runStoreCase(found, make), 60_000)
  }
})

describeStores('schedules', ({ open }) => {
  it('are listed by name, and send commands', async () => {
    const store = await open()
    const clock = wallClock('2026-03-02T10:01:00Z')
    const program = new Program(store, [], clock)
    const { schedules } = program.processes
    await schedules.after('restock', '5 minutes', commandTo(Shelf, 'tea', 'restock', 3))
    await schedules.every('again', '1 hour', commandTo(Shelf, 'tea', 'restock', 1))
    expect((await schedules.list()).map(({ name }) => name)).toEqual(['again', 'restock'])
    expect(await schedules.cancel('again')).toBe(true)
    expect(await schedules.cancel('again')).toBe(false)
    clock.add(60 * 60_000)
    await program.processes.settle()
    expect(await countsOf(store)).toEqual({ Restocked: 1 })
    expect(await schedules.list()).toEqual([])
    await program.stop()
  })

  it('are listed by when they fall due, with the deadlines of processes', async () => {
    const store = await open()
    const clock = wallClock('2026-03-02T10:01:00Z')
    const program = new Program(store, [Bell], clock)
    const { schedules } = program.processes
    await schedules.after('late', '3 hours', commandTo(Shelf, 'tea', 'restock', 1))
    await schedules.after('soon', '1 hour', commandTo(Shelf, 'tea', 'restock', 1))
    await program.processes.start()
    const at = new Date('2026-03-02T12:00:00Z').getTime()
    await program.append('ask-1', events.AskedOnce({ at, stream: 'rung-1' }))
    const { newest } = await store.positions()
    await program.processes.reached(newest, { timeoutMs: 20_000 })
    const upcoming = async (bounds: Parameters<typeof schedules.upcoming>[0] = {}) =>
      (await schedules.upcoming(bounds)).map(({ name, process }) => [name, process])
    const all = [
      ['soon', undefined],
      ['ring', 'bell'],
      ['late', undefined],
    ]
    expect(await upcoming()).toEqual(all)
    expect(await upcoming({ limit: 2 })).toEqual(all.slice(0, 2))
    expect(await upcoming({ until: new Date(at) })).toEqual(all.slice(0, 2))
    expect(await upcoming({ until: new Date(at - 1) })).toEqual(all.slice(0, 1))
    await expect(upcoming({ until: new Date(Number.NaN) })).rejects.toThrow('until')
    await program.stop()
  })
})
