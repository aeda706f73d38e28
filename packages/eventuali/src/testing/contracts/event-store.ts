import type { EventStoreContext } from './context.ts'
import { type Contract, defineContract } from './contract.ts'
import { appendCases } from './event-store-append.ts'
import { expectedVersionCases } from './event-store-expected.ts'
import { idempotencyCases } from './event-store-idempotency.ts'

/** Every law of the event store port as cases that any adapter or decorator can be run through. */
export const eventStoreContract: Contract<EventStoreContext> = defineContract('event store', [
  ...appendCases,
  ...expectedVersionCases,
  ...idempotencyCases,
])
