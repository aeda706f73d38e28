export { type MemoryStoreOptions, openMemoryStore } from '../stores/memory/index.ts'
export { type MemoryBroker, memoryBroker } from './broker.ts'
export { type ManualClock, manualClock } from './clock.ts'
export {
  type BindOptions,
  bindVitest,
  type Contract,
  type ContractCase,
  type EventStoreContext,
  type EventStoreSubject,
  eventStoreContract,
  type ForeignTransaction,
  runStoreCase,
  type TestRunner,
} from './contracts/index.ts'
export { type FaultPlan, type FaultyStore, withFault } from './faults.ts'
export { type StoreMutant, storeMutants } from './mutants/index.ts'
export {
  type Expectation,
  type FieldsOf,
  type GivenAggregate,
  type GivenDecision,
  type GivenOptions,
  type GivenProcess,
  type GivenProcessOptions,
  given,
  givenProcess,
  type Rejection,
  type SpecInput,
} from './specification/index.ts'
export { type StoreHooks, wrapStore } from './wrap.ts'
