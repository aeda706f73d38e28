import { InvalidArgumentError, Option } from 'commander'

/** The option that every command has. */
export const storeOption = (): Option =>
  new Option(
    '-s, --store <url>',
    "sqlite:FILE, postgres://…, http://… or a store's name; EVENTUALI_STORE, or the configuration's",
  )

/** The option for output that programs read. */
export const jsonOption = (what: string): Option => new Option('--json', what)

/** The same of a command that changes something. */
export const outcomeOption = (): Option => jsonOption('what was done, as one line of JSON')

/** A whole number within bounds. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= least && value <= most) return value
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`)
  }
}

/** Collects an option that may be given more than once. */
export function repeated(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), text]
}

/** A place in a log or stream: a number, or a moment. */
export type Bound = { readonly number: number } | { readonly time: Date }

const TIME = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?$/i

/** Reads `17` or `2013-01-31` (midnight, UTC) or `2013-01-31T10:15:00Z`. */
export function bound(text: string): Bound {
  if (/^\d+$/.test(text) && Number.isSafeInteger(Number(text))) return { number: Number(text) }
  const time = new Date(text)
  if (TIME.test(text) && !Number.isNaN(time.getTime())) return { time }
  throw new InvalidArgumentError(
    'It must be a number, a date (2013-01-31) or a time with a zone (2013-01-31T10:15:00Z).',
  )
}

const INTEGER = /^-?\d+$/

/** JSON from the command line; integers that a number cannot keep exactly are refused. */
export function json(text: string): unknown {
  const check = (key: string, value: unknown, context?: { readonly source?: string }): unknown => {
    const source = context?.source
    const isInteger = typeof value === 'number' && source !== undefined && INTEGER.test(source)
    // One that is beyond all numbers has any number of digits, over which BigInt takes its time.
    if (isInteger && (!Number.isFinite(value) || BigInt(source) !== BigInt(value))) {
      throw new RangeError(`${key === '' ? 'it' : key} is too large for an exact number`)
    }
    return value
  }
  try {
    return JSON.parse(text, check as (key: string, value: unknown) => unknown)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new InvalidArgumentError(
      `It must be JSON (${reason}). In most shells: '{"total": 30}', with single quotes around.`,
    )
  }
}
