import { backoffMs, type Clock, isEventualiError, type Random } from '../kernel/index.ts'
import {
  NotAReplicaError,
  OperationTimeoutError,
  type RecordedEvent,
  StoreClosedError,
} from '../model/index.ts'
import type { EventStore, LogQuery } from '../ports/index.ts'

/** Where a replica is, and how to open it. */
export interface ReplicaPlace {
  /** For status pages: without user and password. */
  readonly name: string
  /** Opens it for reading; rejects while it cannot be reached. */
  open(): Promise<EventStore>
}

/**
 * `opening`: it was not reached yet. `ready`: it serves what its lag allows. `down`: it fails or
 * does not answer. `refused`: it answers, and is no replica of this log. All but `ready` are
 * skipped, and looked at again.
 */
export type ReplicaState = 'opening' | 'ready' | 'down' | 'refused'

/** A look at a replica that takes longer is a failure, and so is the opening of one. */
const LOOK_TIMEOUT_MS = 2000
const OPEN_TIMEOUT_MS = 10_000
/** A close does not wait longer for a replica that does not answer. */
const CLOSE_TIMEOUT_MS = 5000
/** A replica that moves on proves this often that its events are those of the primary. */
const PROOF_INTERVAL_MS = 10_000

const again = { retryCountMax: Number.POSITIVE_INFINITY, firstDelayMs: 100, delayMaxMs: 2000 }

/** Failures after which a replica is not asked again before it has answered a look. */
const lost: ReadonlySet<string> = new Set(['CONNECTION_FAILED', 'TIMEOUT', 'STORE_CLOSED'])

async function firstEvent(store: EventStore, query: LogQuery): Promise<RecordedEvent | undefined> {
  const whole = { ...query, limit: 1, includeArchived: true }
  for await (const [event] of store.readLog(whole, { timeoutMs: LOOK_TIMEOUT_MS })) return event
  return undefined
}

/** Settles as `work` does, or rejects when it has not in time. */
function inTime<T>(clock: Clock, what: string, timeoutMs: number, work: Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const late = (): void => reject(new OperationTimeoutError(what, timeoutMs))
    const stop = clock.timer(timeoutMs, late, { background: true })
    work.then(resolve, reject).finally(stop)
  })
}

/** One replica: opened, looked at, and skipped while it is not well. */
export class Replica {
  readonly name: string
  readonly #place: ReplicaPlace
  readonly #primary: EventStore
  readonly #clock: Clock
  readonly #random: Random
  #store: EventStore | undefined
  #state: ReplicaState = 'opening'
  #error: unknown
  #reached = 0
  #provenAtMs = Number.NEGATIVE_INFINITY
  #provenUpTo = -1
  #failureCount = 0
  #gone = new AbortController()
  #closed = false
  /** Reads that began here. */
  readCount = 0
  /** Reads that it failed in, and that went on at the primary. */
  failedReadCount = 0

  constructor(
    place: ReplicaPlace,
    primary: EventStore,
    sources: { readonly clock: Clock; readonly random: Random },
  ) {
    this.name = place.name
    this.#place = place
    this.#primary = primary
    this.#clock = sources.clock
    this.#random = sources.random
  }

  get state(): ReplicaState {
    return this.#state
  }

  /** Why it is skipped, while it is. */
  get error(): unknown {
    return this.#error
  }

  /** Everything at or below it that there will ever be is visible here. */
  get reached(): number {
    return this.#reached
  }

  /** What reads, while it is well; the signal tells when it no longer is. */
  get serving(): { readonly store: EventStore; readonly gone: AbortSignal } | undefined {
    if (this.#state !== 'ready' || this.#store === undefined) return undefined
    return { store: this.#store, gone: this.#gone.signal }
  }

  /** Looks how far it is; resolves with the milliseconds to wait after a failure, or undefined. */
  async look(): Promise<number | undefined> {
    try {
      const store = await this.#opened()
      const safe = await inTime(this.#clock, 'a look', LOOK_TIMEOUT_MS, this.#proven(store))
      if (this.#closed) return undefined
      this.#reached = Math.max(this.#reached, safe)
      this.#failureCount = 0
      this.#error = undefined
      if (this.#state !== 'ready') this.#gone = new AbortController()
      this.#state = 'ready'
      return undefined
    } catch (error) {
      this.#skip(error)
      return Math.max(1, backoffMs(again, this.#failureCount++, this.#random))
    }
  }

  /** A read has failed here: whether it is well is for the next look to say, when it seems lost. */
  failed(error: unknown): void {
    this.failedReadCount++
    const { code } = error as { readonly code?: string }
    if (isEventualiError(error, 'NOT_A_REPLICA') || (code !== undefined && lost.has(code))) {
      this.#skip(error)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#skip(new StoreClosedError())
    const store = this.#store
    this.#store = undefined
    if (store !== undefined) await this.#end(store)
  }

  /** Closes without waiting for ever, and without a failure: nothing is lost with a reader. */
  #end(store: EventStore): Promise<void> {
    return new Promise((resolve) => {
      const stop = this.#clock.timer(CLOSE_TIMEOUT_MS, resolve, { background: true })
      const done = (): void => {
        stop()
        resolve()
      }
      store.close().then(done, done)
    })
  }

  async #opened(): Promise<EventStore> {
    if (this.#store !== undefined) return this.#store
    const store = await this.#opening()
    if (this.#closed || store.incarnation !== this.#primary.incarnation) {
      await this.#end(store)
      throw new NotAReplicaError(
        `its log has the incarnation ${store.incarnation}, the primary's ${this.#primary.incarnation}`,
      )
    }
    this.#store = store
    // Another server may stand behind the name now.
    this.#reached = 0
    this.#provenUpTo = -1
    return store
  }

  #opening(): Promise<EventStore> {
    let isLate = false
    const opening = this.#place.open().then(async (store) => {
      if (isLate) await this.#end(store)
      return store
    })
    return inTime(this.#clock, 'opening', OPEN_TIMEOUT_MS, opening).catch((error) => {
      isLate = true
      throw error
    })
  }

  async #proven(store: EventStore): Promise<number> {
    const { safe } = await store.positions({ timeoutMs: LOOK_TIMEOUT_MS })
    await this.#prove(store, safe)
    return safe
  }

  /**
   * A copy of the database that went its own way has the same incarnation, and positions that look
   * right. Its newest events give it away: no two events have one id.
   */
  async #prove(store: EventStore, safe: number): Promise<void> {
    const nowMs = this.#clock.monotonic()
    const isKnown = this.#provenUpTo >= 0 && this.#state === 'ready'
    if (safe === this.#provenUpTo && isKnown) return
    if (isKnown && nowMs - this.#provenAtMs < PROOF_INTERVAL_MS) return
    const last = await firstEvent(store, { upTo: safe, direction: 'backward' })
    if (last !== undefined) {
      const at = { after: last.position - 1, upTo: last.position, direction: 'forward' } as const
      const own = await firstEvent(this.#primary, at).catch((error) => {
        if (!isKnown) throw error
        return undefined
      })
      // The primary does not answer, or has removed the event and this replica not yet.
      if (own === undefined && isKnown) return
      if (own?.id !== last.id || own.stream !== last.stream || own.version !== last.version) {
        throw new NotAReplicaError(`its event at position ${last.position} is not the primary's`)
      }
    }
    this.#provenAtMs = nowMs
    this.#provenUpTo = safe
  }

  #skip(error: unknown): void {
    const isRefused = isEventualiError(error, 'NOT_A_REPLICA')
    this.#state = isRefused ? 'refused' : 'down'
    this.#error = error
    this.#gone.abort(error)
    if (!isRefused || this.#store === undefined) return
    // What was learnt from it (ids of types, say) may be wrong for the server it is now.
    const store = this.#store
    this.#store = undefined
    void this.#end(store)
  }
}
