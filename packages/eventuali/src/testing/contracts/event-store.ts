import type { EventStoreContext } from './context.ts'
import { type Contract, defineContract } from './contract.ts'
import { appendCases } from './event-store-append.ts'
import { conditionCases } from './event-store-conditions.ts'
import { dataCases } from './event-store-data.ts'
import { expectedVersionCases } from './event-store-expected.ts'
import { findCases } from './event-store-find.ts'
import { forkCases } from './event-store-fork.ts'
import { handleCases } from './event-store-handles.ts'
import { idempotencyCases } from './event-store-idempotency.ts'
import { inlineCases } from './event-store-inline.ts'
import { isolationCases } from './event-store-isolation.ts'
import { lifecycleCases } from './event-store-lifecycle.ts'
import { logCases } from './event-store-log.ts'
import { modelCases } from './event-store-models.ts'
import { orderCases } from './event-store-order.ts'
import { recodeCases } from './event-store-recode.ts'
import { recordRaceCases } from './event-store-record-races.ts'
import { recordCases } from './event-store-records.ts'
import { restoreCases } from './event-store-restore.ts'
import { savepointAndBarrierCases } from './event-store-savepoints.ts'
import { sizeCases } from './event-store-sizes.ts'
import { streamCases } from './event-store-streams.ts'
import { modelTableCases } from './event-store-tables.ts'
import { textCases } from './event-store-text.ts'
import { transactionCases } from './event-store-transactions.ts'
import { viewCases } from './event-store-view.ts'
import { withinCases } from './event-store-within.ts'

/**
 * Every law of the event store port as cases that any adapter or decorator can be run through.
 *
 * @example
 * ```ts
 * import { eventStoreContract, openMemoryStore, runStoreCase } from 'eventuali/testing'
 *
 * const make = async () => ({ store: await openMemoryStore(), dispose: async () => {} })
 * const [first] = eventStoreContract.cases
 * if (first !== undefined) await runStoreCase(first, make)
 * ```
 */
export const eventStoreContract: Contract<EventStoreContext> = defineContract('event store', [
  ...appendCases,
  ...expectedVersionCases,
  ...idempotencyCases,
  ...conditionCases,
  ...orderCases,
  ...streamCases,
  ...logCases,
  ...lifecycleCases,
  ...transactionCases,
  ...withinCases,
  ...dataCases,
  ...textCases,
  ...sizeCases,
  ...isolationCases,
  ...handleCases,
  ...recordCases,
  ...recordRaceCases,
  ...modelTableCases,
  ...modelCases,
  ...findCases,
  ...inlineCases,
  ...savepointAndBarrierCases,
  ...recodeCases,
  ...forkCases,
  ...viewCases,
  ...restoreCases,
])
