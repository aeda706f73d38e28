// Four rules that do not fit into one aggregate: seats of a course and courses of a student, an
// e-mail address that is unique, a hold that runs out, and who watches over it.
import { DomainError, openStore, systemClock } from 'eventuali'
import { freshStore } from '../fresh-store.ts'
import { processesAtRest } from '../until.ts'
import { enrol, school } from './enrolment.ts'
import { holds, Table } from './reservation.ts'
import { join, members } from './unique-email.ts'

let passedMs = 0
const clock = { ...systemClock, now: () => systemClock.now() + passedMs }
await using store = await openStore(await freshStore('patterns'), { clock, processes: [holds] })

/** Runs all at once and counts how they ended: who wins is open, how many win is not. */
async function race(calls: readonly Promise<unknown>[]): Promise<string> {
  const outcomes = await Promise.all(calls.map((call) => call.then(() => 'done', refusalOf)))
  const counts = Map.groupBy(outcomes, (outcome) => outcome)
  return [...counts]
    .sort()
    .map(([outcome, { length }]) => `${length} x ${outcome}`)
    .join(', ')
}

function refusalOf(error: unknown): string {
  if (error instanceof DomainError) return error.reason
  throw error
}

console.log('1. Dynamic consistency boundary: a rule over a course and a student')
for (const course of ['logic', 'latin', 'music', 'chess']) {
  await store.append(`course-${course}`, school.CourseOpened({ course, seats: 3 }))
}
const students = ['ada', 'bob', 'cem', 'dora', 'emil', 'finn']
console.log(
  '  six students want one of three seats:',
  await race(students.map((student) => store.decide(enrol, { course: 'logic', student }))),
)
console.log(
  '  gwen wants three courses at once:',
  await race(
    ['latin', 'music', 'chess'].map((course) => store.decide(enrol, { course, student: 'gwen' })),
  ),
)

console.log('2. Unique: five people sign up with one address at the same moment')
const address = 'ada@example.org'
console.log(
  ' ',
  await race(students.slice(0, 5).map((member) => store.decide(join, { member, email: address }))),
)
const [owner] = await store.readAll({ types: ['MemberJoined'] }).toArray()
if (owner === undefined) throw new Error('nobody has joined')
await store.append(owner.stream, members.MemberLeft({ member: 'x', email: 'ADA@example.org' }))
console.log(
  '  when the owner has left:',
  await race([store.decide(join, { member: 'zoe', email: ' Ada@Example.org ' })]),
)

console.log('3. Reservation: hold, then confirm')
await store.processes.start()
const table = store.aggregate(Table)
const hold = (name: string, guest: string) => table.execute(name, 'hold', { table: name, guest })
await hold('window', 'ada')
await hold('corner', 'bob')
console.log('  cem wants the window too:', await race([hold('window', 'cem')]))
await table.execute('corner', 'confirm', { table: 'corner', guest: 'bob' })

console.log('4. Process manager: eleven minutes later')
await processesAtRest(store)
passedMs = 11 * 60_000
await processesAtRest(store)
for (const name of ['window', 'corner']) {
  const { state } = await table.load(name)
  console.log(`  the ${name} table is ${state.status}`)
}
console.log('  cem tries again:', await race([hold('window', 'cem')]))
