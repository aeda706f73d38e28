import type { Entry } from './entry.ts'

interface Held {
  readonly checksum: number
  readonly state: unknown
  readonly bytes: number
}

/** A value of JSON that nobody can change any more, since many loads share it. */
function frozen(value: unknown): unknown {
  if (typeof value === 'object' && value !== null) {
    for (const part of Object.values(value)) frozen(part)
    Object.freeze(value)
  }
  return value
}

/**
 * States of this program's kept ones that have been read already, so that the next load need not
 * unpack and parse them. The record is asked for all the same, and its checksum must be that of
 * the held state: what others write, drop or retire counts at once.
 */
export class HeldStates {
  // In the order of use: what is used is put behind.
  readonly #held = new Map<string, Held>()
  readonly #bytesMax: number
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get(entry: Entry): unknown {
    const key = keyOf(entry)
    const held = this.#held.get(key)
    if (held === undefined || held.checksum !== entry.checksum) return undefined
    this.#held.delete(key)
    this.#held.set(key, held)
    return held.state
  }

  /** `json` is the length of the state's text, which stands for its size. */
  set(entry: Entry, parsed: unknown, json: number): unknown {
    const key = keyOf(entry)
    this.#remove(key)
    if (json > this.#bytesMax) return parsed
    const state = frozen(parsed)
    this.#held.set(key, { checksum: entry.checksum, state, bytes: json })
    this.#bytes += json
    for (const oldest of this.#held.keys()) {
      if (this.#bytes <= this.#bytesMax) break
      this.#remove(oldest)
    }
    return state
  }

  #remove(key: string): void {
    this.#bytes -= this.#held.get(key)?.bytes ?? 0
    this.#held.delete(key)
  }
}

/** Programs with other code hold other states of the same stream. */
function keyOf({ fingerprint, stream }: Entry): string {
  return `${fingerprint}\n${stream}`
}
