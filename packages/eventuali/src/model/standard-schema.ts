import type { StandardSchemaV1 } from '@standard-schema/spec'
import { ValidationError, type ValidationIssue } from './errors.ts'

declare const carried: unique symbol

/** A schema that exists for the compiler only; made by `type<T>()`. */
export interface TypeOnly<T> {
  readonly kind: 'type-only'
  readonly [carried]?: T
}

/** What describes the data of an event: any Standard Schema, or a type. */
export type EventSchema = StandardSchemaV1 | TypeOnly<unknown>

/** What a creator takes. */
export type SchemaInput<S> =
  S extends TypeOnly<infer T>
    ? T
    : S extends StandardSchemaV1
      ? StandardSchemaV1.InferInput<S>
      : never

/** What is stored and read back: the validator's output. */
export type SchemaOutput<S> =
  S extends TypeOnly<infer T>
    ? T
    : S extends StandardSchemaV1
      ? StandardSchemaV1.InferOutput<S>
      : never

const typeOnly: TypeOnly<never> = Object.freeze({ kind: 'type-only' })

/**
 * Describes the data of an event by its type alone: nothing is checked at run time. For data that
 * comes from your own code; give data from outside a validator.
 *
 * @example
 * ```ts
 * import { defineEvents, type } from 'eventuali'
 *
 * const events = defineEvents({ OrderShipped: type<{ carrier: string }>() })
 * console.log(events.OrderShipped({ carrier: 'dhl' }))
 * ```
 */
export function type<T>(): TypeOnly<T> {
  return typeOnly as TypeOnly<T>
}

/** Whether a value is a Standard Schema; some libraries' schemas are functions. */
export function isStandardSchema(value: unknown): value is StandardSchemaV1 {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false
  const standard = (value as { readonly '~standard'?: { readonly validate?: unknown } })[
    '~standard'
  ]
  return typeof standard === 'object' && typeof standard?.validate === 'function'
}

/** Whether a value came from `type<T>()`. */
export function isTypeOnly(value: unknown): value is TypeOnly<unknown> {
  return value === typeOnly || (value as { kind?: unknown } | null)?.kind === 'type-only'
}

function pathText(path: StandardSchemaV1.Issue['path']): string {
  let text = ''
  for (const segment of path ?? []) {
    const key = typeof segment === 'object' ? segment.key : segment
    text += typeof key === 'number' ? `[${key}]` : `.${String(key)}`
  }
  return text === '' ? '' : `data${text}`
}

function outputOf(type: string, result: StandardSchemaV1.Result<unknown>): unknown {
  if (result.issues === undefined) return result.value
  const issues: ValidationIssue[] = result.issues.map((issue) => ({
    path: pathText(issue.path),
    message: issue.message,
  }))
  throw new ValidationError(type, issues)
}

/**
 * The validator's output; a promise only when the validator is asynchronous.
 * Throws (or rejects with) ValidationError.
 */
export function validate(
  type: string,
  schema: StandardSchemaV1,
  data: unknown,
): unknown | Promise<unknown> {
  const result = schema['~standard'].validate(data)
  if (result instanceof Promise) return result.then((settled) => outputOf(type, settled))
  return outputOf(type, result)
}
