import { InvalidNameError } from './errors.ts'

/**
 * The longest stream name, type, tag or id, in UTF-16 units.
 *
 * @example
 * ```ts
 * import { nameLengthMax } from 'eventuali'
 *
 * console.log('order-42'.length <= nameLengthMax) // true
 * ```
 */
export const nameLengthMax = 255

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for.
const CONTROL = /[\u0000-\u001f\u007f]/

function check(kind: 'stream' | 'type' | 'tag' | 'id', value: unknown): asserts value is string {
  if (typeof value !== 'string') throw new InvalidNameError(kind, value, 'is not a string')
  if (value === '') throw new InvalidNameError(kind, value, 'is empty')
  if (value.length > nameLengthMax) {
    throw new InvalidNameError(kind, value, `is longer than ${nameLengthMax} characters`)
  }
  if (CONTROL.test(value)) throw new InvalidNameError(kind, value, 'holds a control character')
  if (!value.isWellFormed()) throw new InvalidNameError(kind, value, 'holds a lone surrogate')
}

/** Throws InvalidNameError unless every store keeps this stream name exactly. */
export function assertStreamName(value: unknown): asserts value is string {
  check('stream', value)
  if (value.startsWith('$')) {
    throw new InvalidNameError('stream', value, 'starts with $, which is kept for the store itself')
  }
}

/** Throws InvalidNameError unless `value` may be the type of a user's event. */
export function assertTypeName(value: unknown): asserts value is string {
  check('type', value)
  if (value.startsWith('$')) {
    throw new InvalidNameError('type', value, 'starts with $, which is kept for the store itself')
  }
}

/** Throws InvalidNameError unless `value` may be a tag. */
export function assertTag(value: unknown): asserts value is string {
  check('tag', value)
}

/** Throws InvalidNameError unless `value` may be an event id. */
export function assertEventId(value: unknown): asserts value is string {
  check('id', value)
}

/**
 * A name that somebody asks for, as databases take it: U+0000 and half of a surrogate pair, which
 * no stored name holds, would be refused by one and be read as another character by others.
 */
export function askedName(name: string): string {
  return name.includes('\u0000') || !name.isWellFormed() ? '\u0001' : name
}
