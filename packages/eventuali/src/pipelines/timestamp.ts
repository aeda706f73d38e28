const PATTERN =
  /^(\d{4}|[+-]\d{6})-(\d\d)-(\d\d)[Tt ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:[Zz]|[+-]\d\d:\d\d)$/

/**
 * Milliseconds since the epoch of an RFC 3339 time with a zone; undefined for anything else.
 * `Date.parse` alone would take "2013", local times and the 30th of February.
 */
export function timeOf(text: unknown): number | undefined {
  if (typeof text !== 'string') return undefined
  const parts = PATTERN.exec(text)
  if (parts === null) return undefined
  const ms = Date.parse(text)
  if (Number.isNaN(ms)) return undefined
  const day = Number(parts[3])
  // Only the last days of a month can be days that the month does not have.
  if (day > 28 && day > daysIn(Number(parts[1]), Number(parts[2]))) return undefined
  return ms
}

function daysIn(year: number, month: number): number {
  // Day 0 of the next month; setUTCFullYear, since Date.UTC takes the years below 100 for 19xx.
  const date = new Date(0)
  date.setUTCFullYear(year, month, 0)
  return date.getUTCDate()
}
