import { composeDecisions, defineDecision, defineDecisionModel } from './decision.ts'
import { defineEvents, event } from './event-definitions.ts'
import { reject } from './reject.ts'
import { type } from './standard-schema.ts'

const events = defineEvents({
  CourseOpened: event(type<{ course: string; seats: number }>(), {
    tags: (data) => [`course:${data.course}`],
  }),
  Enrolled: event(type<{ course: string; student: string }>(), {
    tags: (data) => [`course:${data.course}`, `student:${data.student}`],
  }),
  Left: type<{ student: string }>(),
})
const others = defineEvents({ Other: type<{ a: number }>() })

export const Course = defineDecisionModel({
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

type Standing = { status: 'free' | 'busy'; courses: string[] }
export const Student = defineDecisionModel({
  events,
  query: (input: { student: string }) => [
    { types: ['Enrolled'], tags: [`student:${input.student}`] },
    { types: ['Left'] },
  ],
  initial: (): Standing => ({ status: 'free', courses: [] }),
  evolve: {
    Enrolled: (state, { data }) => ({ status: 'busy', courses: [...state.courses, data.course] }),
    Left: (state) => ({ ...state, status: 'free' }),
  },
})

export const enrol = composeDecisions({ course: Course, student: Student }, (state, input) => {
  if (state.course.taken >= state.course.seats) reject('the course is full')
  if (state.student.courses.length >= 3) reject('the student has three courses')
  return {
    stream: `student-${input.student}`,
    events: events.Enrolled({ course: input.course, student: input.student }),
  }
})

export const single = defineDecision({
  events,
  query: (input: { course: string }) => ({ types: ['CourseOpened'], tags: [input.course] }),
  initial: () => ({ isOpen: false }),
  evolve: { CourseOpened: () => ({ isOpen: true }) },
  decide: (state, input) =>
    state.isOpen
      ? undefined
      : [{ stream: 'c', events: [events.CourseOpened({ course: input.course, seats: 1 })] }],
})

defineDecisionModel({
  events,
  query: () => ({ types: ['CourseOpened', 'Enrolled'] }),
  initial: () => 0,
  // @ts-expect-error Enrolled has no handler
  evolve: { CourseOpened: (count) => count + 1 },
})
defineDecisionModel({
  events,
  query: () => ({ types: ['CourseOpened'] }),
  initial: () => 0,
  // @ts-expect-error Enrolled is not in the query
  evolve: { CourseOpened: (count) => count + 1, Enrolled: (count) => count },
})
defineDecisionModel({
  events,
  // @ts-expect-error Lost is not an event
  query: () => ({ types: ['Lost'] }),
  initial: () => 0,
  // @ts-expect-error so the handlers cannot fit either
  evolve: {},
})
composeDecisions(
  { course: Course },
  // @ts-expect-error Other is an event of none of the models
  () => ({ stream: 's', events: others.Other({ a: 1 }) }),
)
composeDecisions({ course: Course }, (state, input) => {
  // @ts-expect-error the input has no student
  reject(input.student)
  // @ts-expect-error there is no model of that name
  return state.student
})
