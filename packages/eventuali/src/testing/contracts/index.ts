export { type BindOptions, bindVitest, type TestRunner } from './bind.ts'
export {
  EventStoreContext,
  type EventStoreSubject,
  type ForeignTransaction,
  runStoreCase,
} from './context.ts'
export { type Contract, type ContractCase, skipReason } from './contract.ts'
export { eventStoreContract } from './event-store.ts'
export { rolledBack } from './steps.ts'
