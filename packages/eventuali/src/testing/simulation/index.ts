export type { FaultCounts, FaultOptions } from './fault-model.ts'
export type { Machine } from './machine.ts'
export {
  type Simulation,
  SimulationError,
  type SimulationOptions,
  type SimulationReport,
  simulate,
} from './simulate.ts'
