import { isEventualiError } from '../kernel/index.ts'
import {
  InvalidArgumentError,
  type Json,
  LogChangedError,
  RecordConflictError,
} from '../model/index.ts'
import type { EventStore, StoredRecord, StoreTransaction } from '../ports/index.ts'
import type { ReplayOptions } from './replay-options.ts'
import type { ReplayPlace } from './replay-source.ts'

const kind = 'replay'

interface CheckpointValue {
  /** The log that the position belongs to. */
  readonly incarnation: string
  /** What is replayed, as text: another question under the same name would skip events. */
  readonly what: string
  readonly position: number
  readonly version: number
  /** Events of all runs. */
  readonly events: number
  /** Who wrote it, so that a commit of unknown outcome is recognised as one's own. */
  readonly run: string
}

function describe(
  { from = { position: 0 }, filter = {}, into }: ReplayOptions,
  plan: Json | undefined,
): string {
  const { types, categories, tags, includeArchived } = filter
  const sorted = (values: readonly string[] | undefined) => values && [...values].sort()
  const target = typeof into === 'object' && 'store' in into ? (into.versions ?? 'keep') : 'handler'
  try {
    return JSON.stringify({
      from,
      ...{ types: sorted(types), categories: sorted(categories), tags: sorted(tags) },
      ...{ includeArchived, target, plan },
    })
  } catch (error) {
    // Options were checked, but a getter may say something else each time.
    const { message } = error as Error
    throw new InvalidArgumentError('resume', `has options that JSON does not carry: ${message}`)
  }
}

/** The durable place of a named replay: a record that only its current runner can move. */
export class ReplayCheckpoint {
  readonly #home: EventStore
  readonly #key: string
  readonly #incarnation: string
  readonly #what: string
  readonly #run: string
  #revision: number
  #events: number
  /** Where to go on; undefined when nothing was replayed under the name. */
  readonly place: ReplayPlace | undefined

  private constructor(
    home: EventStore,
    key: string,
    incarnation: string,
    what: string,
    run: string,
    found: StoredRecord | undefined,
  ) {
    const value = found?.value as CheckpointValue | undefined
    this.#home = home
    this.#key = key
    this.#incarnation = incarnation
    this.#what = what
    this.#run = run
    this.#revision = found?.revision ?? 0
    this.#events = value?.events ?? 0
    this.place = value && { position: value.position, version: value.version }
  }

  /**
   * Reads the checkpoint of a name. Throws LogChangedError for one of another log and
   * InvalidArgumentError for one of another replay.
   */
  static async load(
    home: EventStore,
    incarnation: string,
    name: string,
    run: string,
    options: ReplayOptions,
    plan: Json | undefined,
  ): Promise<ReplayCheckpoint> {
    const [found] = await home.records.get(kind, [name], { signal: options.signal })
    const value = found?.value as CheckpointValue | undefined
    const what = describe(options, plan)
    if (value !== undefined && value.incarnation !== incarnation) {
      throw new LogChangedError(value.incarnation, incarnation)
    }
    if (value !== undefined && value.what !== what) {
      throw new InvalidArgumentError(
        'resume.name',
        `${JSON.stringify(name)} belongs to the replay ${value.what}; give this one another name`,
      )
    }
    return new ReplayCheckpoint(home, name, incarnation, what, run, found)
  }

  /**
   * Moves the checkpoint, with the effect in the same transaction. May be called again for the
   * same place after a failure: what was committed is recognised.
   * Throws RecordConflictError when somebody else has moved it.
   */
  async commit(
    place: ReplayPlace,
    count: number,
    timeoutMs: number,
    effect?: (tx: StoreTransaction) => Promise<void>,
  ): Promise<void> {
    const events = this.#events + count
    const value: CheckpointValue = {
      ...{ incarnation: this.#incarnation, what: this.#what, ...place, events, run: this.#run },
    }
    const revision = await this.#home.transaction(
      async (tx) => {
        const [found] = await tx.records.lock(kind, [this.#key])
        if (found?.revision === this.#revision + 1 && isSame(found.value, value)) {
          return found.revision
        }
        if ((found?.revision ?? 0) !== this.#revision) {
          throw new RecordConflictError(kind, this.#key)
        }
        await effect?.(tx)
        const change = { kind, key: this.#key, expected: this.#revision }
        const [written] = await tx.records.write([{ ...change, value: { ...value } }])
        return written as number
      },
      { timeoutMs },
    )
    this.#revision = revision
    this.#events = events
  }
}

function isSame(found: Json, value: CheckpointValue): boolean {
  const { run, events, position } = found as unknown as CheckpointValue
  return run === value.run && events === value.events && position === value.position
}

const passing: ReadonlySet<string> = new Set([
  'CONNECTION_FAILED',
  'STORAGE_BUSY',
  'TIMEOUT',
  'QUEUE_FULL',
  'OUTCOME_UNKNOWN',
])

/** Whether the storage was at fault and may be asked again; what a handler throws is final. */
export function isPassing(error: unknown): boolean {
  return isEventualiError(error) && passing.has(error.code)
}
