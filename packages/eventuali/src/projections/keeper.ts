import { sleep } from '../kernel/index.ts'
import { CapabilityError } from '../model/index.ts'
import type { EventStore } from '../ports/index.ts'
import type { Consumer, ConsumerRuntime, Worker } from '../subscriptions/index.ts'
import { Builds, type BuildsRuntime } from './builds.ts'
import type { AnyProjection } from './define.ts'
import { effectsName, followEffects, followLog } from './follow.ts'
import { qualifierOf } from './inline.ts'
import { consumerName, liveOf, type Registered, readRegistered } from './registry.ts'

const POLL_INTERVAL_MS = 1000
const BATCH_TIMEOUT_MS = 60_000
/** `start` waits for a first build for so long. */
const FIRST_BUILD_WAIT_MS = 2000
const SWITCH_TIMEOUT_MS = 600_000

/** What projections run on. */
export interface ProjectionsRuntime extends ConsumerRuntime {
  /** A look at the records at least this often, in milliseconds; 1,000 when left out. */
  readonly pollIntervalMs?: number | undefined
}

/**
 * Makes this process do what the records say: first builds, consumers of the generations whose
 * code is here, effects, builds whose process has died. It looks again and again, so that what
 * another process has changed takes effect here as well.
 */
export class Keeper {
  readonly builds: Builds
  readonly #port: EventStore
  readonly #worker: Worker
  readonly #definitions: readonly AnyProjection[]
  readonly #runtime: ProjectionsRuntime
  /** By their names. */
  readonly #consumers = new Map<string, Consumer>()
  /** Numbers of the live generations, as of the last look. */
  readonly #live = new Map<string, number>()
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
    this.#definitions = definitions
    this.#runtime = runtime
    this.builds = new Builds(port, runtime.ids.next(), () => this.#forBuilds())
  }

  /** Begins to look. Throws CapabilityError, which no later look mends. */
  async start(): Promise<void> {
    if (this.#started) return
    this.#started = true
    this.#isFirst = true
    await this.look()
    this.#isFirst = false
    for (const error of this.#errors.values()) {
      if (!(error instanceof CapabilityError)) continue
      await this.stop()
      throw error
    }
    this.#schedule()
  }

  /** Ends what runs here. */
  async stop(): Promise<void> {
    this.#started = false
    this.#stopTimer?.()
    await this.#looking
    await this.builds.stop()
    const consumers = [...this.#consumers.values()]
    this.#consumers.clear()
    await Promise.all(consumers.map((consumer) => consumer.stop()))
  }

  /** The consumer of the live generation, where it runs here. */
  liveConsumer(name: string): Consumer | undefined {
    const generation = this.#live.get(name)
    return generation === undefined ? undefined : this.consumer(name, generation)
  }

  /** The consumer of a generation, where it runs here. */
  consumer(name: string, generation: number): Consumer | undefined {
    return this.#consumers.get(consumerName(name, generation))
  }

  /** Why a projection does not go on, where this process knows. */
  errorOf(name: string): unknown {
    return this.builds.error(name) ?? this.#errors.get(name) ?? this.liveConsumer(name)?.error
  }

  /** Ends a consumer of this process. */
  async stopConsumer(name: string): Promise<void> {
    const consumer = this.#consumers.get(name)
    this.#consumers.delete(name)
    await consumer?.stop()
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

  #schedule(): void {
    if (!this.#started) return
    const intervalMs = this.#runtime.pollIntervalMs ?? POLL_INTERVAL_MS
    const next = () => void this.look().finally(() => this.#schedule())
    this.#stopTimer = this.#runtime.clock.timer(intervalMs, next, { background: true })
  }

  /** Looks now. One look at a time. */
  async look(): Promise<void> {
    if (!this.#started) return
    const before = this.#looking
    const looking = (async () => {
      await before
      for (const definition of this.#definitions) {
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
    const { name } = definition
    const registered = (await readRegistered(this.#port.records, name))?.value
    if (registered === undefined || Object.keys(registered.generations).length === 0) {
      await this.#firstBuild(definition)
      return
    }
    await this.builds.resume(definition, registered, this.#isFirst)
    const live = liveOf(registered)
    if (live === undefined) this.#live.delete(name)
    else this.#live.set(name, live.generation)
    const wanted = await this.#follow(definition, registered)
    for (const consumer of this.#consumers.keys()) {
      const isOurs = consumer.startsWith(consumerName(name, '')) || consumer === effectsName(name)
      if (isOurs && !wanted.has(consumer)) await this.stopConsumer(consumer)
    }
  }

  /** Runs the consumers that a projection needs here, and gives their names. */
  async #follow(definition: AnyProjection, registered: Registered): Promise<ReadonlySet<string>> {
    const { name, version, effects } = definition
    const { effectsFrom, generations, paused } = registered
    const { qualifier } = await this.#forBuilds()
    const pollIntervalMs = this.#runtime.pollIntervalMs ?? POLL_INTERVAL_MS
    const runtime = { ...this.#runtime, qualifier, pollIntervalMs }
    const wanted = new Set<string>()
    for (const [key, { mode, position, status, version: filledBy }] of Object.entries(
      generations,
    )) {
      if (mode !== 'async' || filledBy !== version || status === 'building') continue
      const generation = { generation: Number(key), position }
      const consumer = consumerName(name, generation.generation)
      wanted.add(consumer)
      this.#run(consumer, paused, () =>
        followLog(this.#port, this.#worker, definition, generation, runtime),
      )
    }
    if (effectsFrom !== null && Object.keys(effects).length > 0) {
      wanted.add(effectsName(name))
      this.#run(effectsName(name), paused, () =>
        followEffects(this.#port, this.#worker, definition, effectsFrom, runtime),
      )
    }
    return wanted
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

  /** Of several processes that see nothing registered one begins; the others see its record. */
  async #firstBuild(definition: AnyProjection): Promise<void> {
    const { name } = definition
    const settings = { compare: false, requireEqual: false, onError: 'fail', actor: name } as const
    const building = this.builds.rebuild(definition, settings, {})
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
}
