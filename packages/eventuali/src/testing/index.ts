/**
 * What tests are made of: specifications, contracts of the ports, faults, simulation.
 *
 * @module eventuali/testing
 */

export { type MemoryStoreOptions, openMemoryStore } from '../stores/memory/index.ts'
export { type MemoryBroker, memoryBroker } from './broker.ts'
export { type ManualClock, manualClock } from './clock.ts'
export {
  type BindOptions,
  type BrokerSubject,
  bindVitest,
  brokerContract,
  type CheckpointStore,
  type CheckpointsOf,
  type Contract,
  type ContractCase,
  checkpointContract,
  checkpointsOf,
  type EventStoreContext,
  type EventStoreSubject,
  eventStoreContract,
  type ForeignTransaction,
  type HeldCheckpoint,
  type JoinLease,
  joinLease,
  type LeaseMember,
  type LeaseOptions,
  leaseContract,
  type OpenSchedules,
  openSchedules,
  runBrokerCase,
  runStoreCase,
  type ScheduleService,
  scheduleContract,
  type TestRunner,
} from './contracts/index.ts'
export { type FaultPlan, type FaultyStore, withFault } from './faults.ts'
export {
  brokerMutants,
  checkpointMutants,
  leaseMutants,
  type PortMutant,
  type StoreMutant,
  scheduleMutants,
  storeMutants,
} from './mutants/index.ts'
export {
  type FaultCounts,
  type FaultOptions,
  type Machine,
  type Simulation,
  SimulationError,
  type SimulationOptions,
  type SimulationReport,
  simulate,
} from './simulation/index.ts'
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
