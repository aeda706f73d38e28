import type { Json, RecordedEvent } from '../../model/index.ts'
import type { PartitionContext, PartitionFold, PartitionHandler } from './options.ts'
import { begin, type Worked } from './work.ts'

/** Where the events of one partition go. */
export interface Partition {
  /** One batch after another. Rejects when the work fails. */
  take(events: readonly RecordedEvent[]): Promise<void>
  /** The state of a fold, when nothing is under way. */
  state(): Promise<unknown>
  close(): Promise<void>
}

/** A partition in this thread. */
export function partitionHere(
  work: PartitionHandler | PartitionFold,
  context: PartitionContext,
  before: { readonly state: unknown } | undefined,
): Partition {
  const worked: Worked = begin(work, context, before)
  return {
    take: async (events) => {
      await worked.take(events)
    },
    state: async () => worked.state(),
    close: async () => {},
  }
}

/** Batches that may wait for a partition while it works on one. */
const WAITING_MAX = 2

/**
 * Hands batches to a partition: in their order, a bounded number ahead, so that one slow partition
 * does not stop the others at once. What fails is thrown at the next call.
 */
export class PartitionQueue {
  readonly #partition: Partition
  readonly #waiting: (readonly RecordedEvent[])[] = []
  #running: Promise<void> | undefined
  #failure: { readonly error: unknown } | undefined
  #room: (() => void) | undefined
  /** Events that are done. */
  events = 0

  constructor(partition: Partition) {
    this.#partition = partition
  }

  /** Resolves when there is room for another batch. */
  async push(events: readonly RecordedEvent[]): Promise<void> {
    this.#assertWell()
    this.#waiting.push(events)
    this.#running ??= this.#run()
    if (this.#waiting.length <= WAITING_MAX) return
    await new Promise<void>((resolve) => {
      this.#room = resolve
    })
    this.#assertWell()
  }

  /** Resolves when all of it is done. */
  async drain(): Promise<void> {
    await this.#running
    this.#assertWell()
  }

  async state(): Promise<Json> {
    return (await this.#partition.state()) as Json
  }

  /** What waits is given up; what is under way ends first. */
  async close(): Promise<void> {
    this.#waiting.length = 0
    await this.#partition.close()
    await this.#running
  }

  #assertWell(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  async #run(): Promise<void> {
    try {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
        this.#room?.()
        await this.#partition.take(next)
        this.events += next.length
      }
    } catch (error) {
      this.#failure = { error }
      this.#waiting.length = 0
    } finally {
      this.#running = undefined
      this.#room?.()
    }
  }
}
