import { appendMutants } from './append-mutants.ts'
import type { StoreMutant } from './mutant.ts'
import { readMutants } from './read-mutants.ts'
import { stateMutants } from './state-mutants.ts'

export type { StoreMutant } from './mutant.ts'

/** Broken stores, as decorators: the event store contract must catch each of them. */
export const storeMutants: readonly StoreMutant[] = [
  ...appendMutants,
  ...readMutants,
  ...stateMutants,
]
