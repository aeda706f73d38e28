import { composeDecisions, defineDecisionModel, defineEvents, event, reject, type } from 'eventuali'

export const school = defineEvents({
  CourseOpened: event(type<{ course: string; seats: number }>(), {
    tags: ({ course }) => [`course:${course}`],
  }),
  StudentEnrolled: event(type<{ course: string; student: string }>(), {
    tags: ({ course, student }) => [`course:${course}`, `student:${student}`],
  }),
})

/** Half of the rule is about the course ... */
const seats = defineDecisionModel({
  events: school,
  query: (input: { course: string }) => ({
    types: ['CourseOpened', 'StudentEnrolled'],
    tags: [`course:${input.course}`],
  }),
  initial: () => ({ left: 0 }),
  evolve: {
    CourseOpened: (_state, { data }) => ({ left: data.seats }),
    StudentEnrolled: (state) => ({ left: state.left - 1 }),
  },
})

/** ... and half about the student: no aggregate has both. */
const coursesOfStudent = defineDecisionModel({
  events: school,
  query: (input: { student: string }) => ({
    types: ['StudentEnrolled'],
    tags: [`student:${input.student}`],
  }),
  initial: (): string[] => [],
  evolve: { StudentEnrolled: (courses, { data }) => [...courses, data.course] },
})

/** One read, one condition: it is stored only if nothing that it looked at has changed since. */
export const enrol = composeDecisions({ seats, coursesOfStudent }, (state, input) => {
  if (state.coursesOfStudent.includes(input.course)) reject('is enrolled already')
  if (state.seats.left < 1) reject('the course is full')
  if (state.coursesOfStudent.length >= 2) reject('two courses are enough')
  return {
    stream: `course-${input.course}`,
    events: school.StudentEnrolled({ course: input.course, student: input.student }),
  }
})
