// A ticket office and all that can go wrong in it: wrong input, a rule that says no, two clerks at
// once, a full disk, a database that is away. The faults are real ones, made in faults.ts.
import { DatabaseSync } from 'node:sqlite'
import { isRetryable, openStore } from 'eventuali'
import { freshStore } from '../fresh-store.ts'
import { answerTo } from './answer.ts'
import { outage } from './faults.ts'
import { Ticket } from './ticket.ts'

const url = await freshStore('tickets')
const store = await openStore(url)
const tickets = store.aggregate(Ticket)

/** Runs a call and prints what its caller would be told. */
async function tell(what: string, call: () => Promise<unknown>): Promise<void> {
  try {
    await call()
    console.log(`  200  ${what}: done`)
  } catch (error) {
    const { status, text } = answerTo(error)
    console.log(`  ${status}  ${what}: ${text}`)
  }
}

console.log('Wrong input: the validator says where, nothing is stored')
await tell('no e-mail address', () => tickets.execute('1', 'sell', { to: 'ada', seat: 'A1' }))
await tell('sold', () => tickets.execute('1', 'sell', { to: 'ada@example.org', seat: 'A1' }))

console.log('A rule says no: an answer, not a failure')
await tell('sold again', () => tickets.execute('1', 'sell', { to: 'b@example.org', seat: 'A1' }))

console.log('Two clerks look at the same version; the second one has not seen what the first did')
const { version: seen } = await tickets.load('1')
const asSeen = { expectedVersion: seen }
await tell('first clerk', () => tickets.execute('1', 'changeSeat', 'B2', asSeen))
await tell('second clerk', () => tickets.execute('1', 'changeSeat', 'C3', asSeen))
// Without an expected version the command is decided again on the newest state, by itself.
await tell('second clerk, who does not mind', () => tickets.execute('1', 'changeSeat', 'C3'))
await store.close()

if (url.startsWith('sqlite:')) {
  console.log('A full disk, made by a limit of 60 pages on the connection')
  // A connection of yours may be handed in; it stays yours to close.
  const connection = new DatabaseSync(url.slice('sqlite:'.length))
  const full = await openStore(url, { connection })
  connection.exec('PRAGMA max_page_count = 60')
  const large = { type: 'PosterUploaded', data: { picture: 'x'.repeat(300_000) } }
  await tell('a poster of 300 kB', () => full.append('poster-1', large))
  const { state } = await full.aggregate(Ticket).load('1')
  console.log(`  the ticket can be read meanwhile: seat ${state.seat}`)
  connection.exec('PRAGMA max_page_count = 1000000')
  await tell('with room again', () => full.append('poster-1', large))
  await full.close()
  connection.close()
}

const faulty = await outage(url)
console.log(`An outage: ${faulty.what}`)
const office = faulty.store.aggregate(Ticket)
// The id makes a repetition safe: whatever became of a try, the refund is made once.
const refund = () => office.execute('1', 'refund', undefined, { commandId: 'refund-1' })
faulty.strike()
await tell('refund', refund)
faulty.mend()
await untilItWorks(refund)
await tell('the same refund again', refund)
const types = await faulty.store.readStream('ticket-1').toArray()
console.log(`  ${types.map(({ type }) => type).join(', ')}`)
await faulty.close()

/** Repeats what may succeed later, a bounded number of times. */
async function untilItWorks(call: () => Promise<unknown>): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await call()
      return
    } catch (error) {
      if (!isRetryable(error) || tries === 20) throw error
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}
