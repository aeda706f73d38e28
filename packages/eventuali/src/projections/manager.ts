import { shownText } from '../kernel/index.ts'
import { DefinitionError, InvalidArgumentError, type Json } from '../model/index.ts'
import type { CallOptions, EventStore, RecordChange } from '../ports/index.ts'
import {
  type ActorOption,
  auditChange,
  SubscriptionControl,
  type Worker,
} from '../subscriptions/index.ts'
import type { BuildProgress } from './build.ts'
import { dropGeneration } from './builds.ts'
import type { CompareReport } from './compare.ts'
import { compareNow } from './compare-now.ts'
import { type AnyProjection, targetName } from './define.ts'
import { Keeper, type ProjectionsRuntime } from './keeper.ts'
import { waitProjected } from './projected.ts'
import {
  consumerName,
  generationOf,
  liveOf,
  lockRegistered,
  type Registered,
  readRegistered,
  withGeneration,
  writeRegistered,
} from './registry.ts'
import { type ProjectionStatus, statusOf } from './status.ts'
import { demoteInline, turnBack } from './turns.ts'

const CALL_TIMEOUT_MS = 60_000

/** Options of a rebuild. */
export interface RebuildOptions extends ActorOption {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: BuildProgress) => void) | undefined
  /** Whether to compare with the old generation row by row; true when left out. */
  readonly compare?: boolean | undefined
  /** Keeps the old one live when they differ: ProjectionDiffersError. */
  readonly requireEqual?: boolean | undefined
  /** `skip` passes over events whose handler fails; `fail` (default) gives up. */
  readonly onError?: 'fail' | 'skip' | undefined
}

/** What came of a rebuild. */
export interface RebuildReport {
  readonly generation: number
  /** Log position at which it went live. */
  readonly position: number
  /** What differs from the old generation; undefined when there was none or none was asked for. */
  readonly comparison: CompareReport | undefined
  /** Positions of events that were passed over. */
  readonly skipped: readonly number[]
}

/**
 * The projections of a store: builds what was never built, keeps the asynchronous ones current in
 * this process, rebuilds without downtime. Reached as `store.projections`.
 *
 * @example
 * ```ts
 * import { collection, defineEvents, defineProjection, openStore, type } from 'eventuali'
 *
 * const events = defineEvents({ OrderShipped: type<{ carrier: string }>() })
 * const carriers = defineProjection({
 *   name: 'carriers',
 *   version: 1,
 *   events: [events],
 *   collections: { carriers: collection<{ parcels: number }>() },
 *   handlers: {
 *     OrderShipped: ({ data }, ctx) =>
 *       ctx.collection('carriers').patch(data.carrier, (was) => ({
 *         parcels: (was?.parcels ?? 0) + 1,
 *       })),
 *   },
 * })
 * await using store = await openStore('memory:', { projections: [carriers] })
 * console.log((await store.projections.status())[0]?.state)
 * ```
 */
export class Projections {
  readonly #port: EventStore
  readonly #definitions: ReadonlyMap<string, AnyProjection>
  readonly #runtime: ProjectionsRuntime
  readonly #keeper: Keeper

  constructor(
    port: EventStore,
    worker: Worker,
    definitions: readonly AnyProjection[],
    runtime: ProjectionsRuntime,
  ) {
    checkTogether(definitions)
    this.#port = port
    this.#runtime = runtime
    this.#definitions = new Map(definitions.map((definition) => [definition.name, definition]))
    this.#keeper = new Keeper(port, worker, definitions, runtime)
  }

  /** Names of the projections that this program defines. */
  get names(): readonly string[] {
    return [...this.#definitions.keys()]
  }

  /**
   * Registers what is new and builds it, runs the asynchronous ones, resumes builds whose process
   * has died. Resolves once that is under way (a first build over a short log: once it is done);
   * `projected` waits for a result. Throws CapabilityError for SQL tables where there is no SQL.
   */
  start(): Promise<void> {
    return this.#keeper.start()
  }

  /** Stops what runs in this process; what was begun goes on where it ended. */
  stop(): Promise<void> {
    return this.#keeper.stop()
  }

  /** How all of them are. */
  async status(options: CallOptions = {}): Promise<readonly ProjectionStatus[]> {
    const { safe } = await this.#port.positions(options)
    const definitions = [...this.#definitions.values()]
    return await Promise.all(
      definitions.map((definition) =>
        statusOf(this.#port, this.#keeper, definition, safe, options),
      ),
    )
  }

  /**
   * Builds a new generation beside the old one, which serves and stays current meanwhile; then
   * compares, and switches readers in one transaction. The old one is kept, see `rollback`.
   *
   * Throws ProjectionBuildError, ProjectionDiffersError, ProjectionBuildLostError, or the signal's
   * reason; the old generation stays live then.
   */
  async rebuild(name: string, options: RebuildOptions = {}): Promise<RebuildReport> {
    const definition = this.#definition(name)
    const { compare = true, requireEqual = false, onError = 'fail', actor = 'unknown' } = options
    const settings = { compare: compare || requireEqual, requireEqual, onError, actor }
    const built = await this.#keeper.builds.rebuild(definition, settings, options)
    await this.#keeper.look()
    const { generation, position, report, skipped } = built
    return { generation, position, comparison: report, skipped }
  }

  /**
   * What differs between the live generation and the one kept (or being built) beside it. Waits
   * up to `timeoutMs` (5,000) for both to stand at one position; `samePosition` tells.
   */
  compare(name: string, options: CallOptions = {}): Promise<CompareReport> {
    return compareNow(this.#port, this.#definition(name), this.#runtime.clock, options)
  }

  /**
   * Makes the generation that was live before the live one again, brought up to date first where
   * this program has its version of the code.
   */
  async rollback(
    name: string,
    options: CallOptions & ActorOption = {},
  ): Promise<{ readonly generation: number }> {
    const definition = this.#definition(name)
    const registered = (await readRegistered(this.#port.records, name))?.value
    const previous = registered?.previous ?? undefined
    const kept =
      previous === undefined ? undefined : generationOf(registered as Registered, previous)
    if (previous === undefined || kept === undefined) {
      throw new InvalidArgumentError('name', `${name} has no earlier generation to go back to`)
    }
    if (kept.mode === 'inline') {
      if (kept.version !== definition.version) {
        throw new InvalidArgumentError(
          'name',
          `${name} would go back to version ${kept.version}; call it from a program that has it`,
        )
      }
      await this.#keeper.builds.revive(definition, previous, options.actor)
    } else {
      const isOurs = kept.version === definition.version
      await turnBack(this.#port, this.#runtime, { name, generation: previous, isOurs }, options)
    }
    await this.#keeper.look()
    return { generation: previous }
  }

  /** Makes a kept generation live by its number; `rollback` is the switch to the last one. */
  async switchTo(
    name: string,
    generation: number,
    options: CallOptions & ActorOption = {},
  ): Promise<void> {
    const row = await readRegistered(this.#port.records, this.#definition(name).name)
    if (row?.value.live === generation) return
    if (row === undefined || generationOf(row.value, generation)?.status !== 'standby') {
      throw new InvalidArgumentError('generation', `${generation} of ${name} is not kept`)
    }
    const value = { ...row.value, previous: generation }
    await this.#port.transaction((tx) =>
      writeRegistered(tx.records, name, { revision: row.revision, value }),
    )
    await this.rollback(name, options)
  }

  /** Drops every generation that is not live: after it there is no way back. */
  async dropOld(name: string, { actor }: ActorOption = {}): Promise<readonly number[]> {
    this.#definition(name)
    await this.#keeper.builds.cancel(name)
    const dropped = await this.#port.transaction(async (tx) => {
      const row = await lockRegistered(tx.records, name)
      let value: Registered = { ...row.value, previous: null }
      const old: number[] = []
      for (const [key, found] of Object.entries(row.value.generations)) {
        const generation = Number(key)
        if (generation === value.live) continue
        await dropGeneration(tx, name, generation, found)
        value = withGeneration(value, generation, undefined)
        old.push(generation)
      }
      const audit = this.#audit(name, 'drop', actor, { generations: old })
      await writeRegistered(tx.records, name, { ...row, value }, audit)
      return old
    })
    const control = new SubscriptionControl(this.#port, this.#runtime, CALL_TIMEOUT_MS)
    for (const generation of dropped) {
      const consumer = consumerName(name, generation)
      await this.#keeper.stopConsumer(consumer)
      if ((await control.status(consumer)) !== undefined) await control.drop(consumer, { actor })
    }
    return dropped
  }

  /** Holds an asynchronous projection in all processes (in others within a poll interval). */
  pause(name: string, options: ActorOption = {}): Promise<void> {
    return this.#setPaused(name, true, options)
  }

  /** Goes on after `pause`. */
  resume(name: string, options: ActorOption = {}): Promise<void> {
    return this.#setPaused(name, false, options)
  }

  /**
   * Makes an inline projection asynchronous, without a rebuild: writers that do not have it are
   * accepted from then on. A rebuild makes it inline again.
   */
  async demote(name: string, { actor }: ActorOption = {}): Promise<void> {
    // Also of projections that this program does not define: that is what it is for.
    await demoteInline(this.#port, name, this.#audit(name, 'demote', actor))
    await this.#keeper.look()
  }

  /**
   * Resolves once readers see every event up to `position` (what `append` returns): read your own
   * writes. Throws OperationTimeoutError after `timeoutMs`.
   */
  projected(name: string, position: number, options: CallOptions = {}): Promise<void> {
    const definition = this.#definition(name)
    const consumerPosition = (generation: number) =>
      this.#keeper.consumer(name, generation)?.position
    return waitProjected(this.#port, definition, position, this.#runtime.clock, {
      ...options,
      consumerPosition,
      error: () => this.#keeper.errorOf(name),
    })
  }

  #definition(name: string): AnyProjection {
    const found = this.#definitions.get(name)
    if (found !== undefined) return found
    throw new InvalidArgumentError('name', `${shownText(name)} is no projection of this store`)
  }

  #audit(
    subject: string,
    what: string,
    actor = 'unknown',
    details: { readonly [key: string]: Json } = {},
  ): RecordChange {
    return auditChange(this.#runtime, { actor, action: `projection.${what}`, subject, details })
  }

  async #setPaused(name: string, paused: boolean, { actor }: ActorOption): Promise<void> {
    this.#definition(name)
    await this.#port.transaction(async (tx) => {
      const { revision, value } = await lockRegistered(tx.records, name)
      if (liveOf(value)?.mode === 'inline') {
        throw new InvalidArgumentError('name', `${name} is inline and cannot rest; demote it first`)
      }
      const audit = this.#audit(name, paused ? 'pause' : 'resume', actor)
      await writeRegistered(tx.records, name, { revision, value: { ...value, paused } }, audit)
    })
    await this.#keeper.look()
  }
}

/** Two projections with one name, or with one table, would overwrite each other. */
function checkTogether(definitions: readonly AnyProjection[]): void {
  const names = new Set<string>()
  const owners = new Map<string, string>()
  for (const { name, collections, tables } of definitions) {
    if (names.has(name)) throw new DefinitionError(`projection ${name} is given twice`)
    names.add(name)
    for (const target of [...Object.keys(collections), ...Object.keys(tables)]) {
      const view = targetName(target)
      const owner = owners.get(view)
      if (owner !== undefined) {
        throw new DefinitionError(`projections ${owner} and ${name} both keep ${view}; rename one`)
      }
      owners.set(view, name)
    }
  }
}
