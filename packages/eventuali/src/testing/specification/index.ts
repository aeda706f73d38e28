export {
  type FieldsOf,
  type GivenAggregate,
  type GivenDecision,
  type GivenOptions,
  given,
  type SpecInput,
} from './given.ts'
export type { Expectation, Rejection } from './outcome.ts'
export { type GivenProcess, type GivenProcessOptions, givenProcess } from './process.ts'
