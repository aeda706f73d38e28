import type { CommandRuntime } from '../commands/index.ts'
import { InvalidArgumentError } from '../model/index.ts'
import type { CallOptions, EventStore } from '../ports/index.ts'
import type { Worker } from '../subscriptions/index.ts'
import { type ProcessDefinition, targetName } from './define-process.ts'
import { definitionSets } from './definition-set.ts'
import type { ProcessLimits } from './due-work.ts'
import { instanceKey } from './instance.ts'
import {
  type ByHand,
  type ProcessDetails,
  type ProcessInfo,
  ProcessOperations,
  type ProcessQuery,
  type ScheduleInfo,
} from './operations.ts'
import type { CommandTarget } from './process-context.ts'
import { ProcessRunner } from './runner.ts'
import { Schedules } from './schedules.ts'
import type { Steps } from './steps.ts'

/** What may be said of processes beside their definitions. */
export interface ProcessesOptions extends Partial<ProcessLimits> {
  /** Aggregates that schedules send commands to, beside those of the processes. */
  readonly aggregates?: readonly CommandTarget[]
}

const defaultLimits: ProcessLimits = {
  pollIntervalMs: 1000,
  batchCountMax: 100,
  concurrency: 8,
  retry: { retryCountMax: 8, firstDelayMs: 100, delayMaxMs: 60_000 },
  timeoutMs: 30_000,
  keepDoneMs: 7 * 24 * 60 * 60 * 1000,
}

/** How a process's machinery does in this program. */
export interface ProcessHealth {
  readonly name: string
  /** The consumer's state: `live`, `standby`, `waiting`, …; `stopped` before the start. */
  readonly state: string
  readonly position: number
  readonly error: unknown
}

/**
 * The processes of a store: runs them, shows them, and lets a person help those that are stuck.
 *
 * @example
 * ```ts
 * import { openStore } from 'eventuali'
 *
 * await using store = await openStore('memory:')
 * console.log(store.processes.names) // those named at openStore
 * ```
 */
export class Processes {
  readonly schedules: Schedules
  readonly #operations: ProcessOperations
  readonly #runners = new Map<string, ProcessRunner>()
  readonly #scheduleRunner: ProcessRunner
  #starting: Promise<void> | undefined

  /** @internal Made by the store. */
  constructor(
    port: EventStore,
    worker: Worker,
    definitions: readonly ProcessDefinition[],
    runtime: CommandRuntime,
    options: ProcessesOptions = {},
  ) {
    const { aggregates = [], ...given } = options
    const limits = { ...defaultLimits, ...given }
    const sets = definitionSets(definitions)
    const targets = new Map(Array.from(aggregates, (target) => [targetName(target), target]))
    for (const set of sets.values()) {
      for (const [name, target] of set.aggregates) targets.set(name, target)
    }
    const common = { port, worker, runtime, limits }
    for (const [name, set] of sets) {
      const parts = { ...common, definitions: set, targets: set.aggregates }
      this.#runners.set(name, new ProcessRunner(parts))
    }
    this.#scheduleRunner = new ProcessRunner({ ...common, definitions: undefined, targets })
    this.#operations = new ProcessOperations(port, runtime)
    const changed = () => this.#scheduleRunner.hint()
    this.schedules = new Schedules(port, runtime, targets, changed)
  }

  /** Names of the processes that this program knows. */
  get names(): readonly string[] {
    return [...this.#runners.keys()]
  }

  /**
   * Begins to run them. What is appended after it has resolved reaches even a new process. When it
   * rejects because the store did not answer, call it again.
   */
  start(): Promise<void> {
    this.#starting ??= this.#start()
    return this.#starting
  }

  /** Waits for what is under way and hands everything over to other programs at once. */
  async stop(): Promise<void> {
    await this.#starting?.catch(() => {})
    this.#starting = undefined
    await Promise.all(this.#all().map((runner) => runner.stop()))
  }

  async #start(): Promise<void> {
    const started = await Promise.allSettled(this.#all().map((runner) => runner.start()))
    const failed = started.find(({ status }) => status === 'rejected')
    if (failed === undefined) return
    // Those that run go on; the others are started by the next call.
    this.#starting = undefined
    throw (failed as PromiseRejectedResult).reason
  }

  /**
   * Resolves once the processes have seen everything up to a position; what they emitted may still
   * be under way. OperationTimeoutError otherwise.
   */
  async reached(position: number, options: CallOptions = {}): Promise<void> {
    for (const runner of this.#runners.values()) await runner.reached(position, options)
  }

  /**
   * Does all that is due now, commands and deadlines, and resolves when nothing is left. For tests
   * and for programs that are called by a clock of their own.
   */
  async settle(): Promise<void> {
    for (const runner of this.#all()) await runner.settle()
  }

  /** Migrates processes of other versions, or shows that they are stuck; `start` does it too. */
  async checkVersions(): Promise<void> {
    for (const runner of this.#runners.values()) await runner.checkVersions()
  }

  /** How the processes' consumers do here. */
  health(): readonly ProcessHealth[] {
    return [...this.#runners.values()].map(({ name, consumer, error }) => ({
      name,
      state: consumer?.state ?? 'stopped',
      position: consumer?.position ?? 0,
      error: consumer?.error ?? error,
    }))
  }

  /** Processes of one name in the order of their keys. */
  list(query: ProcessQuery): Promise<readonly ProcessInfo[]> {
    return this.#operations.list(query)
  }

  /** One process with its commands, its deadlines and what it is stuck on; undefined for none. */
  get(name: string, key: string): Promise<ProcessDetails | undefined> {
    return this.#operations.get(name, key)
  }

  /** Tries again what a stuck process is stuck on. Audited. */
  async resume(name: string, key: string, by: ByHand = {}): Promise<void> {
    await this.#operations.resume(this.#steps(name), name, key, by)
    this.#runners.get(name)?.hint()
  }

  /** Leaves out what a stuck process is stuck on. Audited. */
  async skip(name: string, key: string, by: ByHand = {}): Promise<void> {
    await this.#operations.skip(this.#steps(name), name, key, by)
    this.#runners.get(name)?.hint()
  }

  /** Takes a process's steps back. Audited. */
  async compensate(name: string, key: string, by: ByHand = {}): Promise<void> {
    await this.#operations.compensate(this.#steps(name), name, key, by)
    this.#runners.get(name)?.hint()
  }

  /** Ends a process at once; a command that is under way may still have its effect. Audited. */
  cancel(name: string, key: string, by: ByHand & { readonly reason: string }): Promise<void> {
    return this.#operations.cancel(name, key, by)
  }

  /** The deadlines of the processes of one name, or of one process. */
  deadlines(name: string, key?: string): Promise<readonly ScheduleInfo[]> {
    return this.#operations.schedules(`${key === undefined ? name : instanceKey(name, key)}/`)
  }

  #all(): readonly ProcessRunner[] {
    return [...this.#runners.values(), this.#scheduleRunner]
  }

  #steps(name: string): Steps {
    const steps = this.#runners.get(name)?.steps
    if (steps !== undefined) return steps
    throw new InvalidArgumentError('name', `${JSON.stringify(name)} is no process of this program`)
  }
}
