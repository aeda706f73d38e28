import { InvalidArgumentError, ProjectionBuildLostError } from '../model/index.ts'
import type { EventStore, StoreTransaction } from '../ports/index.ts'
import { Build, type BuildProgress, type BuildResult, type BuildRuntime } from './build.ts'
import {
  type BuildSettings,
  type BuildValue,
  lockBuild,
  readBuild,
  writeBuild,
} from './build-record.ts'
import type { AnyProjection } from './define.ts'
import {
  addGeneration,
  type Generation,
  generationOf,
  lockRegistered,
  type Registered,
  type RegisteredRow,
  withGeneration,
  writeRegistered,
} from './registry.ts'

/** Ends a build because its process does, not for good. */
const STOPPED = new Error('the projections were stopped')

interface Running {
  readonly generation: number
  readonly result: Promise<BuildResult>
  readonly abort: AbortController
  readonly listeners: Set<(progress: BuildProgress) => void>
  progress: BuildProgress | undefined
}

/** What builds of this process run on. */
export interface BuildsRuntime extends BuildRuntime {
  /** A build whose record has not changed for so long is taken over. */
  readonly silenceMs: number
}

/** Drops tables of a generation with what is recorded of its build. */
export async function dropGeneration(
  tx: StoreTransaction,
  name: string,
  generation: number,
  { tables }: Generation,
): Promise<void> {
  for (const table of Object.values(tables)) await tx.models.drop(table)
  await writeBuild(tx.records, name, generation, 'any', undefined)
}

/** The builds that this process is at: at most one for each projection. */
export class Builds {
  readonly #port: EventStore
  readonly #runtime: () => Promise<BuildsRuntime>
  readonly #owner: string
  readonly #running = new Map<string, Running>()
  /** Builds that are being recorded: nothing of them runs yet, and none may begin beside them. */
  readonly #beginning = new Map<string, Promise<Running>>()
  readonly #errors = new Map<string, unknown>()
  /** When the revision of a foreign build was first seen, on this process's own clock. */
  readonly #sightings = new Map<string, { readonly revision: number; readonly atMs: number }>()

  constructor(port: EventStore, owner: string, runtime: () => Promise<BuildsRuntime>) {
    this.#port = port
    this.#owner = owner
    this.#runtime = runtime
  }

  /** Why the last build of a projection in this process failed, until one succeeds. */
  error(name: string): unknown {
    return this.#errors.get(name)
  }

  /** The build of a projection that runs here. */
  running(name: string): Pick<Running, 'generation' | 'progress'> | undefined {
    return this.#running.get(name)
  }

  /** Begins a build, or takes up what a crash has left; joins the one that runs here. */
  async rebuild(
    projection: AnyProjection,
    settings: BuildSettings,
    options: {
      readonly signal?: AbortSignal | undefined
      readonly onProgress?: ((progress: BuildProgress) => void) | undefined
    },
  ): Promise<BuildResult> {
    const { name } = projection
    for (;;) {
      const beginning = this.#beginning.get(name)
      if (beginning === undefined) break
      const begun = await beginning.catch(() => undefined)
      if (begun !== undefined) return await this.#join(begun, options)
    }
    const begin = async () => {
      const { generation, value } = await this.#port.transaction((tx) =>
        this.#prepare(tx, projection, settings),
      )
      return await this.#start(projection, generation, value)
    }
    const running = this.#running.get(name) ?? (await this.#begin(name, begin))
    return await this.#join(running, options)
  }

  /** Brings a kept generation up to date and makes it live again. */
  async revive(
    projection: AnyProjection,
    generation: number,
    actor = 'unknown',
  ): Promise<BuildResult> {
    const { name } = projection
    if (this.#isHere(name)) {
      throw new InvalidArgumentError('name', `${name} is being built; wait, or cancel that first`)
    }
    const prepare = async (tx: StoreTransaction): Promise<BuildValue> => {
      const row = await lockRegistered(tx.records, name)
      const kept = generationOf(row.value, generation)
      if (kept === undefined) throw new ProjectionBuildLostError(name)
      const changed = withGeneration(row.value, generation, { status: 'building' })
      await writeRegistered(tx.records, name, { ...row, value: changed })
      const settings = { compare: false, requireEqual: false, onError: 'fail', actor } as const
      const made = this.#fresh(settings, kept.position)
      await writeBuild(tx.records, name, generation, 'any', made)
      return made
    }
    const running = await this.#begin(name, async () =>
      this.#start(projection, generation, await this.#port.transaction(prepare)),
    )
    return await this.#join(running, {})
  }

  /**
   * Goes on with a build whose builder has fallen silent. Called again and again; `anew` takes up
   * those as well that were given up.
   */
  async resume(projection: AnyProjection, registered: Registered, anew: boolean): Promise<void> {
    const { name, version } = projection
    if (this.#isHere(name)) return
    for (const [key, { status, version: built }] of Object.entries(registered.generations)) {
      if (status !== 'building' || built !== version) continue
      const generation = Number(key)
      const found = await readBuild(this.#port.records, name, generation)
      if (found === undefined || (found.value.failed !== null && !anew)) continue
      const { clock, silenceMs } = await this.#runtime()
      const seen = this.#sightings.get(name)
      const now = clock.monotonic()
      if (found.value.owner !== this.#owner && seen?.revision !== found.revision) {
        this.#sightings.set(name, { revision: found.revision, atMs: now })
        continue
      }
      const silentMs = now - (seen?.atMs ?? now)
      if (found.value.owner !== this.#owner && silentMs < silenceMs) continue
      // Asked again: what began here meanwhile is recorded as this process's own.
      if (this.#isHere(name)) return
      const { epoch } = found.value
      const value = { ...found.value, owner: this.#owner, epoch: epoch + 1, failed: null }
      await this.#begin(name, async () => {
        await this.#port.transaction((tx) =>
          writeBuild(tx.records, name, generation, found.revision, value),
        )
        return await this.#start(projection, generation, value)
      })
      return
    }
  }

  #isHere(name: string): boolean {
    return this.#running.has(name) || this.#beginning.has(name)
  }

  /** Begins a build; from its record to its first step nobody here may begin another one. */
  #begin(name: string, begin: () => Promise<Running>): Promise<Running> {
    const beginning = begin().finally(() => this.#beginning.delete(name))
    this.#beginning.set(name, beginning)
    return beginning
  }

  /** Ends the build of a projection here; what it has done stays and can be resumed. */
  async cancel(name: string): Promise<void> {
    await this.#beginning.get(name)?.catch(() => {})
    const running = this.#running.get(name)
    running?.abort.abort(STOPPED)
    await running?.result.catch(() => {})
  }

  /** Ends all of them. */
  async stop(): Promise<void> {
    const names = new Set([...this.#beginning.keys(), ...this.#running.keys()])
    await Promise.all([...names].map((name) => this.cancel(name)))
  }

  #fresh(settings: BuildSettings, position: number): BuildValue {
    return {
      ...settings,
      epoch: 1,
      owner: this.#owner,
      position,
      events: 0,
      skipped: [],
      failed: null,
    }
  }

  async #prepare(
    tx: StoreTransaction,
    projection: AnyProjection,
    settings: BuildSettings,
  ): Promise<{ readonly generation: number; readonly value: BuildValue }> {
    const { name, version, mode } = projection
    let row: RegisteredRow = await lockRegistered(tx.records, name)
    for (const [key, generation] of Object.entries(row.value.generations)) {
      if (generation.status !== 'building') continue
      const number = Number(key)
      const found = await readBuild(tx.records, name, number)
      const isSame = generation.version === version && generation.mode === mode
      if (isSame && found !== undefined) {
        const value = {
          ...{ ...found.value, ...settings, failed: null },
          ...{ owner: this.#owner, epoch: found.value.epoch + 1 },
        }
        await writeBuild(tx.records, name, number, found.revision, value)
        return { generation: number, value }
      }
      await dropGeneration(tx, name, number, generation)
      row = { ...row, value: withGeneration(row.value, number, undefined) }
    }
    const generation = await addGeneration(tx, projection, row)
    const value = this.#fresh(settings, 0)
    await writeBuild(tx.records, name, generation, 'any', value)
    return { generation, value }
  }

  async #start(projection: AnyProjection, generation: number, value: BuildValue): Promise<Running> {
    const { name } = projection
    const runtime = await this.#runtime()
    const abort = new AbortController()
    const listeners = new Set<(progress: BuildProgress) => void>()
    const build = new Build(this.#port, projection, generation, value, {
      runtime,
      signal: abort.signal,
      onProgress: (progress) => {
        running.progress = progress
        for (const listener of listeners) listener(progress)
      },
    })
    const result = Promise.resolve()
      .then(() => build.run())
      .then(
        (done) => {
          this.#errors.delete(name)
          return done
        },
        async (error: unknown) => {
          this.#errors.set(name, error)
          await this.#giveUp(name, generation, value.epoch, error).catch(() => {})
          throw error
        },
      )
      .finally(() => this.#running.delete(name))
    // Whoever waits for it hears of a failure; nobody has to.
    result.catch(() => {})
    const running: Running = { generation, result, abort, listeners, progress: undefined }
    this.#running.set(name, running)
    return running
  }

  /** Records that a build has failed, so that nobody tries it again and again. */
  async #giveUp(name: string, generation: number, epoch: number, error: unknown): Promise<void> {
    if (error === STOPPED || error instanceof ProjectionBuildLostError) return
    await this.#port.transaction(async (tx) => {
      const owner = this.#owner
      const build = await lockBuild(tx.records, name, generation, { owner, epoch })
      const failed = error instanceof Error ? error.message : String(error)
      await writeBuild(tx.records, name, generation, build.revision, { ...build.value, failed })
    })
  }

  async #join(
    running: Running,
    options: {
      readonly signal?: AbortSignal | undefined
      readonly onProgress?: ((progress: BuildProgress) => void) | undefined
    },
  ): Promise<BuildResult> {
    const { signal, onProgress } = options
    const onAbort = () => running.abort.abort(signal?.reason)
    if (signal?.aborted) onAbort()
    signal?.addEventListener('abort', onAbort, { once: true })
    if (onProgress !== undefined) running.listeners.add(onProgress)
    try {
      return await running.result
    } finally {
      signal?.removeEventListener('abort', onAbort)
      if (onProgress !== undefined) running.listeners.delete(onProgress)
    }
  }
}
