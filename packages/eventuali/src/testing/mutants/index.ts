import { appendMutants } from './append-mutants.ts'
import { backupMutants } from './backup-mutants.ts'
import { modelMutants } from './model-mutants.ts'
import type { StoreMutant } from './mutant.ts'
import { readMutants } from './read-mutants.ts'
import { recodeMutants } from './recode-mutants.ts'
import { recordMutants } from './record-mutants.ts'
import { stateMutants } from './state-mutants.ts'
import { unitMutants } from './unit-mutants.ts'

export { brokerMutants } from './broker-mutants.ts'
export { checkpointMutants } from './checkpoint-mutants.ts'
export { leaseMutants } from './lease-mutants.ts'
export type { PortMutant, StoreMutant } from './mutant.ts'
export { scheduleMutants } from './schedule-mutants.ts'

/**
 * Broken stores, as decorators: the event store contract must catch each of them. For those who
 * write cases of their own and want to know that they catch something.
 *
 * @example
 * ```ts
 * import { storeMutants } from 'eventuali/testing'
 *
 * for (const mutant of storeMutants) console.log(mutant.name, 'fails at', mutant.caughtBy)
 * ```
 */
export const storeMutants: readonly StoreMutant[] = [
  ...appendMutants,
  ...readMutants,
  ...stateMutants,
  ...recordMutants,
  ...modelMutants,
  ...unitMutants,
  ...recodeMutants,
  ...backupMutants,
]
