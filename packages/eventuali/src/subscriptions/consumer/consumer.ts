import { deadlineIn } from '../../kernel/index.ts'
import { OperationTimeoutError, StoreClosedError } from '../../model/index.ts'
import type { CallOptions, EventStore } from '../../ports/index.ts'
import type {
  Consumer,
  ConsumerOptions,
  ConsumerRuntime,
  ConsumerState,
  PartitionInfo,
} from '../consumer-options.ts'
import { storedError } from '../ledger/letters.ts'
import { partitionValue } from '../ledger/values.ts'
import { WakeSignal } from '../wake.ts'
import { Group } from './group.ts'
import { assertConsumerOptions } from './settings.ts'
import type { Worker } from './worker.ts'

class RunningConsumer implements Consumer {
  readonly name: string
  readonly done: Promise<void>
  readonly #group: Group
  readonly #options: ConsumerOptions
  readonly #runtime: ConsumerRuntime
  #ended = false

  constructor(
    port: EventStore,
    worker: Worker,
    options: ConsumerOptions,
    runtime: ConsumerRuntime,
  ) {
    this.name = options.name
    this.#options = options
    this.#runtime = runtime
    const settle = Promise.withResolvers<void>()
    this.done = settle.promise
    // The failure is also in `state` and `error`: nobody has to look at `done`.
    this.done.catch(() => {})
    this.#group = new Group(port, worker, options, runtime, (failure) => {
      this.#ended = true
      if (failure === undefined) settle.resolve()
      else settle.reject(failure.error)
    })
  }

  get state(): ConsumerState {
    const { failure, held, error, seen, lanes, pump } = this.#group
    if (failure !== undefined) return 'failed'
    if (this.#ended) return 'stopped'
    if (held) return 'paused'
    if (error !== undefined) return 'waiting'
    if (seen === undefined) return 'catching-up'
    if (seen.partitions.every((record) => partitionValue(record).stopped !== null)) return 'failed'
    if (lanes.size === 0) return 'standby'
    const idle = [...lanes.values()].every((lane) => lane.idle && lane.attached)
    return idle && pump.state === 'live' ? 'live' : 'catching-up'
  }

  get error(): unknown {
    const { failure, error, poison } = this.#group
    if (failure !== undefined) return failure.error
    return this.#ended ? undefined : (error ?? poison)
  }

  get reason(): string | undefined {
    const { held, seen } = this.#group
    if (held && !this.#ended) return seen?.value.paused?.reason ?? 'paused by the program'
    if (this.error !== undefined) {
      const { name, message } = storedError(this.error)
      return `${name}: ${message}`
    }
    return this.partitions().find(({ stopped }) => stopped !== undefined)?.stopped
  }

  get position(): number {
    const partitions = this.partitions()
    return partitions.length === 0 ? 0 : Math.min(...partitions.map(({ position }) => position))
  }

  partitions(): readonly PartitionInfo[] {
    const { seen, lanes, worker } = this.#group
    return (seen?.partitions ?? []).map((record, partition) => {
      const { owner, epoch, position, stopped } = partitionValue(record)
      const lane = lanes.get(partition)
      const reason = stopped?.reason
      if (lane === undefined) {
        const other = owner === null || owner === worker.id ? undefined : owner
        return { partition, owner: other, epoch, position, buffered: 0, stopped: reason }
      }
      return {
        ...{ partition, owner: worker.id, epoch: lane.checkpoint.epoch },
        ...{ position: lane.handled, buffered: lane.queue.count, stopped: reason },
      }
    })
  }

  async reached(position: number, options: CallOptions = {}): Promise<void> {
    const { timeoutMs, signal } = options
    const deadline = deadlineIn(this.#runtime.clock, timeoutMs, signal)
    const wake = new WakeSignal(this.#runtime.clock)
    const hint = () => wake.hint()
    this.#group.waiters.add(hint)
    signal?.addEventListener('abort', hint)
    try {
      while (this.#group.seen === undefined || this.position < position) {
        signal?.throwIfAborted()
        if (this.#group.failure !== undefined) throw this.#group.failure.error
        if (this.#ended) throw new StoreClosedError()
        const leftMs = deadline.leftMs()
        if (leftMs <= 0) {
          throw new OperationTimeoutError(`${this.name} reaching ${position}`, timeoutMs ?? 0)
        }
        await wake.sleep(Math.min(this.#options.pollIntervalMs, leftMs))
      }
    } finally {
      signal?.removeEventListener('abort', hint)
      this.#group.waiters.delete(hint)
    }
  }

  pause(): void {
    this.#group.pausedHere = true
  }

  resume(): void {
    this.#group.pausedHere = false
    this.#group.wakeLanes()
  }

  look(): void {
    this.#group.look()
  }

  stop(): Promise<void> {
    return this.#group.stop()
  }
}

/**
 * Starts this process's part in the durable consumer of that name: it takes its share of the
 * partitions and goes on where their checkpoints stand, until it is stopped. Lost connections and
 * busy storage are waited for. Throws InvalidArgumentError for options that make no sense.
 */
export function startConsumer(
  port: EventStore,
  worker: Worker,
  options: ConsumerOptions,
  runtime: ConsumerRuntime,
): Consumer {
  assertConsumerOptions(options)
  return new RunningConsumer(port, worker, options, runtime)
}
