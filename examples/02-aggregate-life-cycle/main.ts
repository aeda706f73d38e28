// A bank account from its first event to its archive. The rules are in account.ts, and need no
// store to be tested; this program gives them one.
import { DomainError, openStore } from 'eventuali'
import { given } from 'eventuali/testing'
import { freshStore } from '../fresh-store.ts'
import { Account } from './account.ts'

// Rules first: given these events, when this command, then that. It runs in microseconds.
given(Account, []).when('withdraw', 5).thenRejects('there is no such account')
console.log('the rules hold without a store')

await using store = await openStore(await freshStore('accounts'))
const accounts = store.aggregate(Account)

// Born: `create` insists that the stream is new.
await accounts.create('ada', 'open', { owner: 'Ada', cents: 100_00 })

// Living: load, decide, append, in one call. `at` gives the same as methods.
await accounts.execute('ada', 'withdraw', 30_00)
const ada = accounts.at('ada')
await ada.deposit(5_00)
const { state, version } = await accounts.load('ada')
console.log(`version ${version}: ${state.owner} has ${euros(state.cents)}`)

// Refused: nothing is stored, and the reason comes back with its numbers.
try {
  await ada.withdraw(500_00)
} catch (error) {
  if (!(error instanceof DomainError)) throw error
  console.log(`refused: ${error.message}`, error.details)
}

// Twenty at once: each is decided on the newest state, nobody's deposit is lost.
await Promise.all(Array.from({ length: 20 }, () => ada.deposit(1_00)))
console.log(`after twenty deposits at once: ${euros((await accounts.load('ada')).state.cents)}`)

// An answer was lost, the app sends the command again: it is done once.
const payment = { commandId: 'rent-november' }
await accounts.execute('ada', 'withdraw', 45_00, payment)
const again = await accounts.execute('ada', 'withdraw', 45_00, payment)
const { cents } = (await accounts.load('ada')).state
console.log(`the rent was paid once: duplicate ${again.duplicate}, ${euros(cents)} are left`)

// Closed: the aggregate knows an end, and says so to whoever comes later.
await ada.withdraw(50_00)
await ada.close('moved to another bank')
await ada.deposit(1).catch((error: Error) => console.log(`refused: ${error.message}`))

// Archived: the stream can be read and no longer be written to. It could be undone.
await store.archive('account-ada', { actor: 'bob', reason: 'closed for ten years' })
await store.append('account-ada', { type: 'Deposited', data: { cents: 1 } }).catch((error) => {
  console.log(`refused: ${error.code}`)
})

// The whole life, as it was lived; the last event is the store's own.
for await (const event of store.readStream('account-ada')) {
  if (event.version <= 3 || event.version > 23) {
    console.log(`  ${String(event.version).padStart(2)} ${event.type}`)
  } else if (event.version === 4) console.log('  .. twenty deposits')
}

function euros(cents: number): string {
  return `${(cents / 100).toFixed(2)} euros`
}
