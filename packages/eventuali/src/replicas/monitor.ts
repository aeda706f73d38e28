import type { Clock } from '../kernel/index.ts'
import type { EventStore, LogPositions } from '../ports/index.ts'
import { Marks } from './marks.ts'
import { Pulse } from './pulse.ts'
import type { Replica } from './replica.ts'

/** Looks at the primary, and what it publishes for its replicas, are at least this far apart. */
const LOOK_SOON_MS = 50
/** After the primary has moved, a replica is looked at in steps that begin with this. */
const FOLLOW_FIRST_MS = 5
/** So long after a read that replicas may serve, hints are followed at once. */
const INTEREST_MS = 5000
const LOOK_TIMEOUT_MS = 2000
/** A stop does not wait longer for a look: one that opens a dead replica, say. */
const STOP_TIMEOUT_MS = 5000

/**
 * Keeps looking how far the primary and its replicas are. Each look at the primary also publishes
 * the safe position, which the replicas receive behind the events up to there.
 */
export class Monitor {
  readonly marks: Marks = new Marks()
  /** The primary's positions at the last look that it answered. */
  latest: LogPositions = { safe: 0, newest: 0 }
  readonly #primary: EventStore
  readonly #clock: Clock
  readonly #lookEveryMs: number
  readonly #pulse: Pulse
  readonly #followers: readonly Follower[]
  readonly #listeners = new Set<() => void>()
  #lookedAtMs = Number.NEGATIVE_INFINITY
  #wantedAtMs = Number.NEGATIVE_INFINITY

  constructor(
    primary: EventStore,
    replicas: readonly Replica[],
    options: { readonly clock: Clock; readonly lookEveryMs: number },
  ) {
    this.#primary = primary
    this.#clock = options.clock
    this.#lookEveryMs = options.lookEveryMs
    this.#followers = replicas.map((replica) => new Follower(this, replica, options, this.#tell))
    this.#pulse = new Pulse(options.clock, () => this.#look())
  }

  start(): void {
    this.#pulse.within(0)
    for (const { pulse } of this.#followers) pulse.within(0)
  }

  /** Calls back when a replica has come further. */
  watch(listener: () => void): () => void {
    const own = (): void => listener()
    this.#listeners.add(own)
    return () => this.#listeners.delete(own)
  }

  /** Somebody reads what replicas may serve. */
  wanted(): void {
    this.#wantedAtMs = this.#clock.monotonic()
  }

  /** The primary's log may have grown. */
  hint(): void {
    if (!this.isWanted) return
    this.#pulse.within(Math.max(0, this.#lookedAtMs + LOOK_SOON_MS - this.#clock.monotonic()))
  }

  /** Whether it matters how soon replicas are known to have come further. */
  get isWanted(): boolean {
    return this.#listeners.size > 0 || this.#clock.monotonic() - this.#wantedAtMs < INTEREST_MS
  }

  /** A replica has failed a read: whether it is well again is worth a look at once. */
  recheck(replica: Replica): void {
    this.#followers.find((follower) => follower.replica === replica)?.pulse.within(0)
  }

  async stop(): Promise<void> {
    this.#listeners.clear()
    const pulses = [this.#pulse, ...this.#followers.map(({ pulse }) => pulse)]
    await Promise.all(pulses.map((pulse) => pulse.stop(STOP_TIMEOUT_MS)))
  }

  readonly #tell = (): void => {
    for (const listener of this.#listeners) listener()
  }

  async #look(): Promise<number> {
    const atMs = this.#clock.monotonic()
    this.#lookedAtMs = atMs
    try {
      const options = { publish: true, timeoutMs: LOOK_TIMEOUT_MS }
      const positions = await this.#primary.positions(options)
      const hasMoved = positions.safe > this.latest.safe
      this.latest = positions
      this.marks.note(atMs, positions)
      if (hasMoved && this.isWanted) for (const follower of this.#followers) follower.follow()
    } catch {
      // What replicas hold only grows older; reads with a bound go to the primary, and say why.
    }
    const isHeldBack = this.latest.safe < this.latest.newest
    return isHeldBack && this.isWanted ? LOOK_SOON_MS : this.#lookEveryMs
  }
}

/** Looks at one replica: often while it comes after the primary, now and then otherwise. */
class Follower {
  readonly replica: Replica
  readonly pulse: Pulse
  readonly #monitor: Monitor
  readonly #lookEveryMs: number
  readonly #onProgress: () => void
  #stepMs = FOLLOW_FIRST_MS

  constructor(
    monitor: Monitor,
    replica: Replica,
    options: { readonly clock: Clock; readonly lookEveryMs: number },
    onProgress: () => void,
  ) {
    this.#monitor = monitor
    this.replica = replica
    this.#lookEveryMs = options.lookEveryMs
    this.#onProgress = onProgress
    this.pulse = new Pulse(options.clock, () => this.#look())
  }

  follow(): void {
    this.#stepMs = FOLLOW_FIRST_MS
    if (this.replica.state === 'ready') this.pulse.within(FOLLOW_FIRST_MS)
  }

  async #look(): Promise<number> {
    const { state, reached } = this.replica
    const waitMs = await this.replica.look()
    if (waitMs !== undefined) return waitMs
    const hasMoved = this.replica.reached > reached
    if (hasMoved || this.replica.state !== state) this.#onProgress()
    const isBehind = this.replica.reached < this.#monitor.latest.safe
    if (!isBehind || !this.#monitor.isWanted) return this.#lookEveryMs
    // One that stands still is asked less and less often.
    this.#stepMs = hasMoved ? FOLLOW_FIRST_MS : Math.min(this.#lookEveryMs, this.#stepMs * 2)
    return this.#stepMs
  }
}
