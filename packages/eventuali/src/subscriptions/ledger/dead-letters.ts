import type { Clock, IdSource } from '../../kernel/index.ts'
import { DeadLetterError, InvalidArgumentError } from '../../model/index.ts'
import type { EventStore, StoredRecord, StoreTransaction } from '../../ports/index.ts'
import { auditChange } from './audit.ts'
import { recordsChanged } from './hints.ts'
import { partitionOf } from './key-hash.ts'
import {
  headOfKey,
  type LetterState,
  type LetterValue,
  lettersIn,
  letterValue,
  movedLetter,
  requestNext,
} from './letters.ts'
import { letterPrefix, partitionKeys, recordKinds, type SubscriptionValue } from './values.ts'

/** An event whose handler failed, or that waits behind one. The event itself is in the log. */
export interface DeadLetter extends Omit<LetterValue, 'parkedAt'> {
  readonly id: string
  readonly state: LetterState
  readonly parkedAt: Date
}

/** Which dead letters. */
export interface DeadLetterQuery {
  /** Name of the subscription; all when left out. */
  readonly subscription?: string | undefined
  /** `parked` when left out. */
  readonly state?: LetterState | 'any' | undefined
  /** Id of the last letter of the page before. */
  readonly after?: string | undefined
  /** 100 when left out. */
  readonly limit?: number | undefined
}

/** Who does something by hand; it is written into the audit. */
export interface ActorOption {
  readonly actor?: string | undefined
}

const RETRY_PAGE = 500
const LIMIT = 100

/**
 * The events that handlers could not cope with, of all durable subscriptions of a store: to look
 * at, to handle again, to give up. Whoever owns the partition handles them, on its next look.
 *
 * @example
 * ```ts
 * import { openStore } from 'eventuali'
 *
 * await using store = await openStore('memory:')
 * for (const letter of await store.deadLetters.list({ subscription: 'mailer' })) {
 *   await store.deadLetters.retry(letter.id, { actor: 'ada' })
 * }
 * ```
 */
export class DeadLetters {
  readonly #port: EventStore
  readonly #runtime: { readonly clock: Clock; readonly ids: IdSource }
  readonly #timeoutMs: number

  /** @internal Use `store.deadLetters`. */
  constructor(
    port: EventStore,
    runtime: { readonly clock: Clock; readonly ids: IdSource },
    timeoutMs: number,
  ) {
    this.#port = port
    this.#runtime = runtime
    this.#timeoutMs = timeoutMs
  }

  /** Letters by subscription, key and position. */
  async list(query: DeadLetterQuery = {}): Promise<readonly DeadLetter[]> {
    const { subscription, state = 'parked', after, limit = LIMIT } = query
    for (const [name, value] of Object.entries({ subscription, state, after })) {
      if (value === undefined || typeof value === 'string') continue
      throw new InvalidArgumentError(name, 'must be a text')
    }
    if (!Number.isSafeInteger(limit) || limit < 1) {
      throw new InvalidArgumentError('limit', 'must be a positive integer')
    }
    const found = await this.#port.records.list(
      {
        ...{ kind: recordKinds.letter, after, limit },
        prefix: subscription === undefined ? undefined : letterPrefix(subscription),
        state: state === 'any' ? undefined : state,
      },
      { timeoutMs: this.#timeoutMs },
    )
    return found.map(toLetter)
  }

  /** One letter, or undefined when there is none of this id. */
  async get(id: string): Promise<DeadLetter | undefined> {
    const options = { timeoutMs: this.#timeoutMs }
    const [record] = await this.#port.records.get(recordKinds.letter, [id], options)
    return record === undefined ? undefined : toLetter(record)
  }

  /**
   * Has a letter handled again. Where order is kept, its key goes on from its first letter, one
   * after the other until one fails: what stands behind cannot be handled before. Throws
   * DeadLetterError when the letter is not there or not parked.
   */
  async retry(id: string, { actor = 'unknown' }: ActorOption = {}): Promise<void> {
    await this.#transaction(async (tx) => {
      const letter = await parkedLetter(tx, id)
      const { subscription, key, ordered } = letterValue(letter)
      const head = ordered ? await headOfKey(tx.records, subscription, key) : letter
      const requested = head?.state === 'parked' ? [movedLetter(head, 'requested')] : []
      const audit = { actor, action: 'letter.retry', subject: id }
      await tx.records.write([...requested, auditChange(this.#runtime, audit)])
    })
  }

  /** Has all parked letters of a subscription handled again; gives how many keys or letters. */
  async retryAll(subscription: string, { actor = 'unknown' }: ActorOption = {}): Promise<number> {
    let count = 0
    let lastKey: string | undefined
    let batch: StoredRecord[] = []
    const flush = async () => {
      const changes = batch.map((letter) => movedLetter(letter, 'requested'))
      const details = { letters: changes.length }
      const audit = { actor, action: 'letter.retry-all', subject: subscription, details }
      await this.#transaction((tx) =>
        tx.records.write([...changes, auditChange(this.#runtime, audit)]),
      )
      count += changes.length
      batch = []
    }
    const prefix = letterPrefix(subscription)
    for await (const letter of lettersIn(this.#port.records, prefix, 'parked')) {
      const { ordered, key } = letterValue(letter)
      // The first one of a key pulls the others.
      if (ordered && key === lastKey) continue
      lastKey = ordered ? key : undefined
      batch.push(letter)
      if (batch.length === RETRY_PAGE) await flush()
    }
    if (batch.length > 0) await flush()
    return count
  }

  /**
   * Gives a letter up, for a reason that is kept. Where order is kept and it was the first of its
   * key, the ones behind it go on. Throws DeadLetterError when it is not there or not parked.
   */
  async discard(id: string, options: ActorOption & { readonly reason: string }): Promise<void> {
    const { reason: note, actor = 'unknown' } = options
    if (typeof note !== 'string' || note.trim() === '') {
      throw new InvalidArgumentError('reason', 'must say why the event is given up')
    }
    await this.#transaction(async (tx) => {
      const letter = await parkedLetter(tx, id)
      const value = letterValue(letter)
      const head = await headOfKey(tx.records, value.subscription, value.key)
      const audit = { actor, action: 'letter.discard', subject: id, details: { reason: note } }
      await tx.records.write([
        movedLetter(letter, 'discarded', { note }),
        auditChange(this.#runtime, audit),
      ])
      if (head?.key === id) await tx.records.write(await requestNext(tx.records, value))
    })
  }

  async #transaction<T>(work: (tx: StoreTransaction) => Promise<T>): Promise<T> {
    const result = await this.#port.transaction(work, { timeoutMs: this.#timeoutMs })
    recordsChanged(this.#port)
    return result
  }
}

/** The letter, once no owner can be parking behind it: the partition's record is locked first. */
async function parkedLetter(tx: StoreTransaction, id: string): Promise<StoredRecord> {
  const [seen] = await tx.records.get(recordKinds.letter, [id])
  if (seen === undefined) throw new DeadLetterError(id, 'is not there')
  const { subscription, key } = letterValue(seen)
  const [record] = await tx.records.lock(recordKinds.subscription, [subscription])
  if (record !== undefined) {
    const { generation, partitions } = record.value as SubscriptionValue
    const partition = partitionKeys(subscription, generation, partitions)[
      partitionOf(key, partitions)
    ]
    if (partition !== undefined) await tx.records.lock(recordKinds.partition, [partition])
  }
  const [letter] = await tx.records.lock(recordKinds.letter, [id])
  if (letter?.state !== 'parked') {
    throw new DeadLetterError(id, `is ${letter?.state ?? 'not there'}, not parked`)
  }
  return letter
}

function toLetter(record: StoredRecord): DeadLetter {
  const { parkedAt, ...value } = letterValue(record)
  const state = record.state as LetterState
  return { ...value, id: record.key, state, parkedAt: new Date(parkedAt) }
}
