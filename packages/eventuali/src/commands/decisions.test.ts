import { describe, expect, it } from 'vitest'
import { seededRandom, systemClock, uuidV7Source } from '../kernel/index.ts'
import {
  composeDecisions,
  defineDecision,
  defineDecisionModel,
  defineEvents,
  event,
  eventRegistry,
  reject,
  type,
} from '../model/index.ts'
import { openMemoryStore } from '../stores/memory/index.ts'
import { append } from './append.ts'
import { runDecision } from './decisions.ts'
import { type CommandRuntime, defaultRetryPolicy } from './runtime.ts'

const random = seededRandom(3)
const runtime: CommandRuntime = {
  clock: systemClock,
  random,
  ids: uuidV7Source(systemClock, random),
  registry: eventRegistry(),
  unknown: 'allow',
  retry: { ...defaultRetryPolicy, firstDelayMs: 1, delayMaxMs: 5, retryCountMax: 50 },
}

const events = defineEvents({
  CourseOpened: event(type<{ course: string; seats: number }>(), {
    tags: (data) => [`course:${data.course}`],
  }),
  Enrolled: event(type<{ course: string; student: string }>(), {
    tags: (data) => [`course:${data.course}`, `student:${data.student}`],
  }),
})
type Input = { course: string; student: string }

const Course = defineDecisionModel({
  events,
  query: (input: { course: string }) => ({
    types: ['CourseOpened', 'Enrolled'],
    tags: [`course:${input.course}`],
  }),
  initial: () => ({ seats: 0, taken: 0 }),
  evolve: {
    CourseOpened: (state, { data }) => ({ ...state, seats: data.seats }),
    Enrolled: (state) => ({ ...state, taken: state.taken + 1 }),
  },
})
const Student = defineDecisionModel({
  events,
  query: (input: { student: string }) => ({
    types: ['Enrolled'],
    tags: [`student:${input.student}`],
  }),
  initial: () => ({ courses: 0 }),
  evolve: { Enrolled: (state) => ({ courses: state.courses + 1 }) },
})
const enrol = composeDecisions({ course: Course, student: Student }, (state, input: Input) => {
  if (state.course.taken >= state.course.seats) reject('the course is full')
  if (state.student.courses >= 2) reject('the student has two courses')
  return { stream: `student-${input.student}`, events: events.Enrolled(input) }
})

describe('runDecision', () => {
  it('holds two rules over two tags', async () => {
    const store = await openMemoryStore()
    for (const course of ['a', 'b', 'c']) {
      await append(store, runtime, `course-${course}`, events.CourseOpened({ course, seats: 2 }))
    }
    const decide = (course: string, student: string) =>
      runDecision(store, runtime, enrol, { course, student })
    const { results } = await decide('a', 'x')
    expect(results[0]).toMatchObject({ stream: 'student-x', version: 1 })
    await decide('b', 'x')
    await expect(decide('c', 'x')).rejects.toMatchObject({ reason: 'the student has two courses' })
    await decide('a', 'y')
    await expect(decide('a', 'z')).rejects.toMatchObject({ reason: 'the course is full' })
  })

  it('gives the last seat to one of 16 racers, round after round', async () => {
    const store = await openMemoryStore()
    for (let round = 0; round < 20; round++) {
      const course = `c${round}`
      await append(store, runtime, `course-${course}`, events.CourseOpened({ course, seats: 1 }))
      const settled = await Promise.allSettled(
        Array.from({ length: 16 }, (_, racer) =>
          runDecision(store, runtime, enrol, { course, student: `${round}-${racer}` }),
        ),
      )
      expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
      for (const outcome of settled) {
        if (outcome.status === 'rejected') {
          expect(outcome.reason).toMatchObject({ code: 'DOMAIN_REJECTED' })
        }
      }
    }
  })

  it('waits for the safe position to reach what refused it', async () => {
    const store = await openMemoryStore()
    await append(store, runtime, 'course-a', events.CourseOpened({ course: 'a', seats: 2 }))
    const { safe: stale } = await store.positions()
    await append(store, runtime, 'x', events.Enrolled({ course: 'a', student: 'x' }))
    let asked = 0
    const lagging = new Proxy(store, {
      get: (target, name) => {
        if (name === 'positions') {
          return async () => {
            asked += 1
            return asked <= 4 ? { safe: stale, newest: stale } : target.positions()
          }
        }
        const value = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    let decided = 0
    const counted = {
      ...enrol,
      decide: (...given: Parameters<typeof enrol.decide>) => {
        decided += 1
        return enrol.decide(...given)
      },
    }
    await runDecision(lagging, runtime, counted, { course: 'a', student: 'y' })
    expect(decided).toBe(2)
    expect(asked).toBeGreaterThan(4)
  })

  it('appends nothing when nothing is decided, and refuses a query without types', async () => {
    const store = await openMemoryStore()
    const parts = { events, initial: () => 0, evolve: {} }
    const nothing = defineDecision({
      ...parts,
      query: (_input: null) => ({ types: ['Enrolled'] }),
      evolve: { Enrolled: (count) => count + 1 },
      decide: () => undefined,
    })
    expect(await runDecision(store, runtime, nothing, null)).toEqual({ position: 0, results: [] })
    const untyped = defineDecision({
      ...parts,
      query: (_input: null) => ({ types: [] }),
      decide: () => undefined,
    })
    await expect(runDecision(store, runtime, untyped, null)).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    })
  })
})
