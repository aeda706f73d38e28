import { type Clock, isEventualiError, type RebuildOptions, type Store } from 'eventuali'

/** A rebuild that this server runs or has run. */
export interface RebuildStatus {
  readonly state: 'running' | 'done' | 'failed'
  readonly startedAt: string
  readonly endedAt?: string
  /** Who has asked for it. */
  readonly by: string
  /** Log positions done, and those there are to do. */
  readonly done: number
  readonly total: number
  readonly etaMs?: number | undefined
  /** The generation that went live, and whether it is equal to the old one where that was asked. */
  readonly generation?: number
  readonly equal?: boolean | undefined
  /** Events that were passed over. */
  readonly skipped?: number
  readonly error?: { readonly code: string; readonly message: string }
}

interface Run {
  status: RebuildStatus
  readonly abort: AbortController
  readonly ended: Promise<void>
}

/** What a caller may say about a rebuild. */
export type RebuildWishes = Pick<RebuildOptions, 'compare' | 'requireEqual' | 'onError'>

/** The rebuilds of one server: one of each projection at a time, its last one remembered. */
export class Rebuilds {
  readonly #store: Store
  readonly #clock: Clock
  readonly #onError: (error: unknown, request: string) => void
  readonly #runs = new Map<string, Run>()
  #isClosing = false

  constructor(store: Store, clock: Clock, onError: (error: unknown, request: string) => void) {
    this.#store = store
    this.#clock = clock
    this.#onError = onError
  }

  status(name: string): RebuildStatus | undefined {
    return this.#runs.get(name)?.status
  }

  /** Begins one of a projection that this program defines; one that runs goes on. */
  start(name: string, wishes: RebuildWishes, by: string): void {
    if (this.#isClosing || this.status(name)?.state === 'running') return
    const abort = new AbortController()
    const startedAt = this.#now()
    const status = { state: 'running' as const, startedAt, by, done: 0, total: 0 }
    // Begun a turn later, so that it finds itself in the map.
    const ended = Promise.resolve().then(() => this.#run(name, wishes, by, abort.signal))
    this.#runs.set(name, { status, abort, ended })
  }

  /** Gives the rebuild of a projection up; false when none is running. */
  async cancel(name: string): Promise<boolean> {
    const run = this.#runs.get(name)
    if (run?.status.state !== 'running') return false
    run.abort.abort(new Error('it was given up by request'))
    await run.ended
    return true
  }

  /** Gives all of them up: the old generations stay live. */
  async stop(): Promise<void> {
    this.#isClosing = true
    const runs = [...this.#runs.values()]
    for (const { abort } of runs) abort.abort(new Error('the server is closing'))
    await Promise.all(runs.map(({ ended }) => ended))
  }

  async #run(name: string, wishes: RebuildWishes, by: string, signal: AbortSignal): Promise<void> {
    try {
      const report = await this.#store.projections.rebuild(name, {
        ...{ ...wishes, signal, actor: by },
        onProgress: ({ done, total, etaMs }) => this.#tell(name, { done, total, etaMs }),
      })
      const { generation, position, comparison, skipped } = report
      this.#tell(name, {
        ...{ state: 'done', endedAt: this.#now(), generation, skipped: skipped.length },
        ...{ done: position, total: position, etaMs: 0, equal: comparison?.equal },
      })
    } catch (error) {
      const told = this.#told(name, error, signal)
      this.#tell(name, { state: 'failed', endedAt: this.#now(), error: told })
    }
  }

  /** What may be said of an error; what is nobody's own goes to the server's log. */
  #told(name: string, error: unknown, signal: AbortSignal): { code: string; message: string } {
    if (signal.aborted) return { code: 'ABORTED', message: (signal.reason as Error).message }
    if (isEventualiError(error)) return { code: error.code, message: error.message }
    this.#onError(error, `rebuild of ${name}`)
    return { code: 'INTERNAL', message: "the server has failed; the server's log tells why" }
  }

  #tell(name: string, patch: Partial<RebuildStatus>): void {
    const run = this.#runs.get(name)
    if (run !== undefined) run.status = { ...run.status, ...patch }
  }

  #now(): string {
    return new Date(this.#clock.now()).toISOString()
  }
}
