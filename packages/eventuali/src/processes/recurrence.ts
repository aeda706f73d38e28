import { Cron } from 'croner'
import { LruMap } from '../kernel/index.ts'
import { InvalidArgumentError, type Json } from '../model/index.ts'
import { type Duration, durationMs } from './duration.ts'

/** How a recurrence reads its pattern. */
export interface RecurrenceOptions {
  /** An IANA name, `Europe/Berlin`; `UTC` when left out. */
  readonly timeZone?: string
  /**
   * What becomes of occurrences that nobody was there for: `all` (default) are fired one after
   * another, or the `latest` of them only.
   */
  readonly missed?: 'all' | 'latest'
}

/** A recurrence as a schedule keeps it: a cron pattern, or a distance. */
export type Recurrence = {
  readonly pattern: string
  readonly timeZone: string
  readonly missed: 'all' | 'latest'
  /** Distance in milliseconds; the pattern is not cron then. */
  readonly everyMs: number | null
} & { readonly [key: string]: Json }

/** Compiled patterns, which are asked again for each occurrence. */
const PATTERN_COUNT_MAX = 256
const compiled = new LruMap<string, Cron>(PATTERN_COUNT_MAX)

/** More occurrences than this are not stepped through to find the latest. */
const STEP_COUNT_MAX = 100_000

function cronOf(pattern: string, timeZone: string): Cron {
  const name = `${timeZone}\n${pattern}`
  const known = compiled.get(name)
  if (known !== undefined) return known
  // Without a function it is a calculator: no timer runs.
  const cron = new Cron(pattern, { timezone: timeZone, paused: true })
  compiled.set(name, cron)
  return cron
}

/**
 * Checks a pattern: five or six cron fields (six: seconds first) or a duration between
 * occurrences. Throws InvalidArgumentError.
 */
export function recurrenceOf(
  pattern: Duration,
  { timeZone = 'UTC', missed = 'all' }: RecurrenceOptions = {},
): Recurrence {
  if (missed !== 'all' && missed !== 'latest') {
    throw new InvalidArgumentError('missed', "is neither 'all' nor 'latest'")
  }
  try {
    new Intl.DateTimeFormat('en', { timeZone })
  } catch {
    throw new InvalidArgumentError('timeZone', `${JSON.stringify(timeZone)} is not known here`)
  }
  if (typeof pattern !== 'string' && typeof pattern !== 'number') {
    throw new InvalidArgumentError('pattern', 'is no text and no number')
  }
  const text = String(pattern)
  const isCron = typeof pattern === 'string' && (/^@\w+$/.test(text) || /\s\S+\s\S+\s/.test(text))
  if (!isCron) {
    const everyMs = durationMs(pattern)
    if (everyMs < 1) throw new InvalidArgumentError('pattern', 'recurs without a pause')
    return { pattern: text, timeZone, missed, everyMs }
  }
  try {
    cronOf(text, timeZone)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new InvalidArgumentError('pattern', `${JSON.stringify(text)} is refused: ${why}`)
  }
  return { pattern: text, timeZone, missed, everyMs: null }
}

/** The first occurrence after a moment (exclusive); undefined when there is none any more. */
export function occurrenceAfter(recurrence: Recurrence, after: number): number | undefined {
  const { everyMs, pattern, timeZone } = recurrence
  if (everyMs !== null) return after + everyMs
  const next = cronOf(pattern, timeZone).nextRun(new Date(after))?.getTime()
  return next === undefined || next <= after ? undefined : next
}

/**
 * The occurrence that follows one that is fired now. Counted from the occurrence, not from the
 * clock: a clock that jumps back makes none come twice, one that jumps ahead loses none. With
 * `missed: 'latest'` those that have passed meanwhile are skipped but for the last.
 */
export function occurrenceFollowing(
  recurrence: Recurrence,
  occurrence: number,
  now: number,
): number | undefined {
  const { everyMs, missed } = recurrence
  if (everyMs !== null && missed === 'latest') {
    return occurrence + everyMs * Math.max(1, Math.floor((now - occurrence) / everyMs))
  }
  let next = occurrenceAfter(recurrence, occurrence)
  if (missed === 'all') return next
  for (let step = 0; next !== undefined && next <= now && step < STEP_COUNT_MAX; step++) {
    const later = occurrenceAfter(recurrence, next)
    if (later === undefined || later > now) return next
    next = later
  }
  return next
}
