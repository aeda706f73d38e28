import type { Clock, Deadline } from '../../kernel/index.ts'
import { OperationTimeoutError } from '../../model/index.ts'
import type { PoolLaneStatistics } from '../../ports/index.ts'
import type { DriverPool } from './driver.ts'
import { Lanes } from './lanes.ts'

/** The connections for one kind of work: how many, who waits for them, and for how long. */
export class PoolLane {
  readonly pool: DriverPool
  readonly #name: string
  readonly #size: number
  readonly #clock: Clock
  readonly #acquireTimeoutMs: number
  readonly #places: Lanes
  #acquired = 0
  #waits = 0
  #waitedMs = 0
  #waitedMsMax = 0
  #timeouts = 0

  constructor(
    name: string,
    pool: DriverPool,
    size: number,
    clock: Clock,
    acquireTimeoutMs: number = Number.POSITIVE_INFINITY,
  ) {
    this.pool = pool
    this.#name = name
    this.#size = size
    this.#clock = clock
    this.#acquireTimeoutMs = acquireTimeoutMs
    this.#places = new Lanes(clock, size)
  }

  /** A place at once, or undefined when all are taken. The result gives it back (once). */
  tryEnter(): (() => void) | undefined {
    const leave = this.#places.tryEnter()
    if (leave !== undefined) this.#acquired++
    return leave
  }

  /** Waits for a place. Throws OperationTimeoutError and the signal's reason. */
  async enter(deadline: Deadline): Promise<() => void> {
    const startedMs = this.#clock.monotonic()
    const waited = () => this.#clock.monotonic() - startedMs
    const bound: Deadline = {
      leftMs: () => Math.min(deadline.leftMs(), this.#acquireTimeoutMs - waited()),
      signal: deadline.signal,
    }
    this.#waits++
    try {
      const leave = await this.#places.enter(bound, this.busyText)
      this.#acquired++
      return leave
    } catch (error) {
      if (error instanceof OperationTimeoutError) this.#timeouts++
      throw error
    } finally {
      const waitedMs = waited()
      this.#waitedMs += waitedMs
      this.#waitedMsMax = Math.max(this.#waitedMsMax, waitedMs)
    }
  }

  /** What a caller waits for, for messages. */
  get busyText(): string {
    const which = this.#size === 1 ? 'the only one is' : `all ${this.#size} are`
    return `the wait for a connection of the ${this.#name} lane (${which} in use)`
  }

  get statistics(): PoolLaneStatistics {
    return {
      size: this.#size,
      inUse: this.#places.busyCount,
      waiting: this.#places.waitingCount,
      acquired: this.#acquired,
      waits: this.#waits,
      waitedMs: this.#waitedMs,
      waitedMsMax: this.#waitedMsMax,
      timeouts: this.#timeouts,
    }
  }
}
