import { isEventualiError } from '../../kernel/index.ts'
import { InvalidArgumentError } from '../../model/index.ts'
import type { EventStore, StoredRecord } from '../../ports/index.ts'
import type { ConsumerRuntime } from '../consumer-options.ts'
import { recordsChanged } from '../ledger/hints.ts'
import { recordKinds, type WorkerValue } from '../ledger/values.ts'

const PEERS_MAX = 1000
/** A beat that cannot be written is tried again after this part of the ttl. */
const RETRY_PART = 10

/** Another worker, as this one has seen it. */
interface Sighting {
  readonly beat: number
  readonly revision: number
  /** When the beat was first seen, on this worker's own monotonic clock. */
  readonly sinceMs: number
  readonly ttlMs: number
  readonly subscriptions: readonly string[]
}

/**
 * The lease of one program on everything that it consumes: one record, renewed every half `ttlMs`.
 *
 * Laws: a worker counts as gone once its beat has not changed for its ttl, measured by whoever
 * looks, on its own monotonic clock, from its own first sight of that beat. Wall clocks are never
 * compared. Nothing is safe by this alone: what keeps a worker that is wrongly taken for gone from
 * writing is the epoch of the partition, checked with every checkpoint.
 */
export class Worker {
  readonly id: string
  readonly ttlMs: number
  readonly #port: Pick<EventStore, 'records' | 'transaction'>
  readonly #runtime: ConsumerRuntime
  readonly #names = new Set<string>()
  readonly #sightings = new Map<string, Sighting>()
  #beat = 0
  #beating: Promise<void> | undefined
  #wanted = false
  #stopTimer: (() => void) | undefined
  #beatenAtMs = Number.NEGATIVE_INFINITY
  #seeing: Promise<void> | undefined
  #seenAtMs = Number.NEGATIVE_INFINITY
  #stopped = false

  constructor(
    port: Pick<EventStore, 'records' | 'transaction'>,
    runtime: ConsumerRuntime,
    options: { readonly ttlMs?: number | undefined } = {},
  ) {
    const { ttlMs = 10_000 } = options
    if (typeof ttlMs !== 'number' || !(ttlMs >= 100)) {
      throw new InvalidArgumentError('ttlMs', 'must be at least 100 milliseconds')
    }
    this.id = runtime.ids.next()
    this.ttlMs = ttlMs
    this.#port = port
    this.#runtime = runtime
  }

  /** Whether the own lease cannot have run out yet in anybody's eyes. */
  get valid(): boolean {
    return this.#runtime.clock.monotonic() - this.#beatenAtMs < this.ttlMs
  }

  /** Makes this worker a candidate for a subscription's partitions; writes the lease at once. */
  async join(name: string): Promise<void> {
    this.#names.add(name)
    await this.#renew()
    recordsChanged(this.#port)
  }

  /** Takes the subscription off the lease; with the last one the lease goes. */
  async leave(name: string): Promise<void> {
    if (!this.#names.delete(name)) return
    await this.#renew()
    recordsChanged(this.#port)
  }

  /** Writes the lease now if it is no longer valid; throws when the store does not answer. */
  async assure(): Promise<void> {
    if (!this.valid) await this.#renew()
  }

  /** Ends the lease, whatever still runs. A store that does not answer sees it run out. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#stopTimer?.()
    if (this.#names.size === 0) return
    this.#names.clear()
    await this.#renew().catch(() => {})
  }

  /** Reads the others' beats unless that was done less than `ageMaxMs` ago. */
  async look(ageMaxMs: number): Promise<void> {
    if (this.#runtime.clock.monotonic() - this.#seenAtMs < ageMaxMs) return
    this.#seeing ??= this.#see().finally(() => {
      this.#seeing = undefined
    })
    await this.#seeing
  }

  /** Whether a worker was there at the last look, with a beat that is younger than its ttl. */
  alive(id: string): boolean {
    return id === this.id || this.diesInMs(id) > 0
  }

  /** Milliseconds until a worker counts as gone if it does not beat; 0 or less when it does. */
  diesInMs(id: string): number {
    const seen = this.#sightings.get(id)
    if (seen === undefined) return 0
    return seen.sinceMs + seen.ttlMs - this.#runtime.clock.monotonic()
  }

  /** Ids of the living candidates for a subscription, this one among them, sorted. */
  members(name: string): readonly string[] {
    const ids = [...this.#sightings]
      .filter(([id, { subscriptions }]) => subscriptions.includes(name) && this.alive(id))
      .map(([id]) => id)
    return (this.#names.has(name) ? [...ids, this.id] : ids).sort()
  }

  async #see(): Promise<void> {
    const rows: StoredRecord[] = []
    for (;;) {
      const after = rows.at(-1)?.key
      const page = { kind: recordKinds.worker, limit: PEERS_MAX, after }
      const found = await this.#port.records.list(page)
      rows.push(...found)
      if (found.length < PEERS_MAX) break
    }
    const nowMs = this.#runtime.clock.monotonic()
    this.#seenAtMs = nowMs
    const ids = new Set(rows.map(({ key }) => key))
    for (const id of this.#sightings.keys()) if (!ids.has(id)) this.#sightings.delete(id)
    for (const { key, value, revision } of rows) {
      if (key === this.id) continue
      const { beat, ttlMs, subscriptions } = value as WorkerValue
      const before = this.#sightings.get(key)
      const sinceMs = before?.beat === beat ? before.sinceMs : nowMs
      this.#sightings.set(key, { beat, ttlMs, subscriptions, revision, sinceMs })
    }
    await this.#bury(nowMs)
  }

  /** Removes the leases of workers that have been gone for long; they would be read for ever. */
  async #bury(nowMs: number): Promise<void> {
    for (const [id, { sinceMs, ttlMs, revision }] of this.#sightings) {
      if (nowMs - sinceMs < ttlMs * 3) continue
      const change = { kind: recordKinds.worker, key: id, expected: revision }
      try {
        await this.#port.transaction(async (tx) => tx.records.write([change]))
      } catch (error) {
        // It is alive after all, or somebody else was faster: the next look tells.
        if (!isEventualiError(error, 'RECORD_CONFLICT')) throw error
      }
      this.#sightings.delete(id)
    }
  }

  /** Shared by all that want it while a write is under way: one more write serves them all. */
  #renew(): Promise<void> {
    if (this.#beating !== undefined) {
      this.#wanted = true
      return this.#beating
    }
    this.#beating = this.#writeUntilCurrent().finally(() => {
      this.#beating = undefined
    })
    return this.#beating
  }

  async #writeUntilCurrent(): Promise<void> {
    do {
      this.#wanted = false
      this.#stopTimer?.()
      this.#stopTimer = undefined
      try {
        await this.#write()
        this.#again(this.ttlMs / 2)
      } catch (error) {
        this.#again(this.ttlMs / RETRY_PART)
        throw error
      }
    } while (this.#wanted)
  }

  #again(ms: number): void {
    if (this.#stopped || this.#names.size === 0) return
    const renew = () => {
      // The timer is set again after a failure; who needs the lease sees that it is not valid.
      this.#renew().catch(() => {})
    }
    this.#stopTimer = this.#runtime.clock.timer(ms, renew, { background: true })
  }

  async #write(): Promise<void> {
    const startedMs = this.#runtime.clock.monotonic()
    this.#beat += 1
    const value: WorkerValue = {
      beat: this.#beat,
      ttlMs: this.ttlMs,
      subscriptions: [...this.#names].sort(),
    }
    const lease = { kind: recordKinds.worker, key: this.id, expected: 'any' } as const
    const change = this.#names.size === 0 ? lease : { ...lease, value }
    await this.#port.transaction((tx) => tx.records.write([change]), { timeoutMs: this.ttlMs })
    // From before the write: others cannot have seen the beat earlier.
    this.#beatenAtMs = this.#names.size === 0 ? Number.NEGATIVE_INFINITY : startedMs
  }
}
