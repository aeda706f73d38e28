import type { CommandRuntime } from '../commands/index.ts'
import type { EventStore } from '../ports/index.ts'
import { type CommandTarget, type ProcessDefinition, Processes } from '../processes/index.ts'
import { type AnyProjection, Projections } from '../projections/index.ts'
import { DeadLetters, SubscriptionControl, Worker } from '../subscriptions/index.ts'

/** What `openStore` was told of the read side. */
export interface ReadSideSettings {
  readonly projections: readonly AnyProjection[]
  readonly processes: readonly ProcessDefinition[]
  readonly scheduleTargets: readonly CommandTarget[]
  readonly leaseTtlMs: number | undefined
  /** Bound of calls that name none. */
  readonly timeoutMs: number
}

/**
 * Everything that follows the log in this program, on one lease: durable subscriptions,
 * projections and processes.
 */
export class ReadSide {
  readonly worker: Worker
  readonly projections: Projections
  readonly processes: Processes
  readonly subscriptions: SubscriptionControl
  readonly deadLetters: DeadLetters

  constructor(port: EventStore, runtime: CommandRuntime, settings: ReadSideSettings) {
    const { leaseTtlMs, processes, scheduleTargets: aggregates, timeoutMs } = settings
    this.worker = new Worker(port, runtime, { ttlMs: leaseTtlMs })
    this.projections = new Projections(port, this.worker, settings.projections, runtime)
    this.processes = new Processes(port, this.worker, processes, runtime, { aggregates })
    this.subscriptions = new SubscriptionControl(port, runtime, timeoutMs)
    this.deadLetters = new DeadLetters(port, runtime, timeoutMs)
  }

  /** Stops processes and projections, then gives the lease back. */
  async stop(): Promise<void> {
    await Promise.all([this.processes.stop(), this.projections.stop()])
    await this.worker.stop()
  }
}
