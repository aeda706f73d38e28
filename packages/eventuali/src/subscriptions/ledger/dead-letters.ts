import type { Clock, IdSource } from '../../kernel/index.ts'
import { DeadLetterError, InvalidArgumentError } from '../../model/index.ts'
import type { EventStore, StoredRecord, StoreTransaction } from '../../ports/index.ts'
import { auditChange } from './audit.ts'
import { recordsChanged } from './hints.ts'
import {
  discardAll,
  type LetterBatch,
  type LetterContext,
  lockPartitions,
  pruneLetters,
  requestAll,
} from './letter-batches.ts'
import {
  headOfKey,
  type LetterState,
  type LetterValue,
  letterValue,
  movedLetter,
  requestNext,
} from './letters.ts'
import { letterPrefix, recordKinds } from './values.ts'

/** An event whose handler failed, or that waits behind one. The event itself is in the log. */
export interface DeadLetter extends Omit<LetterValue, 'parkedAt' | 'finishedAt'> {
  readonly id: string
  readonly state: LetterState
  readonly parkedAt: Date
  /** When it was done or discarded. */
  readonly finishedAt?: Date
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

/** Which parked letters of a subscription, and who changes them. */
export interface LetterSelection extends ActorOption {
  /** Only those of this key: what their order goes by, as letters show it. */
  readonly key?: string | undefined
  /** Stops between pages. */
  readonly signal?: AbortSignal | undefined
}

/** Which finished letters are removed. */
export interface LetterPruning extends ActorOption {
  /** Those that were done or discarded before it. */
  readonly before: Date
  /** Name of the subscription; all when left out. */
  readonly subscription?: string | undefined
  /** Stops between pages. */
  readonly signal?: AbortSignal | undefined
}

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

  /**
   * Has all parked letters of a subscription handled again, or those of one `key`; gives how many
   * keys or letters.
   */
  async retryAll(subscription: string, options: LetterSelection = {}): Promise<number> {
    return requestAll(this.#context, batchOf(subscription, options))
  }

  /**
   * Gives a letter up, for a reason that is kept. Where order is kept and it was the first of its
   * key, the ones behind it go on. Throws DeadLetterError when it is not there or not parked.
   */
  async discard(id: string, options: ActorOption & { readonly reason: string }): Promise<void> {
    const { reason: note, actor = 'unknown' } = options
    assertReason(note)
    await this.#transaction(async (tx) => {
      const letter = await parkedLetter(tx, id)
      const value = letterValue(letter)
      const head = await headOfKey(tx.records, value.subscription, value.key)
      const audit = { actor, action: 'letter.discard', subject: id, details: { reason: note } }
      const finishedAt = this.#runtime.clock.now()
      await tx.records.write([
        movedLetter(letter, 'discarded', { note, finishedAt }),
        auditChange(this.#runtime, audit),
      ])
      if (head?.key === id) await tx.records.write(await requestNext(tx.records, value))
    })
  }

  /**
   * Gives all parked letters of a subscription up, or those of one `key`, for a reason that is
   * kept; gives how many. Page by page: what a `signal` or a crash leaves is parked as before.
   *
   * @example
   * ```ts
   * import { openStore } from 'eventuali'
   *
   * await using store = await openStore('memory:')
   * const options = { reason: 'the newsletter is gone', actor: 'ada' }
   * console.log(await store.deadLetters.discardAll('mailer', options)) // 0
   * ```
   */
  async discardAll(
    subscription: string,
    options: LetterSelection & { readonly reason: string },
  ): Promise<number> {
    const { reason } = options
    assertReason(reason)
    return discardAll(this.#context, { ...batchOf(subscription, options), reason })
  }

  /**
   * Removes letters that were done or discarded before a time, of one subscription or of all;
   * gives how many. Parked ones stay, however old. Letters that an earlier version of the library
   * finished go by when they were parked. It takes a page at a time, each with a line in the audit.
   *
   * @example
   * ```ts
   * import { openStore } from 'eventuali'
   *
   * await using store = await openStore('memory:')
   * const before = new Date(Date.now() - 30 * 24 * 60 * 60 * 1000)
   * console.log(await store.deadLetters.prune({ before })) // 0
   * ```
   */
  async prune(options: LetterPruning): Promise<number> {
    const { before, subscription, actor = 'unknown', signal } = options
    if (!(before instanceof Date) || Number.isNaN(before.getTime())) {
      throw new InvalidArgumentError('before', 'must be a valid Date')
    }
    if (subscription !== undefined) assertText('subscription', subscription)
    assertSignal(signal)
    return pruneLetters(this.#context, { before, subscription, actor, signal })
  }

  get #context(): LetterContext {
    return { port: this.#port, runtime: this.#runtime, timeoutMs: this.#timeoutMs }
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
  await lockPartitions(tx, subscription, [key])
  const [letter] = await tx.records.lock(recordKinds.letter, [id])
  if (letter?.state !== 'parked') {
    throw new DeadLetterError(id, `is ${letter?.state ?? 'not there'}, not parked`)
  }
  return letter
}

function assertText(name: string, value: unknown): void {
  if (typeof value === 'string') return
  throw new InvalidArgumentError(name, 'must be a text')
}

function assertReason(reason: unknown): void {
  if (typeof reason === 'string' && reason.trim() !== '') return
  throw new InvalidArgumentError('reason', 'must say why the event is given up')
}

function assertSignal(signal: AbortSignal | undefined): void {
  if (signal === undefined || typeof signal?.throwIfAborted === 'function') return
  throw new InvalidArgumentError('signal', 'must be an AbortSignal')
}

function batchOf(subscription: string, options: LetterSelection): LetterBatch {
  const { key, actor = 'unknown', signal } = options
  assertText('subscription', subscription)
  if (key !== undefined) assertText('key', key)
  assertSignal(signal)
  return { subscription, key, actor, signal }
}

function toLetter(record: StoredRecord): DeadLetter {
  const { parkedAt, finishedAt, ...value } = letterValue(record)
  const state = record.state as LetterState
  const finished = finishedAt === undefined ? {} : { finishedAt: new Date(finishedAt) }
  return { ...value, id: record.key, state, parkedAt: new Date(parkedAt), ...finished }
}
