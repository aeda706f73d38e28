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
export { type StoreMutant, storeMutants } from './mutants/index.ts'
export { type StoreHooks, wrapStore } from './wrap.ts'
