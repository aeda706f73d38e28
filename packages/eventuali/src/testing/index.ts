export {
  type BindOptions,
  bindVitest,
  type Contract,
  type ContractCase,
  defineContract,
  EventStoreContext,
  type EventStoreSubject,
  eventStoreContract,
  type ForeignTransaction,
  runStoreCase,
  skipReason,
  type TestRunner,
} from './contracts/index.ts'
