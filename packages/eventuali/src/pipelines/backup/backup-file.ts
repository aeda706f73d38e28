/** What a backup says at its beginning. */
export interface BackupBegin {
  /** Of the store it was made of. */
  readonly incarnation: string
  readonly adapter: string
  /** Milliseconds since the epoch, by the clock of the program that made it. */
  readonly createdAt: number
  /** The events in it are above this position; 0 for a full one. */
  readonly from: number
  /** Inclusive: the safe position when it was made. */
  readonly upTo: number
  /** The backup that this one goes on from; null for a full one. */
  readonly base: { readonly link: string; readonly position: number } | null
}

/** What it says at its end. */
export interface BackupEnd {
  readonly events: number
  readonly records: number
  /** Events among them that do not match their checksum, and did not in the store. */
  readonly damaged: number
  /** The last event of it, or of its base when there is none in it. */
  readonly last: { readonly position: number; readonly id: string } | null
}

/** One file of a backup, as far as its beginning and its end tell. */
export interface BackupFile extends BackupBegin, BackupEnd {
  readonly file: string
  readonly bytes: number
  readonly encrypted: boolean
  /** The SHA-256 at its end, in hex: what an increment calls its base by. */
  readonly link: string
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0

/** The beginning of a text. Throws for what is none. */
export function beginOf(text: string): BackupBegin {
  const begin = JSON.parse(text) as BackupBegin
  const { incarnation, adapter, createdAt, from, upTo, base } = begin
  const isBase = base === null || (typeof base?.link === 'string' && base.position === from)
  const named = typeof incarnation === 'string' && typeof adapter === 'string'
  if (!named || ![createdAt, from, upTo].every(isCount) || from > upTo || !isBase) {
    throw new TypeError('it does not begin as a backup')
  }
  return begin
}

/** The end of a text. Throws for what is none. */
export function endOf(text: string): BackupEnd {
  const end = JSON.parse(text) as BackupEnd
  if (![end.events, end.records, end.damaged].every(isCount)) {
    throw new TypeError('it does not end as a backup')
  }
  return end
}
