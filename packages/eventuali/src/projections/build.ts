import {
  backoffMs,
  type Clock,
  type IdSource,
  isEventualiError,
  type Random,
  sleep,
} from '../kernel/index.ts'
import {
  ProjectionBuildError,
  ProjectionBuildLostError,
  type RecordedEvent,
} from '../model/index.ts'
import type { EventStore, LogQuery, StoreTransaction } from '../ports/index.ts'
import { savedPosition } from '../subscriptions/index.ts'
import { type BuildValue, lockBuild, readBuild, writeBuild } from './build-record.ts'
import type { AnyProjection } from './define.ts'
import { consumerName, liveOf, readRegistered } from './registry.ts'
import { isStorageTrouble, ProjectionRun } from './run.ts'
import { type SwitchResult, switchOver } from './switch.ts'

const BATCH_COUNT = 1000
const HANDLER_TRY_COUNT = 3
const SKIPPED_COUNT_MAX = 1000
const patience = { retryCountMax: 1_000_000, firstDelayMs: 20, delayMaxMs: 5000 }

/** How far a build has come. */
export interface BuildProgress {
  readonly projection: string
  readonly generation: number
  /** Events handled so far. */
  readonly events: number
  /** Log positions done, and those there are to do at the moment. */
  readonly done: number
  readonly total: number
  /** Milliseconds until the end, judged by the speed so far; undefined before the first batch. */
  readonly etaMs: number | undefined
}

/** What a build runs on. */
export interface BuildRuntime {
  readonly clock: Clock
  readonly random: Random
  readonly ids: IdSource
  readonly qualifier: string
  /** Bound of each batch's transaction. */
  readonly timeoutMs: number
  /** Bound of the switch, which compares row by row. */
  readonly switchTimeoutMs: number
}

/** What came of a build. */
export interface BuildResult extends SwitchResult {
  readonly generation: number
  /** Positions of the events that were passed over. */
  readonly skipped: readonly number[]
}

/** A handler's failure, as opposed to the storage's. */
export class HandlerFailure extends Error {
  override readonly cause: unknown

  constructor(cause: unknown) {
    super('a handler failed')
    this.cause = cause
  }
}

/** The part of a log query that says which events a projection wants. */
export function wantedEvents(projection: AnyProjection): Omit<LogQuery, 'upTo' | 'direction'> {
  const { from, storedTypes: types } = projection
  const { categories, tags, includeArchived } = from
  return { types, categories, tags, includeArchived }
}

/** Runs the handlers over stored events, on the tables of a generation. Throws HandlerFailure. */
export async function handleEvents(
  tx: StoreTransaction,
  projection: AnyProjection,
  generation: number,
  events: readonly RecordedEvent[],
  { clock, qualifier }: Pick<BuildRuntime, 'clock' | 'qualifier'>,
): Promise<void> {
  if (events.length === 0) return
  const run = new ProjectionRun(projection, generation, tx, { clock, qualifier, inline: false })
  try {
    await run.take(events)
    await run.handle(events)
  } catch (error) {
    throw isStorageTrouble(error) ? error : new HandlerFailure(error)
  }
  await run.end()
}

/**
 * Fills a generation from the log, then makes it live. Never runs past the old generation, so that
 * both can meet at one position. What it has done is recorded with what it has written: whoever
 * goes on after a crash begins where it ended.
 */
export class Build {
  readonly #port: EventStore
  readonly #projection: AnyProjection
  readonly #generation: number
  readonly #runtime: BuildRuntime
  readonly #signal: AbortSignal
  readonly #onProgress: (progress: BuildProgress) => void
  #value: BuildValue
  /** After a handler's failure, until the events that were at hand are done one by one. */
  #careful = false
  readonly #startedAt: { readonly ms: number; readonly position: number }

  constructor(
    port: EventStore,
    projection: AnyProjection,
    generation: number,
    value: BuildValue,
    options: {
      readonly runtime: BuildRuntime
      readonly signal: AbortSignal
      readonly onProgress: (progress: BuildProgress) => void
    },
  ) {
    this.#port = port
    this.#projection = projection
    this.#generation = generation
    this.#runtime = options.runtime
    this.#signal = options.signal
    this.#onProgress = options.onProgress
    this.#value = value
    this.#startedAt = { ms: options.runtime.clock.monotonic(), position: value.position }
  }

  /** Resolves when the generation is live. Trouble with the storage is waited out. */
  async run(): Promise<BuildResult> {
    for (let failures = 0; ; failures++) {
      this.#signal.throwIfAborted()
      try {
        if (failures > 0 && (await this.#reload()) === 'live') {
          const { position, skipped } = this.#value
          return { generation: this.#generation, position, report: undefined, skipped }
        }
        const ceiling = await this.#ceiling()
        const count = this.#careful ? await this.#stepwise(ceiling) : await this.#buildTo(ceiling)
        failures = 0
        if (count >= BATCH_COUNT) continue
        const result = await this.#switch()
        return { ...result, generation: this.#generation, skipped: this.#value.skipped }
      } catch (error) {
        await this.#recover(error, failures)
      }
    }
  }

  /** Waits after trouble; throws what waiting does not mend. */
  async #recover(error: unknown, failures: number): Promise<void> {
    if (error instanceof HandlerFailure) {
      this.#careful = true
      return
    }
    if (!isEventualiError(error, 'OUTCOME_UNKNOWN') && !isStorageTrouble(error)) throw error
    const { clock, random } = this.#runtime
    await sleep(clock, 1 + backoffMs(patience, failures, random), this.#signal)
  }

  /** What is recorded counts: a commit whose answer was lost may hold, also the last one. */
  async #reload(): Promise<'building' | 'live'> {
    const { owner, epoch } = this.#value
    const { name } = this.#projection
    const found = await readBuild(this.#port.records, name, this.#generation)
    if (found?.value.owner === owner && found.value.epoch === epoch) {
      this.#value = found.value
      return 'building'
    }
    const registered = await readRegistered(this.#port.records, name)
    if (found === undefined && registered?.value.live === this.#generation) return 'live'
    throw new ProjectionBuildLostError(name)
  }

  /** How far it may go: not past the old generation's consumer, nor past the safe position. */
  async #ceiling(): Promise<number> {
    const { name } = this.#projection
    const { safe } = await this.#port.positions({ signal: this.#signal })
    const registered = await readRegistered(this.#port.records, name)
    const live = liveOf(registered?.value)
    if (live === undefined || live.mode === 'inline') return safe
    const saved = await savedPosition(this.#port.records, consumerName(name, live.generation))
    return Math.min(safe, saved ?? live.position)
  }

  #query(after: number, upTo: number, pageSize: number): LogQuery {
    const bounds = { after, upTo, direction: 'forward', pageSize, isFollowing: true } as const
    return { ...wantedEvents(this.#projection), ...bounds }
  }

  /** Number of events that there were. */
  async #buildTo(ceiling: number): Promise<number> {
    const { position } = this.#value
    if (ceiling <= position) return 0
    this.#report(ceiling)
    let count = 0
    const options = { signal: this.#signal }
    for await (const page of this.#port.readLog(
      this.#query(position, ceiling, BATCH_COUNT),
      options,
    )) {
      await this.#commit(page, page.at(-1)?.position ?? ceiling)
      count += page.length
      this.#report(ceiling)
      this.#signal.throwIfAborted()
    }
    if (this.#value.position < ceiling) await this.#commit([], ceiling)
    this.#report(ceiling)
    return count
  }

  #report(ceiling: number): void {
    const { position, events } = this.#value
    const doneSince = position - this.#startedAt.position
    const elapsedMs = this.#runtime.clock.monotonic() - this.#startedAt.ms
    this.#onProgress({
      ...{ projection: this.#projection.name, generation: this.#generation, events },
      ...{ done: position, total: Math.max(ceiling, position) },
      etaMs: doneSince > 0 ? ((ceiling - position) * elapsedMs) / doneSince : undefined,
    })
  }

  /** Handles events and records that it did, in one transaction. */
  async #commit(
    events: readonly RecordedEvent[],
    position: number,
    skipped: readonly number[] = [],
  ): Promise<void> {
    const { name } = this.#projection
    const { timeoutMs } = this.#runtime
    const bounds = { timeoutMs, signal: this.#signal }
    const handled = events.length
    const next = await this.#port.transaction(async (tx) => {
      const build = await lockBuild(tx.records, name, this.#generation, this.#value)
      await this.#handle(tx, events)
      const all = [...build.value.skipped, ...skipped].slice(0, SKIPPED_COUNT_MAX)
      const value: BuildValue = {
        ...build.value,
        ...{ position, events: build.value.events + handled, skipped: all },
      }
      await writeBuild(tx.records, name, this.#generation, build.revision, value)
      return value
    }, bounds)
    this.#value = next
  }

  #handle(tx: StoreTransaction, events: readonly RecordedEvent[]): Promise<void> {
    return handleEvents(tx, this.#projection, this.#generation, events, this.#runtime)
  }

  /** Goes through the next events one by one, to find the one that fails. */
  async #stepwise(ceiling: number): Promise<number> {
    let count = 0
    const query = { ...this.#query(this.#value.position, ceiling, BATCH_COUNT), limit: BATCH_COUNT }
    for await (const page of this.#port.readLog(query, { signal: this.#signal })) {
      for (const event of page) await this.#tryOne(event)
      count += page.length
    }
    this.#careful = false
    return count
  }

  async #tryOne(event: RecordedEvent): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#commit([event], event.position)
      } catch (error) {
        if (!(error instanceof HandlerFailure)) throw error
        if (attempt < HANDLER_TRY_COUNT) continue
        if (this.#value.onError === 'skip') {
          return await this.#commit([], event.position, [event.position])
        }
        throw new ProjectionBuildError(this.#projection.name, event.position, error.cause)
      }
    }
  }

  async #switch(): Promise<SwitchResult> {
    const { owner, epoch } = this.#value
    return await this.#port.transaction(
      (tx) =>
        switchOver(tx, {
          ...{ projection: this.#projection, generation: this.#generation },
          builder: { owner, epoch },
          runtime: this.#runtime,
          handle: async (within, after, upTo) => {
            for await (const page of within.readLog(this.#query(after, upTo, BATCH_COUNT))) {
              await this.#handle(within, page)
            }
          },
        }),
      { timeoutMs: this.#runtime.switchTimeoutMs, signal: this.#signal },
    )
  }
}
