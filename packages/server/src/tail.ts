import type { Clock, RecordedEvent, Store } from 'eventuali'

/** Events in memory for those who follow closely; whoever is further behind reads the log. */
const EVENTS_MAX = 2000
const CHARACTERS_MAX: number = 8 * 1024 * 1024

/** An event and its text, made once for all who get it. */
export interface TailedEvent {
  readonly event: RecordedEvent
  readonly text: string
}

/**
 * The end of the log, read once for all live feeds. It holds a bounded number of events; a feed is
 * a place in it, so that a slow one costs no memory: it falls out, and reads the log from there.
 */
export class Tail {
  readonly #store: Store
  readonly #clock: Clock
  readonly #waiting = new Set<() => void>()
  #events: TailedEvent[] = []
  #characters = 0
  /** Everything above it, up to `#position`, is in `#events`. */
  #floor = 0
  #position = 0
  #followers = 0
  #running: AbortController | undefined
  #started: Promise<void> | undefined

  constructor(store: Store, clock: Clock) {
    this.#store = store
    this.#clock = clock
  }

  /** How far the log was read. */
  get position(): number {
    return this.#position
  }

  /** Reads along from now on, until the last follower has left. */
  async follow(): Promise<() => void> {
    this.#followers++
    if (this.#running === undefined) {
      const abort = new AbortController()
      this.#running = abort
      this.#started = this.#start(abort)
    }
    let hasLeft = false
    const leave = () => {
      if (hasLeft) return
      hasLeft = true
      if (--this.#followers === 0) this.stop()
    }
    try {
      await this.#started
    } catch (error) {
      leave()
      throw error
    }
    return leave
  }

  stop(): void {
    this.#running?.abort()
    this.#running = undefined
    this.#events = []
    this.#characters = 0
    this.#wake()
  }

  /** The events above a position, or undefined when some of them are no longer held. */
  since(position: number, countMax: number): readonly TailedEvent[] | undefined {
    if (this.#running === undefined || position < this.#floor) return undefined
    // Bisection: the positions only grow.
    let [low, high] = [0, this.#events.length]
    while (low < high) {
      const middle = (low + high) >> 1
      const at = this.#events[middle] as TailedEvent
      if (at.event.position > position) high = middle
      else low = middle + 1
    }
    let end = Math.min(low + countMax, this.#events.length)
    // What stands in the place of one stored event stays together.
    const last = this.#events[end - 1]?.event.position
    while (end < this.#events.length && this.#events[end]?.event.position === last) end++
    return this.#events.slice(low, end)
  }

  /** Resolves when the log has grown beyond a position, after `ms`, or when the signal aborts. */
  grown(position: number, ms: number, signal: AbortSignal): Promise<void> {
    if (this.#position > position || signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const end = () => {
        stop()
        this.#waiting.delete(end)
        signal.removeEventListener('abort', end)
        resolve()
      }
      const stop = this.#clock.timer(ms, end, { background: true })
      this.#waiting.add(end)
      signal.addEventListener('abort', end, { once: true })
    })
  }

  async #start(abort: AbortController): Promise<void> {
    const { safe } = await this.#store.positions()
    if (abort.signal.aborted) return
    this.#floor = safe
    this.#position = safe
    void this.#run(abort)
  }

  async #run(abort: AbortController): Promise<void> {
    const { signal } = abort
    while (!signal.aborted) {
      const subscription = this.#store.subscribe(
        { after: this.#position, signal },
        { batch: (events) => this.#take(events, signal), maxBatch: 500 },
      )
      await subscription.done.catch(() => {})
      // Whatever has ended it: begin where it was, a moment later.
      if (!signal.aborted) await this.grown(Number.MAX_SAFE_INTEGER, 1000, signal)
    }
  }

  #take(events: readonly RecordedEvent[], signal: AbortSignal): void {
    if (signal.aborted) return
    for (const event of events) {
      const text = JSON.stringify(event)
      this.#events.push({ event, text })
      this.#characters += text.length
      this.#position = event.position
    }
    let gone = 0
    let count = this.#events.length
    while (count > 0 && (count > EVENTS_MAX || this.#characters > CHARACTERS_MAX)) {
      const oldest = this.#events[gone++] as TailedEvent
      this.#characters -= oldest.text.length
      this.#floor = oldest.event.position
      count--
    }
    if (gone > 0) this.#events.splice(0, gone)
    this.#wake()
  }

  #wake(): void {
    for (const end of [...this.#waiting]) end()
  }
}
