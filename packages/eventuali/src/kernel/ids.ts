import { hash } from 'node:crypto'
import type { Clock } from './clock.ts'
import type { Random } from './random.ts'

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).padStart(2, '0'),
)

/** Draws ids. Hand in your own to make a run repeatable. */
export interface IdSource {
  /** A new id: a lower-case UUID. */
  next(): string
}

function format(b: Uint8Array): string {
  const h = (i: number): string => HEX[b[i] as number] as string
  return `${h(0)}${h(1)}${h(2)}${h(3)}-${h(4)}${h(5)}-${h(6)}${h(7)}-${h(8)}${h(9)}-${h(10)}${h(11)}${h(12)}${h(13)}${h(14)}${h(15)}`
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
  return {
    next: () => {
      const bytes = Uint8Array.from(random.bytes(16))
      const now = clock.now()
      const high = Math.floor(now / 2 ** 32)
      bytes[0] = (high >>> 8) & 0xff
      bytes[1] = high & 0xff
      bytes[2] = (now >>> 24) & 0xff
      bytes[3] = (now >>> 16) & 0xff
      bytes[4] = (now >>> 8) & 0xff
      bytes[5] = now & 0xff
      bytes[6] = ((bytes[6] as number) & 0x0f) | 0x70
      bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80
      return format(bytes)
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
  const variant = HEX[(Number.parseInt(digest.slice(16, 18), 16) & 0x3f) | 0x80] as string
  return `${digest.slice(0, 8)}-${digest.slice(8, 12)}-5${digest.slice(13, 16)}-${variant}${digest.slice(18, 20)}-${digest.slice(20, 32)}`
}
