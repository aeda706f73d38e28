import type { Clock } from '../../kernel/index.ts'
import type { RecordedEvent } from '../../model/index.ts'
import type { EventStore, RecordChange, StoredRecord, StoreTransaction } from '../../ports/index.ts'
import type { ConsumerOptions } from '../consumer-options.ts'
import { headOfKey, letterValue, movedLetter, newLetter, requestNext } from '../ledger/letters.ts'
import type { Checkpoint } from './checkpoint.ts'
import { isCommitTrouble, isHandlerTrouble } from './trouble.ts'

/** What one try is about. */
export interface Work {
  /** For the handler. */
  readonly events: readonly RecordedEvent[]
  /** Parked unseen, for an earlier event of their key is. */
  readonly followers: readonly RecordedEvent[]
  /** The checkpoint when it is through; undefined for a letter, which moves none. */
  readonly position: number | undefined
  readonly attempt: number
  readonly letter?: StoredRecord
}

/** How a try ended. `upTo` tells how far a plain handler said it had come. */
export type Outcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'lost' }
  | { readonly kind: 'aborted'; readonly upTo: number | undefined }
  | { readonly kind: 'trouble'; readonly error: unknown; readonly upTo: number | undefined }
  | { readonly kind: 'failed'; readonly error: unknown; readonly upTo: number | undefined }
  /** Nothing of these keys is parked any more. */
  | { readonly kind: 'unparked'; readonly keys: readonly string[] }

/** What tries need of their partition. */
export interface AttemptContext {
  readonly port: EventStore
  readonly clock: Clock
  readonly options: ConsumerOptions
  readonly checkpoint: Checkpoint
  readonly signal: AbortSignal
  keyOf(event: RecordedEvent): string
}

class Unparked extends Error {
  readonly keys: readonly string[]
  constructor(keys: readonly string[]) {
    super('unparked')
    this.keys = keys
  }
}

/** One try: the handler, and in one transaction (with it, if asked for) what is to be recorded. */
class Attempt {
  readonly #context: AttemptContext
  readonly #work: Work
  #upTo: number | undefined
  #thrown: { readonly error: unknown } | undefined

  constructor(context: AttemptContext, work: Work) {
    this.#context = context
    this.#work = work
  }

  async run(): Promise<Outcome> {
    const { options } = this.#context
    const { followers, letter } = this.#work
    try {
      if (options.transactional) await this.#record((tx) => this.#handle(tx))
      else {
        await this.#handle(undefined)
        if (followers.length > 0 || letter !== undefined) await this.#record(async () => {})
      }
      return { kind: 'done' }
    } catch (error) {
      if (error instanceof Unparked) return { kind: 'unparked', keys: error.keys }
      return this.#judge(error)
    }
  }

  async #handle(tx: StoreTransaction | undefined): Promise<void> {
    const { options, checkpoint, signal } = this.#context
    const { events, attempt, letter } = this.#work
    const last = events.at(-1)
    if (last === undefined) return
    try {
      await options.handle({
        ...{ events, attempt, signal, tx, partition: checkpoint.partition },
        position: last.position,
        retried: letter !== undefined,
        progress: (position) => {
          if (tx === undefined) this.#upTo = position
        },
      })
    } catch (error) {
      this.#thrown = { error }
      throw error
    }
  }

  #record(handle: (tx: StoreTransaction) => Promise<void>): Promise<void> {
    const { port, checkpoint, options } = this.#context
    return checkpoint.exclusive(async () => {
      const { position } = this.#work
      const moved = position === undefined ? undefined : checkpoint.change({ position })
      const revisions = await port.transaction(
        async (tx) => {
          await handle(tx)
          const letters = await this.#letters(tx)
          return tx.records.write(moved === undefined ? letters : [moved, ...letters])
        },
        { timeoutMs: options.timeoutMs },
      )
      if (moved !== undefined) checkpoint.committed(moved, revisions[0] ?? 0)
    })
  }

  async #letters(tx: StoreTransaction): Promise<RecordChange[]> {
    const { checkpoint, clock } = this.#context
    const { followers, letter } = this.#work
    if (followers.length === 0 && letter === undefined) return []
    // From here on nobody discards a letter of this partition, see DeadLetters.
    await checkpoint.assertHeld(tx)
    if (letter === undefined) return this.#parked(tx)
    await tx.records.write([movedLetter(letter, 'done', { finishedAt: clock.now() })])
    return [...(await requestNext(tx.records, letterValue(letter)))]
  }

  async #parked(tx: StoreTransaction): Promise<RecordChange[]> {
    const { options, clock, keyOf } = this.#context
    const { followers } = this.#work
    const free: string[] = []
    for (const key of new Set(followers.map(keyOf))) {
      if ((await headOfKey(tx.records, options.name, key)) === undefined) free.push(key)
    }
    if (free.length > 0) throw new Unparked(free)
    return followers.map((event) =>
      newLetter(options.name, event, {
        ...{ key: keyOf(event), ordered: true, reason: 'follows', error: null },
        ...{ attempts: 0, parkedAt: clock.now() },
      }),
    )
  }

  async #judge(error: unknown): Promise<Outcome> {
    const { port, checkpoint, signal } = this.#context
    const upTo = this.#upTo
    if (signal.aborted) return { kind: 'aborted', upTo }
    // What the commit has come to is not known by the error; the record tells.
    try {
      const held = await checkpoint.exclusive(() => checkpoint.refresh(port))
      if (!held) return { kind: 'lost' }
    } catch (trouble) {
      // The storage does not answer: it is the likelier reason for the failure, too.
      return { kind: 'trouble', error: trouble, upTo }
    }
    const { position } = this.#work
    if (position !== undefined && checkpoint.position >= position) return { kind: 'done' }
    const thrown = this.#thrown?.error === error
    const trouble = thrown ? isHandlerTrouble(error) : isCommitTrouble(error)
    return { kind: trouble ? 'trouble' : 'failed', error, upTo }
  }
}

/** Tries once, and says how it ended; never rejects. */
export function attempt(context: AttemptContext, work: Work): Promise<Outcome> {
  return new Attempt(context, work).run()
}
