import { shownText } from '../kernel/index.ts'
import { InvalidArgumentError } from '../model/index.ts'

/** A length of time: `'30 minutes'`, `'1h 30m'`, ISO 8601 (`'PT30M'`), or milliseconds. */
export type Duration = string | number

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const WEEK_MS = 7 * DAY_MS
/** A hundred years: what is longer is a slip of the keyboard. */
const DURATION_MAX_MS = 36_525 * DAY_MS

const unitMs: ReadonlyMap<string, number> = new Map([
  ...['ms', 'millisecond', 'milliseconds'].map((unit) => [unit, 1] as const),
  ...['s', 'sec', 'second', 'seconds'].map((unit) => [unit, SECOND_MS] as const),
  ...['m', 'min', 'minute', 'minutes'].map((unit) => [unit, MINUTE_MS] as const),
  ...['h', 'hour', 'hours'].map((unit) => [unit, HOUR_MS] as const),
  ...['d', 'day', 'days'].map((unit) => [unit, DAY_MS] as const),
  ...['w', 'week', 'weeks'].map((unit) => [unit, WEEK_MS] as const),
])

const calendarUnits = new Set(['month', 'months', 'mo', 'y', 'year', 'years'])

const ISO =
  /^P(?:(\d+(?:\.\d+)?)W)?(?:(\d+(?:\.\d+)?)D)?(?:T(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?$/
const ISO_CALENDAR = /^P(?:\d+(?:\.\d+)?[YM])/
const PART = /(\d+(?:\.\d+)?)\s*([a-z]+)/gy

function refuse(value: unknown, why: string): InvalidArgumentError {
  return new InvalidArgumentError('duration', `${shownText(value)} ${why}`)
}

function isoMs(text: string): number | undefined {
  const match = ISO.exec(text)
  if (match === null || text.endsWith('T') || text === 'P') return undefined
  const parts = [WEEK_MS, DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS]
  return parts.reduce((sum, ms, index) => sum + Number(match[index + 1] ?? 0) * ms, 0)
}

function wordsMs(text: string, given: unknown): number | undefined {
  let sum = 0
  let end = 0
  PART.lastIndex = 0
  for (let match = PART.exec(text); match !== null; match = PART.exec(text)) {
    const [, count, unit = ''] = match
    if (calendarUnits.has(unit)) throw noCalendar(given)
    const ms = unitMs.get(unit)
    if (ms === undefined) throw refuse(given, `has the unit "${unit}"; use ms, s, m, h, d or w`)
    sum += Number(count) * ms
    end = PART.lastIndex
    while (text[end] === ' ' || text[end] === ',') end += 1
    PART.lastIndex = end
  }
  return end > 0 && end === text.length ? sum : undefined
}

function noCalendar(given: unknown): InvalidArgumentError {
  return refuse(given, 'counts months or years, which differ in length; give a date or a pattern')
}

/**
 * The milliseconds of a duration. A day is 24 hours, whatever the clocks do. Throws
 * InvalidArgumentError for what is no duration, is negative, or longer than a hundred years.
 *
 * @example
 * ```ts
 * import { durationMs } from 'eventuali'
 *
 * console.log(durationMs('1h 30m') === durationMs('PT90M')) // true
 * ```
 */
export function durationMs(duration: Duration): number {
  const ms = typeof duration === 'number' ? duration : textMs(duration)
  if (!Number.isFinite(ms) || ms < 0) throw refuse(duration, 'is not 0 or more')
  if (ms > DURATION_MAX_MS) throw refuse(duration, 'is longer than a hundred years')
  return Math.round(ms)
}

function textMs(duration: unknown): number {
  if (typeof duration !== 'string') throw refuse(duration, 'is no text and no number')
  const text = duration.trim()
  if (ISO_CALENDAR.test(text)) throw noCalendar(duration)
  const ms = text.startsWith('P') ? isoMs(text) : wordsMs(text.toLowerCase(), duration)
  if (ms !== undefined) return ms
  throw refuse(duration, "is no duration; write '30 minutes', '1h 30m' or 'PT30M'")
}
