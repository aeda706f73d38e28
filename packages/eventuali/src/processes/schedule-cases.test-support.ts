import { expect } from 'vitest'
import { seededRandom } from '../kernel/index.ts'
import { defineEvents, type } from '../model/index.ts'
import type { EventStore } from '../ports/index.ts'
import { appendTo, commandTo, defineProcess } from './index.ts'
import { countsOf, logOf, Program, Shelf, wallClock } from './saga.test-support.ts'

const minute = 60_000
const events = defineEvents({
  Began: type<null>(),
  Ended: type<null>(),
  Rang: type<{ due: string; id: string }>(),
})

/** Rings by deadlines, and tells of each in the log. */
const Bell = defineProcess({
  name: 'bell',
  events: [events],
  after: 0,
  correlate: ({ stream }) => (stream.startsWith('rung-') ? undefined : stream),
  starts: ['Began'],
  initial: () => ({ rung: 0 }),
  on: {
    Began: (_state, _event, ctx) => {
      ctx.after('10 minutes', 'once')
      ctx.every('*/30 * * * *', { timeZone: 'Europe/Berlin' }, 'again')
    },
    Ended: (_state, _event, ctx) => ctx.cancel('once'),
  },
  deadlines: { once: type<null>(), again: type<null>() },
  onDeadline: {
    once: ({ rung }, { id, dueAt }, ctx) => {
      ctx.append(`rung-once-${ctx.key}`, events.Rang({ id, due: dueAt.toISOString() }))
      return { rung: rung + 1 }
    },
    again: ({ rung }, { id, dueAt }, ctx) => {
      ctx.append(`rung-${ctx.key}`, events.Rang({ id, due: dueAt.toISOString() }))
      return { rung: rung + 1 }
    },
  },
})

type WallClock = ReturnType<typeof wallClock>

/** One law of schedules: runs against a store and throws when it is broken. */
export interface ScheduleCase {
  readonly title: string
  run(store: EventStore): Promise<void>
}

async function withProgram(
  store: EventStore,
  from: string,
  work: (program: Program, clock: WallClock) => Promise<void>,
): Promise<void> {
  const clock = wallClock(from)
  const program = new Program(store, [Bell], clock)
  await program.processes.start()
  try {
    await work(program, clock)
  } finally {
    await program.stop()
  }
}

async function rungAt(store: EventStore, stream: string): Promise<string[]> {
  const all = await logOf(store)
  return all
    .filter((event) => event.stream === stream)
    .map((event) => (event.data as { due: string }).due.slice(0, 16))
}

const noEffectTwice = async (store: EventStore): Promise<void> => {
  const ids = (await logOf(store))
    .filter(({ type: name }) => name === 'Rang')
    .map(({ data }) => (data as { id: string }).id)
  expect(new Set(ids).size).toBe(ids.length)
}

/** The laws of schedules, for every store. */
export const scheduleCases: readonly ScheduleCase[] = [
  {
    title: 'a deadline comes when its time has come, once, and not before',
    run: (store) =>
      withProgram(store, '2026-03-02T10:01:00Z', async (program, clock) => {
        await program.append('a-1', events.Began(null))
        await program.rest()
        clock.add(9 * minute)
        await program.rest()
        expect(await rungAt(store, 'rung-once-a-1')).toEqual([])
        clock.add(2 * minute)
        await program.rest()
        clock.add(20 * minute)
        await program.rest()
        expect(await rungAt(store, 'rung-once-a-1')).toEqual(['2026-03-02T10:11'])
      }),
  },
  {
    title: 'a deadline that is taken back does not come',
    run: (store) =>
      withProgram(store, '2026-03-02T10:01:00Z', async (program, clock) => {
        await program.append('a-1', events.Began(null))
        await program.rest()
        expect(await program.processes.deadlines('bell', 'a-1')).toHaveLength(2)
        await program.append('a-1', events.Ended(null))
        await program.rest()
        clock.add(15 * minute)
        await program.rest()
        expect(await rungAt(store, 'rung-once-a-1')).toEqual([])
        expect(await program.processes.deadlines('bell', 'a-1')).toMatchObject([
          { name: 'again', timeZone: 'Europe/Berlin', state: 'pending' },
        ])
      }),
  },
  {
    title: 'what fell due while no program ran comes after the next start, each once',
    run: async (store) => {
      await withProgram(store, '2026-03-02T10:01:00Z', async (program) => {
        await program.append('a-1', events.Began(null))
        await program.rest()
      })
      await withProgram(store, '2026-03-02T12:02:00Z', async (program) => program.rest())
      expect(await rungAt(store, 'rung-once-a-1')).toEqual(['2026-03-02T10:11'])
      expect(await rungAt(store, 'rung-a-1')).toEqual([
        '2026-03-02T10:30',
        '2026-03-02T11:00',
        '2026-03-02T11:30',
        '2026-03-02T12:00',
      ])
    },
  },
  {
    title: 'a recurrence loses and doubles nothing when the clocks change',
    run: (store) =>
      withProgram(store, '2026-10-25T00:10:00Z', async (program, clock) => {
        await program.append('a-1', events.Began(null))
        await program.rest()
        clock.set('2026-10-25T02:10:00Z')
        await program.rest()
        expect(await rungAt(store, 'rung-a-1')).toEqual([
          '2026-10-25T00:30',
          '2026-10-25T01:00',
          '2026-10-25T01:30',
          '2026-10-25T02:00',
        ])
      }),
  },
  {
    title: 'a clock that jumps loses nothing and makes nothing come twice',
    run: (store) =>
      withProgram(store, '2026-03-02T10:01:00Z', async (program, clock) => {
        const random = seededRandom(16)
        await program.append('a-1', events.Began(null))
        await program.rest()
        let furthest = clock.now()
        for (let jump = 0; jump < 200; jump++) {
          clock.add((random.next() < 0.5 ? -60 : 60) * minute)
          furthest = Math.max(furthest, clock.now())
          await program.processes.settle()
        }
        await program.rest()
        const first = new Date('2026-03-02T10:30:00Z').getTime()
        const count = Math.max(0, Math.floor((furthest - first) / (30 * minute)) + 1)
        const rung = await rungAt(store, 'rung-a-1')
        expect(rung).toHaveLength(count)
        expect(new Set(rung).size).toBe(count)
        await noEffectTwice(store)
      }),
  },
  {
    title: 'schedules of their own append and command once, recur, and are taken back',
    run: (store) =>
      withProgram(store, '2026-03-02T10:01:00Z', async (program, clock) => {
        const { schedules } = program.processes
        const ended = { type: 'DayEnded', data: null }
        await schedules.after('restock', '5 minutes', commandTo(Shelf, 'tea', 'restock', 3))
        await schedules.at('gone', new Date(clock.now() + minute), appendTo('x-1', ended))
        await schedules.every('day', '0 0 * * *', appendTo('day-1', ended), { timeZone: 'UTC' })
        expect((await schedules.list()).map(({ name }) => name)).toEqual(['day', 'gone', 'restock'])
        expect(await schedules.cancel('gone')).toBe(true)
        expect(await schedules.cancel('gone')).toBe(false)
        clock.set('2026-03-05T12:00:00Z')
        await program.rest()
        expect(await countsOf(store)).toEqual({ Restocked: 1, DayEnded: 3 })
        expect((await schedules.get('day'))?.dueAt).toEqual(new Date('2026-03-06T00:00:00Z'))
      }),
  },
  {
    title: 'two programs at once fire a deadline once',
    run: async (store) => {
      const clock = wallClock('2026-03-02T10:01:00Z')
      const programs = [new Program(store, [Bell], clock), new Program(store, [Bell], clock)]
      const [one, other] = programs as [Program, Program]
      try {
        await Promise.all(programs.map(({ processes }) => processes.start()))
        for (let i = 1; i <= 5; i++) await one.append(`a-${i}`, events.Began(null))
        await one.rest()
        clock.add(95 * minute)
        await Promise.all([one.processes.settle(), other.processes.settle()])
        await one.rest()
        for (let i = 1; i <= 5; i++) {
          expect(await rungAt(store, `rung-once-a-${i}`)).toHaveLength(1)
          expect(await rungAt(store, `rung-a-${i}`)).toHaveLength(3)
        }
        await noEffectTwice(store)
      } finally {
        await Promise.all(programs.map((program) => program.stop()))
      }
    },
  },
]
