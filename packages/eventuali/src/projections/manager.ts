import { type Clock, type IdSource, type Random, sleep } from '../kernel/index.ts'
import { CapabilityError, DefinitionError, InvalidArgumentError } from '../model/index.ts'
import type { CallOptions, EventStore } from '../ports/index.ts'
import type { Consumer, Worker } from '../subscriptions/index.ts'
import type { BuildProgress, BuildResult } from './build.ts'
import { Builds, type BuildsRuntime, dropGeneration } from './builds.ts'
import type { CompareReport } from './compare.ts'
import { compareNow } from './compare-now.ts'
import { type AnyProjection, targetName } from './define.ts'
import { effectsName, followEffects, followLog } from './follow.ts'
import { qualifierOf } from './inline.ts'
import { livePosition, waitProjected } from './projected.ts'
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
import type { ProjectionStatus } from './status.ts'
import { demoteInline, turnBack } from './turns.ts'

const POLL_INTERVAL_MS = 1000
const BATCH_TIMEOUT_MS = 60_000
/** `start` waits for a first build for so long. */
const FIRST_BUILD_WAIT_MS = 2000
const SWITCH_TIMEOUT_MS = 600_000

/** What projections run on. */
export interface ProjectionsRuntime {
  readonly clock: Clock
  readonly random: Random
  readonly ids: IdSource
  /** A look at the records at least this often, in milliseconds; 1,000 when left out. */
  readonly pollIntervalMs?: number | undefined
}

/** Options of a rebuild. */
export interface RebuildOptions {
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
 * const store = await openStore('memory:')
 * console.log(carriers.name, store.adapter)
 * await store.close()
 * ```
 */
export class Projections {
  readonly #port: EventStore
  readonly #worker: Worker
  readonly #definitions: ReadonlyMap<string, AnyProjection>
  readonly #runtime: ProjectionsRuntime
  readonly #builds: Builds
  /** By the names of consumers. */
  readonly #consumers = new Map<string, Consumer>()
  readonly #errors = new Map<string, unknown>()
  #buildsRuntime: Promise<BuildsRuntime> | undefined
  #stopTimer: (() => void) | undefined
  #looking: Promise<void> | undefined
  #started = false
  /** During the first look, which also takes up builds that were given up. */
  #isFirst = false

  constructor(
    port: EventStore,
    worker: Worker,
    definitions: readonly AnyProjection[],
    runtime: ProjectionsRuntime,
  ) {
    this.#port = port
    this.#worker = worker
    this.#runtime = runtime
    this.#definitions = new Map(definitions.map((definition) => [definition.name, definition]))
    checkTogether(definitions)
    this.#builds = new Builds(port, runtime.ids.next(), () => this.#forBuilds())
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
  async start(): Promise<void> {
    if (this.#started) return
    this.#started = true
    this.#isFirst = true
    await this.#look()
    this.#isFirst = false
    for (const error of this.#errors.values()) {
      // No later look mends these.
      if (!(error instanceof CapabilityError)) continue
      await this.stop()
      throw error
    }
    this.#schedule()
  }

  /** Stops what runs in this process; what was begun goes on where it ended. */
  async stop(): Promise<void> {
    this.#started = false
    this.#stopTimer?.()
    await this.#looking
    await this.#builds.stop()
    const consumers = [...this.#consumers.values()]
    this.#consumers.clear()
    await Promise.all(consumers.map((consumer) => consumer.stop()))
  }

  /** How all of them are. */
  async status(options: CallOptions = {}): Promise<readonly ProjectionStatus[]> {
    const { safe } = await this.#port.positions(options)
    return await Promise.all(
      [...this.#definitions.values()].map((definition) => this.#status(definition, safe, options)),
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
    const { compare = true, requireEqual = false, onError = 'fail', signal, onProgress } = options
    const settings = { compare: compare || requireEqual, requireEqual, onError }
    const result = await this.#builds.rebuild(definition, settings, { signal, onProgress })
    return await this.#reportOf(name, result)
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
    options: CallOptions = {},
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
      await this.#builds.revive(definition, previous)
    } else {
      const isOurs = kept.version === definition.version
      await turnBack(this.#port, name, previous, isOurs, this.#runtime.clock, options)
    }
    await this.#look()
    return { generation: previous }
  }

  /** Makes a kept generation live by its number; `rollback` is the switch to the last one. */
  async switchTo(name: string, generation: number, options: CallOptions = {}): Promise<void> {
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
  async dropOld(name: string): Promise<readonly number[]> {
    this.#definition(name)
    await this.#builds.cancel(name)
    const row = await readRegistered(this.#port.records, name)
    const old = Object.keys(row?.value.generations ?? {})
      .map(Number)
      .filter((generation) => generation !== row?.value.live)
    for (const generation of old) await this.#stopConsumer(consumerName(name, generation))
    await this.#port.transaction(async (tx) => {
      const { revision, value } = await lockRegistered(tx.records, name)
      let next = value
      for (const generation of old) {
        const found = generationOf(value, generation)
        if (found === undefined || generation === value.live) continue
        await dropGeneration(tx, name, generation, found)
        next = withGeneration(next, generation, undefined)
      }
      await writeRegistered(tx.records, name, { revision, value: { ...next, previous: null } })
    })
    return old
  }

  /** Holds an asynchronous projection in all processes (in others within a poll interval). */
  pause(name: string): Promise<void> {
    return this.#setPaused(name, true)
  }

  /** Goes on after `pause`. */
  resume(name: string): Promise<void> {
    return this.#setPaused(name, false)
  }

  /**
   * Makes an inline projection asynchronous, without a rebuild: writers that do not have it are
   * accepted from then on. A rebuild makes it inline again.
   */
  async demote(name: string): Promise<void> {
    // Also of projections that this program does not define: that is what it is for.
    await demoteInline(this.#port, name)
    await this.#look()
  }

  /**
   * Resolves once readers see every event up to `position` (what `append` returns): read your own
   * writes. Throws OperationTimeoutError after `timeoutMs`.
   */
  projected(name: string, position: number, options: CallOptions = {}): Promise<void> {
    const definition = this.#definition(name)
    const consumerPosition = () => this.#liveConsumer(name)?.position
    return waitProjected(this.#port, definition, position, this.#runtime.clock, {
      ...options,
      consumerPosition,
    })
  }

  readonly #live = new Map<string, number>()

  #liveConsumer(name: string): Consumer | undefined {
    const generation = this.#live.get(name)
    return generation === undefined
      ? undefined
      : this.#consumers.get(consumerName(name, generation))
  }

  #definition(name: string): AnyProjection {
    const found = this.#definitions.get(name)
    if (found !== undefined) return found
    throw new InvalidArgumentError('name', `${JSON.stringify(name)} is no projection of this store`)
  }

  #forBuilds(): Promise<BuildsRuntime> {
    const { clock, random, ids } = this.#runtime
    this.#buildsRuntime ??= qualifierOf(this.#port).then((qualifier) => ({
      ...{ clock, random, ids, qualifier, silenceMs: 2 * this.#worker.ttlMs },
      ...{ timeoutMs: BATCH_TIMEOUT_MS, switchTimeoutMs: SWITCH_TIMEOUT_MS },
    }))
    this.#buildsRuntime.catch(() => {
      this.#buildsRuntime = undefined
    })
    return this.#buildsRuntime
  }

  async #reportOf(name: string, result: BuildResult): Promise<RebuildReport> {
    const registered = (await readRegistered(this.#port.records, name))?.value
    await this.#look()
    const { position, report, skipped } = result
    return { generation: registered?.live ?? 0, position, comparison: report, skipped }
  }

  #schedule(): void {
    if (!this.#started) return
    const intervalMs = this.#runtime.pollIntervalMs ?? POLL_INTERVAL_MS
    const next = () => void this.#look().finally(() => this.#schedule())
    this.#stopTimer = this.#runtime.clock.timer(intervalMs, next, { background: true })
  }

  /** Makes this process do what the records say. One look at a time. */
  async #look(): Promise<void> {
    if (!this.#started) return
    const before = this.#looking
    const looking = (async () => {
      await before
      for (const definition of this.#definitions.values()) {
        if (!this.#started) return
        try {
          await this.#lookAt(definition)
          this.#errors.delete(definition.name)
        } catch (error) {
          this.#errors.set(definition.name, error)
        }
      }
    })()
    this.#looking = looking
    await looking
  }

  async #lookAt(definition: AnyProjection): Promise<void> {
    const { name, version } = definition
    const registered = (await readRegistered(this.#port.records, name))?.value
    if (registered === undefined || Object.keys(registered.generations).length === 0) {
      await this.#firstBuild(definition)
      return
    }
    await this.#builds.resume(definition, registered, this.#isFirst)
    const live = liveOf(registered)
    if (live === undefined) this.#live.delete(name)
    else this.#live.set(name, live.generation)
    const { qualifier } = await this.#forBuilds()
    const pollIntervalMs = this.#runtime.pollIntervalMs ?? POLL_INTERVAL_MS
    const runtime = { ...this.#runtime, qualifier, pollIntervalMs }
    const wanted = new Set<string>()
    for (const [key, found] of Object.entries(registered.generations)) {
      if (found.mode !== 'async' || found.version !== version || found.status === 'building')
        continue
      const generation = { generation: Number(key), position: found.position }
      const consumer = consumerName(name, generation.generation)
      wanted.add(consumer)
      this.#run(consumer, registered.paused, () =>
        followLog(this.#port, this.#worker, definition, generation, runtime),
      )
    }
    const after = registered.effectsFrom
    if (after !== null && Object.keys(definition.effects).length > 0) {
      wanted.add(effectsName(name))
      this.#run(effectsName(name), registered.paused, () =>
        followEffects(this.#port, this.#worker, definition, after, runtime),
      )
    }
    for (const consumer of this.#consumers.keys()) {
      const isOurs = consumer.startsWith(consumerName(name, '')) || consumer === effectsName(name)
      if (isOurs && !wanted.has(consumer)) await this.#stopConsumer(consumer)
    }
  }

  #run(name: string, paused: boolean, start: () => Consumer): void {
    let consumer = this.#consumers.get(name)
    if (consumer === undefined || consumer.state === 'stopped' || consumer.state === 'failed') {
      consumer = start()
      consumer.done.catch(() => {})
      this.#consumers.set(name, consumer)
    }
    if (paused) consumer.pause()
    else if (consumer.state === 'paused') consumer.resume()
  }

  async #stopConsumer(name: string): Promise<void> {
    const consumer = this.#consumers.get(name)
    this.#consumers.delete(name)
    await consumer?.stop()
  }

  /** Of several processes that see nothing registered one begins; the others see its record. */
  async #firstBuild(definition: AnyProjection): Promise<void> {
    const settings = { compare: false, requireEqual: false, onError: 'fail' } as const
    const building = this.#builds.rebuild(definition, settings, {})
    // A failure is in the status; only what no handler could mend is thrown on.
    const done = building.then(
      () => this.#lookAt(definition),
      (error: unknown) => {
        if (error instanceof CapabilityError) throw error
      },
    )
    done.catch(() => {})
    // A short log is built before the program goes on; a long one meanwhile.
    const timer = new AbortController()
    const patience = sleep(this.#runtime.clock, FIRST_BUILD_WAIT_MS, timer.signal).catch(() => {})
    await Promise.race([done, patience])
    timer.abort()
  }

  async #setPaused(name: string, paused: boolean): Promise<void> {
    this.#definition(name)
    await this.#port.transaction(async (tx) => {
      const { revision, value } = await lockRegistered(tx.records, name)
      if (liveOf(value)?.mode === 'inline') {
        throw new InvalidArgumentError('name', `${name} is inline and cannot rest; demote it first`)
      }
      await writeRegistered(tx.records, name, { revision, value: { ...value, paused } })
    })
    await this.#look()
  }

  async #status(
    definition: AnyProjection,
    safe: number,
    options: CallOptions,
  ): Promise<ProjectionStatus> {
    const { name, version, mode } = definition
    const registered = (await readRegistered(this.#port.records, name))?.value
    const live = liveOf(registered)
    const consumer = this.#liveConsumer(name)
    const stored = await livePosition(this.#port, name, options)
    const position =
      stored === undefined ? undefined : Math.max(stored, consumer?.position ?? stored)
    const state =
      registered === undefined
        ? 'unregistered'
        : live === undefined
          ? 'building'
          : live.version !== version
            ? 'outdated'
            : live.mode === 'inline'
              ? 'inline'
              : (consumer?.state ?? 'stopped')
    return {
      ...{ name, version, mode, state, position },
      live: live && { generation: live.generation, version: live.version },
      lag: position === undefined ? undefined : Math.max(0, safe - position),
      paused: registered?.paused ?? false,
      generations: Object.entries(registered?.generations ?? {}).map(([key, found]) => ({
        generation: Number(key),
        ...{ version: found.version, mode: found.mode },
        ...{ status: found.status, tables: found.tables },
      })),
      build: this.#builds.running(name)?.progress,
      error: this.#builds.error(name) ?? this.#errors.get(name) ?? consumer?.error,
    }
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
