import { uuidV5 } from '../../kernel/index.ts'
import type { RecordedEvent } from '../../model/index.ts'
import type { RecordChange, RecordReads, StoredRecord } from '../../ports/index.ts'
import { letterPrefix, recordKinds } from './values.ts'

/**
 * `parked`: waits for somebody. `requested`: the partition's owner handles it again. `done`: was
 * handled in the end. `discarded`: will not be handled, for a reason that was given.
 */
export type LetterState = 'parked' | 'requested' | 'done' | 'discarded'

/** What is kept of the error that a handler threw. */
export type LetterError = {
  readonly name: string
  readonly message: string
  readonly code: string
  /** The first frames: where it came from. Letters of earlier versions of the library have none. */
  readonly stack?: string
}

/** Value of a `letter` record. The event itself stays in the log. */
export type LetterValue = {
  readonly subscription: string
  readonly position: number
  readonly stream: string
  readonly version: number
  readonly type: string
  readonly eventId: string
  /** The event's key: what its order goes by. */
  readonly key: string
  /** Whether later events of the key wait behind it. */
  readonly ordered: boolean
  /** `follows`: never handed over, since an earlier event of its key is parked. */
  readonly reason: 'failed' | 'follows'
  readonly error: LetterError | null
  readonly attempts: number
  /** Milliseconds since the epoch. */
  readonly parkedAt: number
  /** Why it was discarded. */
  readonly note: string
  /** When it was done or discarded; letters of earlier versions of the library do not tell. */
  readonly finishedAt?: number
}

const TEXT_LENGTH_MAX = 2000
const STACK_LENGTH_MAX = 900
const POSITION_DIGITS = 16

function bounded(text: string, lengthMax: number = TEXT_LENGTH_MAX): string {
  const cut = text.length > lengthMax ? `${text.slice(0, lengthMax)}…` : text
  // A database's text holds neither a lone surrogate (which the cut may leave) nor U+0000.
  return cut.toWellFormed().replaceAll('\u0000', '\uFFFD')
}

/** The frames of a stack without the message, which stands before them. */
function framesOf(stack: string): string {
  const first = /^ +at /m.exec(stack)?.index ?? 0
  return bounded(stack.slice(first), STACK_LENGTH_MAX)
}

/** What is kept of an error: short texts, whatever was thrown. */
export function storedError(error: unknown): LetterError {
  try {
    const { name, message, code, stack } = (error ?? {}) as Partial<Record<string, unknown>>
    return {
      name: bounded(typeof name === 'string' ? name : typeof error),
      message: bounded(typeof message === 'string' ? message : String(error)),
      code: bounded(typeof code === 'string' ? code : ''),
      ...(typeof stack === 'string' ? { stack: framesOf(stack) } : {}),
    }
  } catch {
    return { name: 'unknown', message: 'an error that cannot be shown', code: '' }
  }
}

/** What the ids of the letters of one key begin with; they go on with the position. */
export function keyPrefix(name: string, key: string): string {
  return `${letterPrefix(name)}${uuidV5('letter-key', key)}/`
}

function letterId(name: string, key: string, position: number): string {
  return keyPrefix(name, key) + String(position).padStart(POSITION_DIGITS, '0')
}

/** The record of a new letter. Made once: an event of a subscription has one letter at most. */
export function newLetter(
  name: string,
  event: RecordedEvent,
  letter: Pick<LetterValue, 'key' | 'ordered' | 'reason' | 'error' | 'attempts' | 'parkedAt'>,
): RecordChange {
  const { position, stream, version, type, id } = event
  const value: LetterValue = {
    ...{ subscription: name, position, stream, version, type, eventId: id, note: '' },
    ...letter,
  }
  return {
    kind: recordKinds.letter,
    key: letterId(name, letter.key, position),
    // A letter of a position that was handled before the subscription was reset gives way.
    expected: 'any',
    value,
    state: 'parked',
  }
}

/** A letter's record in another state. */
export function movedLetter(
  record: StoredRecord,
  state: LetterState,
  patch: Partial<LetterValue> = {},
): RecordChange {
  const value: LetterValue = { ...letterValue(record), ...patch }
  return { kind: recordKinds.letter, key: record.key, expected: record.revision, value, state }
}

export function letterValue(record: StoredRecord): LetterValue {
  return record.value as LetterValue
}

const PAGE = 1000

/** All letters in a state, of a subscription (or of a key's prefix), by key and position. */
export async function* lettersIn(
  records: RecordReads,
  prefix: string | undefined,
  state: LetterState,
): AsyncGenerator<StoredRecord, void, void> {
  for (let after: string | undefined; ; ) {
    const query = { kind: recordKinds.letter, prefix, state, after, limit: PAGE }
    const found = await records.list(query)
    yield* found
    after = found.at(-1)?.key
    if (found.length < PAGE) return
  }
}

/** The first letter of a key that is neither done nor discarded: what the key waits for. */
export async function headOfKey(
  records: RecordReads,
  name: string,
  key: string,
): Promise<StoredRecord | undefined> {
  const prefix = keyPrefix(name, key)
  const list = (state: LetterState) =>
    records.list({ kind: recordKinds.letter, prefix, state, limit: 1 })
  const [parked] = await list('parked')
  const [requested] = await list('requested')
  if (parked === undefined || requested === undefined) return parked ?? requested
  return parked.key < requested.key ? parked : requested
}

/**
 * What makes a key go on behind a letter that is done or discarded in this transaction: the next
 * one has only waited for it. Nothing when the key is through, or goes on already.
 */
export async function requestNext(
  records: RecordReads,
  { subscription, key, ordered }: LetterValue,
): Promise<readonly RecordChange[]> {
  if (!ordered) return []
  const next = await headOfKey(records, subscription, key)
  return next?.state === 'parked' ? [movedLetter(next, 'requested')] : []
}
