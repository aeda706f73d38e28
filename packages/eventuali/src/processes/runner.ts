import type { CommandRuntime } from '../commands/index.ts'
import { backoffMs } from '../kernel/index.ts'
import type { RecordedEvent } from '../model/index.ts'
import type { CallOptions, EventStore, StoreTransaction } from '../ports/index.ts'
import {
  type Consumer,
  type ConsumerBatch,
  startConsumer,
  type Worker,
} from '../subscriptions/index.ts'
import type { DefinitionSet } from './definition-set.ts'
import { DueWork, type ProcessLimits } from './due-work.ts'
import { CommandExecutor } from './execute.ts'
import { keyOfInstance, NO_PROCESS, recordKinds } from './instance.ts'
import type { CommandTarget } from './process-context.ts'
import { Pulse } from './pulse.ts'
import { Steps } from './steps.ts'
import { Workspace } from './workspace.ts'

/** What a runner is made of. Without definitions it does the schedules of no process. */
export interface RunnerParts {
  readonly port: EventStore
  readonly worker: Worker
  readonly runtime: CommandRuntime
  readonly definitions: DefinitionSet | undefined
  readonly targets: ReadonlyMap<string, CommandTarget>
  readonly limits: ProcessLimits
}

/** A type that no event has: the consumer is there for its lease alone. */
const NOTHING = '$nothing'
/** Waits after a hint, whose transaction may not have committed yet: 1, 2, 4, … milliseconds. */
const EAGER_LOOK_COUNT = 7
const PRUNE_INTERVAL_MS = 60_000
/** A process that sets a deadline for now, again and again, must not hold `settle` for ever. */
const SETTLE_ROUND_COUNT_MAX = 1000

/**
 * The processes of one name: a consumer that moves them, and a loop beside it that does what falls
 * due, in the program that owns the consumer's first partition.
 */
export class ProcessRunner {
  readonly name: string
  readonly steps: Steps | undefined
  readonly #parts: RunnerParts
  readonly #due: DueWork
  readonly #pulse: Pulse
  #consumer: Consumer | undefined
  #loop: Promise<void> | undefined
  #stopping = new AbortController()
  #eager = 0
  #failures = 0
  #prunedAtMs = Number.NEGATIVE_INFINITY
  #versionsChecked = false
  /** What the loop failed with last; undefined when all is well. */
  error: unknown

  constructor(parts: RunnerParts) {
    const { port, runtime, definitions, targets, limits } = parts
    this.#parts = parts
    this.name = definitions?.name ?? NO_PROCESS
    this.steps = definitions === undefined ? undefined : new Steps(definitions)
    this.#pulse = new Pulse(runtime.clock)
    this.#due = new DueWork({
      ...{ store: port, runtime, process: this.name, steps: this.steps, limits },
      executor: new CommandExecutor(port, runtime, targets),
    })
  }

  get consumer(): Consumer | undefined {
    return this.#consumer
  }

  async start(): Promise<void> {
    if (this.#consumer !== undefined) return
    const { port, worker, runtime, definitions, limits } = this.#parts
    const after = definitions?.newest.after ?? 'end'
    // Said now, so that what is appended after the start is not missed.
    const begin = after === 'end' ? (await port.positions()).safe : after
    this.#stopping = new AbortController()
    this.#consumer = startConsumer(
      port,
      worker,
      {
        name: definitions === undefined ? 'schedules' : `process:${this.name}`,
        filter: { types: definitions?.storedTypes ?? [NOTHING] },
        after: begin,
        partitions: 1,
        keyOf: (event) => this.#partitionKey(event),
        keyLabel: 'process',
        maxBatch: limits.batchCountMax,
        transactional: true,
        handle: (batch) => this.#handle(batch),
        retry: limits.retry,
        onPoison: 'park-key',
        concurrency: 1,
        pollIntervalMs: limits.pollIntervalMs,
        timeoutMs: limits.timeoutMs,
      },
      runtime,
    )
    this.#consumer.done.catch((error: unknown) => {
      this.error = error
    })
    this.#loop = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#pulse.hint()
    await this.#loop
    await this.#consumer?.stop()
    this.#consumer = undefined
  }

  /** Looks for work at once; it may become visible a moment later. */
  hint(): void {
    this.#eager = EAGER_LOOK_COUNT
    this.#pulse.hint()
  }

  /** Does everything that is due now, also when another program owns the processes. */
  async settle(): Promise<void> {
    for (let round = 0; round < SETTLE_ROUND_COUNT_MAX; round++) {
      if (!(await this.#due.look(0)).worked) return
    }
  }

  /** Resolves once everything up to the position has moved its processes. */
  async reached(position: number, options: CallOptions): Promise<void> {
    await this.#consumer?.reached(position, options)
  }

  /** The correlation key of an upcast event, by the newest version that handles the type. */
  keyOf(event: RecordedEvent): string | undefined {
    const { definitions } = this.#parts
    if (definitions === undefined) return undefined
    const { newest, versions } = definitions
    const handling = newest.types.includes(event.type)
      ? newest
      : [...versions.values()].find(({ types }) => types.includes(event.type))
    return handling?.correlate(handling.registry.decode(event))
  }

  /** What stands in the place of a stored event, for the newest version that knows how to say. */
  #partsOf(event: RecordedEvent): readonly RecordedEvent[] {
    return this.#parts.definitions?.upcast(event) ?? [event]
  }

  #partitionKey(event: RecordedEvent): string {
    try {
      const [first = event] = this.#partsOf(event)
      return this.keyOf(first) ?? event.stream
    } catch {
      // Thrown again where the event is handled, which parks it.
      return event.stream
    }
  }

  async #handle(batch: ConsumerBatch): Promise<void> {
    const tx = batch.tx as StoreTransaction
    const ws = new Workspace(tx, this.name, this.#parts.runtime)
    const keyed: (readonly [string, RecordedEvent, number])[] = []
    for (const stored of batch.events) {
      for (const [part, event] of this.#partsOf(stored).entries()) {
        const key = this.keyOf(event)
        if (key !== undefined) keyed.push([key, event, part])
      }
    }
    await ws.load(keyed.map(([key]) => key))
    for (const [key, event, part] of keyed) {
      await this.steps?.event(ws, ws.slot(key), event, part)
    }
    await ws.flush()
    if (ws.hasWork) this.hint()
  }

  #isOwner(): boolean {
    const first = this.#consumer?.partitions().find(({ partition }) => partition === 0)
    return first?.owner === this.#parts.worker.id
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) await this.#pulse.wait(await this.#once(signal))
  }

  /** One round; gives the milliseconds until the next one. */
  async #once(signal: AbortSignal): Promise<number> {
    const { limits, runtime } = this.#parts
    const { pollIntervalMs } = limits
    if (!this.#isOwner()) {
      this.#versionsChecked = false
      return Math.min(pollIntervalMs, 100)
    }
    try {
      await this.#housekeeping()
      const { worked, nextDue } = await this.#due.look(pollIntervalMs, signal)
      this.#failures = 0
      this.error = undefined
      if (worked) return 0
      if (this.#eager > 0) {
        this.#eager -= 1
        return 2 ** (EAGER_LOOK_COUNT - 1 - this.#eager)
      }
      const inMs = nextDue === undefined ? pollIntervalMs : nextDue - runtime.clock.now()
      return Math.min(pollIntervalMs, Math.max(1, inMs))
    } catch (error) {
      this.error = error
      this.#failures += 1
      return Math.max(1, backoffMs(limits.retry, this.#failures, runtime.random))
    }
  }

  async #housekeeping(): Promise<void> {
    if (!this.#versionsChecked) {
      await this.checkVersions()
      this.#versionsChecked = true
    }
    const now = this.#parts.runtime.clock.monotonic()
    if (now - this.#prunedAtMs < PRUNE_INTERVAL_MS) return
    this.#prunedAtMs = now
    await this.#due.prune()
  }

  /** Migrates processes of other versions, or shows that they are stuck. */
  async checkVersions(): Promise<void> {
    const { steps } = this
    const { port, runtime, limits } = this.#parts
    if (steps === undefined) return
    const page = { kind: recordKinds.process, prefix: `${this.name}/`, limit: limits.batchCountMax }
    for (let after: string | undefined; ; ) {
      const records = await port.records.list({ ...page, after })
      const last = records.at(-1)
      if (last === undefined) return
      after = last.key
      const keys = records
        .filter(({ state }) => state === 'running' || state === 'compensating' || state === 'stuck')
        .map(({ key }) => keyOfInstance(this.name, key))
      if (keys.length === 0) continue
      await port.transaction(async (tx) => {
        const ws = new Workspace(tx, this.name, runtime)
        await ws.load(keys)
        for (const key of keys) await steps.checkVersion(ws, ws.slot(key))
        await ws.flush()
      })
    }
  }
}
