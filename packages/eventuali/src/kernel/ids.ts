import { hash } from 'node:crypto'
import type { Clock } from './clock.ts'
import type { Random } from './random.ts'

/** The ten random bytes of an id as text, twenty digits of them, drawn for many ids at once. */
const DRAWN_ID_COUNT = 64
const RANDOM_BYTES_PER_ID = 10
const RANDOM_DIGITS_PER_ID = 20

/** The first digit of a UUID's fourth group, by any digit: its two upper bits are fixed. */
function variantDigit(digit: string): string {
  return ((Number.parseInt(digit, 16) & 0x3) | 0x8).toString(16)
}

const variantDigits: Readonly<Record<string, string>> = Object.fromEntries(
  Array.from('0123456789abcdef', (digit) => [digit, variantDigit(digit)]),
)

/** Draws ids. Hand in your own to make a run repeatable. */
export interface IdSource {
  /** A new id: a lower-case UUID. */
  next(): string
}

/**
 * UUIDv7 (RFC 9562): 48 bits of time in front, so that ids sort roughly by age.
 *
 * @example
 * ```ts
 * import { systemClock, systemRandom, uuidV7Source } from 'eventuali'
 *
 * console.log(uuidV7Source(systemClock, systemRandom).next().length) // 36
 * ```
 */
export function uuidV7Source(clock: Clock, random: Random): IdSource {
  let digits = ''
  let used = 0
  let millisecond = Number.NaN
  let front = ''
  return {
    next: () => {
      const now = Math.trunc(clock.now())
      if (now !== millisecond) {
        millisecond = now
        const time = now.toString(16).padStart(12, '0')
        front = `${time.slice(0, 8)}-${time.slice(8)}-7`
      }
      if (used + RANDOM_DIGITS_PER_ID > digits.length) {
        const bytes = random.bytes(DRAWN_ID_COUNT * RANDOM_BYTES_PER_ID)
        digits = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
        used = 0
      }
      const at = used
      used += RANDOM_DIGITS_PER_ID
      const variant = variantDigits[digits.charAt(at + 3)]
      return `${front}${digits.slice(at, at + 3)}-${variant}${digits.slice(at + 4, at + 7)}-${digits.slice(at + 7, at + 19)}`
    },
  }
}

/**
 * A name-based UUID in the layout of version 5 (RFC 9562): the same parts give the same id. The
 * way to idempotent event ids from something that has a name already.
 *
 * @example
 * ```ts
 * import { uuidV5 } from 'eventuali'
 *
 * console.log(uuidV5('invoice', 7) === uuidV5('invoice', 7)) // true
 * ```
 */
export function uuidV5(...parts: readonly (string | number)[]): string {
  // Lengths in front keep ('a', 'bc') and ('ab', 'c') apart.
  let name = 'eventuali'
  for (const part of parts) {
    const text = String(part)
    name += `\u0000${text.length}:${text}`
  }
  const digest = hash('sha1', name, 'hex')
  const variant = variantDigits[digest.charAt(16)]
  return `${digest.slice(0, 8)}-${digest.slice(8, 12)}-5${digest.slice(13, 16)}-${variant}${digest.slice(17, 20)}-${digest.slice(20, 32)}`
}
