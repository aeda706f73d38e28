const PATTERN =
  /^(\d{4}|[+-]\d{6})-(\d\d)-(\d\d)[Tt ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:[Zz]|[+-]\d\d:\d\d)$/

const TWO_DIGITS = 0x30 * 11

/** Two digits at a place of a text, or -1. */
function twoDigits(text: string, at: number): number {
  const tens = text.charCodeAt(at)
  const ones = text.charCodeAt(at + 1)
  if (tens < 0x30 || tens > 0x39 || ones < 0x30 || ones > 0x39) return -1
  return tens * 10 + ones - TWO_DIGITS
}

/** The commonest form, `2013-01-31T10:15:00Z`, in a third of the time; undefined for the others. */
function plainTimeOf(text: string): number | undefined {
  if (text.length !== 20 || text[4] !== '-' || text[7] !== '-' || text[10] !== 'T') return undefined
  if (text[13] !== ':' || text[16] !== ':' || text[19] !== 'Z') return undefined
  const century = twoDigits(text, 0)
  const year = twoDigits(text, 2)
  const month = twoDigits(text, 5)
  const day = twoDigits(text, 8)
  const hour = twoDigits(text, 11)
  const minute = twoDigits(text, 14)
  const second = twoDigits(text, 17)
  if (century < 1 || year < 0 || month < 1 || month > 12 || day < 1 || day > 28) return undefined
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59) return undefined
  if (second < 0 || second > 59) return undefined
  return Date.UTC(century * 100 + year, month - 1, day, hour, minute, second)
}

/**
 * Milliseconds since the epoch of an RFC 3339 time with a zone; undefined for anything else.
 * `Date.parse` alone would take "2013", local times and the 30th of February.
 */
export function timeOf(text: unknown): number | undefined {
  if (typeof text !== 'string') return undefined
  const plain = plainTimeOf(text)
  if (plain !== undefined) return plain
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
