// An insurer is asked about the past: what did the policy say on a day, who changed it, what
// would a new rule have made of it. Then the whole past is handed over again, to code and to
// other stores.
import { openStore, replay } from 'eventuali'
import { freshStore } from '../fresh-store.ts'
import { DearerPolicy, events, Policy } from './policy.ts'

const url = await freshStore('policies')
await using store = await openStore(url, { events: [events] })

// Events carry their own time, so an old archive can be brought in.
const on = (day: string, actor: string) => ({ time: new Date(day), metadata: { actor } })
await store.append('policy-7', [
  events.PolicyIssued({ holder: 'Ada', yearly: 400 }, on('2021-03-01', 'bob')),
  events.ClaimPaid({ amount: 1500 }, on('2022-06-10', 'claims')),
  events.PremiumChanged({ yearly: 520, why: 'after a claim' }, on('2023-01-01', 'bob')),
  events.PremiumChanged({ yearly: 480, why: 'a letter' }, on('2024-02-15', 'eve')),
])
await store.append(
  'policy-8',
  events.PolicyIssued({ holder: 'Cem', yearly: 300 }, on('2023-05-01', 'bob')),
)
const policies = store.aggregate(Policy)

console.log('As it was')
for (const day of ['2021-12-31', '2022-12-31', '2023-12-31', '2024-12-31']) {
  const { state } = await policies.load('7', { at: new Date(day) })
  console.log(`  ${day}: ${state.yearly} a year, ${state.paidOut} paid out`)
}

console.log('What changed between the first version and today')
for (const { path, before, after } of (await policies.diff('7', { version: 1 })).changes) {
  console.log(`  ${path}: ${before} -> ${after}`)
}

console.log('Who changed the premium, and why')
for await (const { event, before, after } of policies.history('7', '/yearly')) {
  const { why = 'issued' } = event.data as { why?: string }
  const day = event.time.toISOString().slice(0, 10)
  console.log(`  ${day} ${event.metadata.actor}: ${before} -> ${after} (${why})`)
}

console.log('What if claims had raised the premium by a tenth')
const whatIf = await policies.compare('7', DearerPolicy)
console.log(`  equal: ${whatIf.equal}, first difference at ${whatIf.firstDifference?.type}`)
// The later letters set the premium anew, so the ends are the same: no difference is left.
console.log(`  differences today: ${whatIf.changes.length}`)

console.log('The past once more, for a sum that nobody kept')
let paid = 0
const summed = await replay(store, {
  filter: { types: ['ClaimPaid', 'PremiumChanged'] },
  into: ({ type, data }) => {
    if (type === 'ClaimPaid') paid += (data as { amount: number }).amount
  },
})
console.log(`  ${summed.events} events replayed, ${paid} paid out in all`)

console.log('Into another store: ids, times and versions are kept')
await using copy = await openStore('memory:')
await replay(store, { into: { store: copy } })
const { state } = await copy.aggregate(Policy).load('7')
console.log(
  `  the copy says ${state.yearly} a year; its log is ${(await copy.verify()).events} long`,
)

console.log('A store as it was: a fork, to try things in')
const forkUrl = await freshStore('policies-fork')
// A SQLite file, or a schema of the same Postgres database.
const into = forkUrl.startsWith('sqlite:')
  ? forkUrl.slice('sqlite:'.length)
  : (new URL(forkUrl).searchParams.get('schema') ?? '')
const third = (await store.readStream('policy-7', { from: 3, limit: 1 }).toArray())[0]
if (third === undefined) throw new Error('the policy has four events')
const fork = await store.fork({ into, at: third.position })
await using preview = await openStore(forkUrl)
await preview.append('policy-7', events.PremiumChanged({ yearly: 1, why: 'an experiment' }))
console.log(`  the fork took ${fork.events} events; there we may try things:`)
console.log(`  fork  ${(await preview.aggregate(Policy).load('7')).state.yearly} a year`)
console.log(`  store ${(await policies.load('7')).state.yearly} a year`)
