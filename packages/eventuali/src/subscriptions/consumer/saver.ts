import { backoffMs, isEventualiError } from '../../kernel/index.ts'
import type { EventStore } from '../../ports/index.ts'
import type { ConsumerOptions, ConsumerRuntime } from '../consumer-options.ts'
import type { PartitionValue } from '../ledger/values.ts'
import type { Checkpoint } from './checkpoint.ts'
import type { Lane } from './lane.ts'
import { troubleDelays } from './trouble.ts'

/** Progress of a plain handler is saved at most this often, in milliseconds. */
const INTERVAL_MS = 250
/** Progress past events that are not for the handler may be looked at twice: no hurry. */
const LAZY_INTERVAL_MS = 5000

/** What the saver needs of its consumer. */
export interface SaverHost {
  readonly port: EventStore
  readonly runtime: ConsumerRuntime
  readonly options: ConsumerOptions
  readonly lanes: ReadonlyMap<number, Lane>
  lost(lane: Lane): void
  saving(error: unknown): void
}

/** Saves the progress of lanes that do not save it themselves, many in one transaction. */
export class Saver {
  readonly #host: SaverHost
  #dueMs = Number.POSITIVE_INFINITY
  #stopTimer: (() => void) | undefined
  #failures = 0
  #ended = false

  constructor(host: SaverHost) {
    this.#host = host
  }

  /** The lane has come further. `handled`: by the handler, not just past other events. */
  touch(lane: Lane, handled: boolean): void {
    if (this.#ended || lane.handled <= lane.checkpoint.position) return
    const { checkpointIntervalMs = INTERVAL_MS } = this.#host.options
    this.#schedule(handled ? checkpointIntervalMs : LAZY_INTERVAL_MS)
  }

  /** Saves and gives the partitions back; afterwards the lanes are nobody's. Closed ones only. */
  async release(lanes: readonly Lane[]): Promise<void> {
    if (lanes.length > 0) await this.#save(lanes, { owner: null })
  }

  end(): void {
    this.#ended = true
    this.#stopTimer?.()
  }

  #schedule(ms: number): void {
    const { clock } = this.#host.runtime
    const dueMs = clock.monotonic() + ms
    if (dueMs >= this.#dueMs) return
    this.#stopTimer?.()
    this.#dueMs = dueMs
    this.#stopTimer = clock.timer(ms, () => void this.#flush())
  }

  async #flush(): Promise<void> {
    this.#dueMs = Number.POSITIVE_INFINITY
    // One that is busy saves itself, or is dirty again afterwards.
    const lanes = [...this.#host.lanes.values()].filter(
      (lane) => lane.handled > lane.checkpoint.position && !lane.checkpoint.busy && !lane.closing,
    )
    try {
      if (lanes.length > 0) await this.#save(lanes, {})
      if (this.#failures > 0) this.#host.saving(undefined)
      this.#failures = 0
    } catch (error) {
      if (this.#ended) return
      this.#host.saving(error)
      const { random } = this.#host.runtime
      this.#schedule(1 + backoffMs(troubleDelays, this.#failures++, random))
    }
  }

  async #save(lanes: readonly Lane[], patch: Partial<PartitionValue>): Promise<void> {
    const { port, options } = this.#host
    try {
      await together(
        lanes.map((lane) => lane.checkpoint),
        async () => {
          const changes = lanes.map((lane) =>
            lane.checkpoint.change({ ...patch, position: lane.handled }),
          )
          const revisions = await port.transaction((tx) => tx.records.write(changes), {
            timeoutMs: options.timeoutMs,
          })
          lanes.forEach((lane, i) => {
            const change = changes[i]
            if (change !== undefined) lane.checkpoint.committed(change, revisions[i] ?? 0)
          })
        },
      )
    } catch (error) {
      const held = await this.#stillHeld(lanes)
      if (!isEventualiError(error, 'RECORD_CONFLICT')) throw error
      if (held.length > 0) await this.#save(held, patch)
    }
  }

  async #stillHeld(lanes: readonly Lane[]): Promise<readonly Lane[]> {
    const held: Lane[] = []
    for (const lane of lanes) {
      const refresh = () => lane.checkpoint.refresh(this.#host.port)
      if (await lane.checkpoint.exclusive(refresh)) held.push(lane)
      else this.#host.lost(lane)
    }
    return held
  }
}

/** Runs `work` while nobody else writes any of the records. */
function together(checkpoints: readonly Checkpoint[], work: () => Promise<void>): Promise<void> {
  const [first, ...rest] = checkpoints
  return first === undefined ? work() : first.exclusive(() => together(rest, work))
}
