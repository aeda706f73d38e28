import { InvalidArgumentError } from '../../model/index.ts'

const SCHEMA_NAME = /^[a-z_][a-z0-9_]{0,47}$/

/** Throws InvalidArgumentError for what needs quotes in SQL, or is too long. */
export function assertSchemaName(argument: string, name: unknown): void {
  if (typeof name === 'string' && SCHEMA_NAME.test(name)) return
  const what = 'is not the name of a schema: a plain lower-case one of up to 48 characters'
  throw new InvalidArgumentError(argument, what)
}
