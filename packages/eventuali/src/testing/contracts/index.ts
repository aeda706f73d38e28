export { type BindOptions, bindVitest, type TestRunner } from './bind.ts'
export { type BrokerSubject, brokerContract, runBrokerCase } from './broker.ts'
export {
  type CheckpointStore,
  type CheckpointsOf,
  checkpointsOf,
  type HeldCheckpoint,
} from './checkpoint.ts'
export { checkpointContract } from './checkpoint-cases.ts'
export {
  EventStoreContext,
  type EventStoreSubject,
  type ForeignTransaction,
  runStoreCase,
} from './context.ts'
export { type Contract, type ContractCase, skipReason } from './contract.ts'
export { eventStoreContract } from './event-store.ts'
export { type JoinLease, joinLease, type LeaseMember, type LeaseOptions } from './lease.ts'
export { leaseContract } from './lease-cases.ts'
export { type OpenSchedules, openSchedules, type ScheduleService } from './schedule.ts'
export { scheduleContract } from './schedule-cases.ts'
export { rolledBack } from './steps.ts'
