// Two tenants in one store, and an auditor who asks who did what, why, and on whose behalf. What
// the library does for you today, and what it leaves to you: the README says which is which.
import {
  contextOf,
  defineAggregate,
  defineEvents,
  event,
  isEventualiError,
  openStore,
  reject,
  type,
  withContext,
} from 'eventuali'
import { freshStore } from '../fresh-store.ts'

const contractEvents = defineEvents({
  // The tag is what a tenant's events are found by; the metadata says whose they are.
  ContractSigned: event(type<{ tenant: string; customer: string; yearly: number }>(), {
    tags: ({ tenant }) => [`tenant:${tenant}`],
  }),
  ContractApproved: event(type<{ tenant: string; limit: number }>(), {
    tags: ({ tenant }) => [`tenant:${tenant}`],
  }),
})
const mails = defineEvents({ CustomerTold: type<{ customer: string }>() })

type ContractState = { tenant: string; yearly: number; signedBy: string; approved: boolean }

const Contract = defineAggregate('contract', {
  events: contractEvents,
  initial: (): ContractState => ({ tenant: '', yearly: 0, signedBy: '', approved: false }),
  evolve: {
    ContractSigned: (state, { data, metadata }) => ({
      ...state,
      tenant: data.tenant,
      yearly: data.yearly,
      signedBy: String(metadata.actor),
    }),
    ContractApproved: (state) => ({ ...state, approved: true }),
  },
  commands: {
    sign: (state, input: { tenant: string; customer: string; yearly: number }) =>
      state.tenant === '' ? contractEvents.ContractSigned(input) : reject('it is signed already'),
    // Four eyes, and each tenant its own: rules that belong to the domain.
    approve: (state, input: { tenant: string; limit: number; by: string }) => {
      if (state.tenant !== input.tenant) reject('the contract is of another tenant')
      if (state.signedBy === input.by) reject('somebody else must approve')
      if (state.yearly > input.limit) reject('it is above your limit', { limit: input.limit })
      return contractEvents.ContractApproved({ tenant: input.tenant, limit: input.limit })
    },
  },
})

await using store = await openStore(await freshStore('contracts'), {
  events: [contractEvents, mails],
})

/** A request as the web server would begin it: all that happens inside is marked by itself. */
const request = (tenant: string, actor: string, id: string, work: () => Promise<unknown>) =>
  withContext({ tenant, actor, correlationId: id, ip: '192.0.2.7' }, work)

/** Streams carry the tenant in their names, so that two tenants may have the same number. */
const contract = (tenant: string, number: number) =>
  store.aggregate(Contract).at(`${tenant}.${number}`)

console.log('1. Two tenants')
for (const [tenant, actor] of [
  ['acme', 'ada'],
  ['globex', 'greta'],
] as const) {
  await request(tenant, actor, `r-${tenant}`, () =>
    contract(tenant, 1).sign({ tenant, customer: 'Initech', yearly: 900 }),
  )
}
const ofAcme = await store.readAll({ tags: ['tenant:acme'] }).toArray()
console.log(`  acme sees ${ofAcme.map(({ stream }) => stream)}`)

console.log('2. Rules about people')
const approve = (tenant: string, of: string, by: string) =>
  request(tenant, by, 'r-approval', () => contract(of, 1).approve({ tenant, limit: 1000, by }))
for (const [tenant, of, by] of [
  ['acme', 'acme', 'ada'],
  ['globex', 'acme', 'greta'],
  ['acme', 'acme', 'bob'],
] as const) {
  const outcome = await approve(tenant, of, by).then(
    () => 'approved',
    (error: Error) => error.message,
  )
  console.log(`  ${by} of ${tenant}: ${outcome}`)
}

console.log('3. What follows from an event knows its cause')
const [approved] = await store.readAll({ types: ['ContractApproved'] }).toArray()
if (approved === undefined) throw new Error('acme has approved')
// `contextOf` hands on the tenant and the request, and names the event as the cause.
await withContext({ ...contextOf(approved), actor: 'mailer' }, () =>
  store.append('mail-1', mails.CustomerTold({ customer: 'Initech' })),
)
const [mail] = await store.readStream('mail-1').toArray()
console.log(`  the mail was caused by the approval: ${mail?.metadata.causationId === approved.id}`)

console.log('4. The audit: who, what, on whose behalf, in which request')
for await (const { stream, type, metadata } of store.readAll()) {
  const { actor, tenant, correlationId } = metadata
  console.log(`  ${stream} ${type}: ${actor} for ${tenant} in ${correlationId}`)
}

console.log('5. Operators are audited, too')
await store.archive('contract-globex.1', { actor: 'olga', reason: 'moved to another provider' })
const [archived] = await store.readStream('contract-globex.1', { direction: 'backward' }).toArray()
console.log(`  ${archived?.type} by ${archived?.metadata.actor}: ${JSON.stringify(archived?.data)}`)
const late = contractEvents.ContractApproved({ tenant: 'globex', limit: 1 })
await store.append('contract-globex.1', late).catch((error) => {
  if (isEventualiError(error)) console.log(`  afterwards: ${error.code}`)
})

console.log('6. Proof that the log is whole')
const report = await store.verify()
console.log(`  ${report.events} events, ${report.problems.length} problems`)
