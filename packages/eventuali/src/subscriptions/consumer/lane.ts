import { backoffMs, type Random, sleep } from '../../kernel/index.ts'
import type { RecordedEvent } from '../../model/index.ts'
import type { StoredRecord } from '../../ports/index.ts'
import { letterValue, newLetter, storedError } from '../ledger/letters.ts'
import { type AttemptContext, attempt, type Outcome, type Work } from './attempt.ts'
import { Bell, type Slots } from './bell.ts'
import { EventQueue } from './event-queue.ts'
import { retryLetter } from './letter-retry.ts'
import { isPassing, troubleDelays } from './trouble.ts'
import type { Worker } from './worker.ts'

/** Events in one call of a handler, about: several handlers are at work at the same time. */
const BATCH_BYTES_MAX = 2 * 1024 * 1024

/** What lanes need of their consumer. */
export interface LaneHost extends Pick<AttemptContext, 'port' | 'clock' | 'options' | 'keyOf'> {
  readonly random: Random
  /** Of the current generation. */
  readonly partitions: number
  readonly worker: Pick<Worker, 'valid' | 'assure'>
  readonly slots: Slots
  /** Whether deliveries are held. */
  readonly held: boolean
  /** Shows what a lane waits for; undefined when it goes on. */
  trouble(lane: Lane, error: unknown): void
  /** Something was handled, or room was made. `handled` is false for progress past the filter. */
  progressed(lane: Lane, handled: boolean): void
  lost(lane: Lane): void
  stopped(lane: Lane, error: unknown): void
  failed(error: unknown): void
}

/** Events that are tried together. */
interface Part {
  readonly events: readonly RecordedEvent[]
  readonly attempt: number
}

/** The work on one partition: one batch after the other, in order. */
export class Lane {
  readonly queue: EventQueue
  readonly checkpoint: AttemptContext['checkpoint']
  /** Everything up to it has been put into the queue, or is not for this lane. */
  seen: number
  /** Everything up to it is done. */
  handled: number
  /** Whether the reader of the log fills its queue; not while it has fallen far behind. */
  attached = true
  /** Keys whose events wait behind a dead letter. */
  readonly #parked: Set<string>
  readonly #host: LaneHost
  readonly #bell = new Bell()
  readonly #abort = new AbortController()
  readonly #requested = new Map<string, StoredRecord>()
  readonly #context: AttemptContext
  #busy = false
  #failures = 0
  readonly #ended: Promise<void>

  constructor(
    host: LaneHost,
    checkpoint: AttemptContext['checkpoint'],
    parkedKeys: Iterable<string>,
  ) {
    this.#host = host
    this.queue = new EventQueue(host.partitions > 1)
    this.checkpoint = checkpoint
    this.seen = checkpoint.position
    this.handled = checkpoint.position
    this.#parked = new Set(parkedKeys)
    const { port, clock, options } = host
    const keyOf = (event: RecordedEvent) => host.keyOf(event)
    this.#context = { port, clock, options, checkpoint, signal: this.#abort.signal, keyOf }
    this.#ended = this.#run().catch((error) => host.failed(error))
  }

  get partition(): number {
    return this.checkpoint.partition
  }

  get closing(): boolean {
    return this.#abort.signal.aborted
  }

  /** Neither at work nor with work to do. */
  get idle(): boolean {
    return !this.#busy && this.queue.count === 0 && this.#requested.size === 0
  }

  /** Hands over what was read up to `seen`. */
  offer(events: readonly RecordedEvent[], seen: number): void {
    if (this.closing) return
    this.seen = seen
    this.queue.push(events)
    if (events.length > 0) this.#bell.ring()
    else this.#settle()
  }

  /** Forgets what waits beyond `keep` events, to be read again later. */
  detach(keep: number): void {
    this.attached = false
    this.seen = this.queue.trim(keep) ?? this.seen
  }

  /** Asks for dead letters to be handled again. */
  request(letters: readonly StoredRecord[]): void {
    for (const letter of letters) this.#requested.set(letter.key, letter)
    this.#bell.ring()
  }

  /** Looks again whether deliveries are held. */
  wake(): void {
    this.#bell.ring()
  }

  /** Hands over nothing more; resolves when the handler at work is through. */
  close(): Promise<void> {
    this.#abort.abort()
    this.queue.clear()
    this.#bell.ring()
    return this.#ended
  }

  async #run(): Promise<void> {
    while (!this.closing) {
      if (this.#host.held || this.idle) {
        this.#settle()
        await this.#bell.wait()
        continue
      }
      this.#busy = true
      if (await this.#leased()) {
        const [letter] = this.#requested.values()
        if (letter === undefined) await this.#batch()
        else await this.#letter(letter)
      }
      this.#busy = false
    }
  }

  async #batch(): Promise<void> {
    const events = this.queue.take(this.#host.options.maxBatch, BATCH_BYTES_MAX)
    const parts: Part[] = [{ events, attempt: 0 }]
    this.#host.progressed(this, false)
    for (;;) {
      while (this.#host.held && !this.closing) await this.#bell.wait()
      const part = parts.shift()
      if (part === undefined || this.closing) return
      parts.unshift(...(await this.#part(part)))
    }
  }

  /** Tries a part; gives what of it is still to be done. */
  async #part(part: Part): Promise<readonly Part[]> {
    const followers = part.events.filter((event) => this.#isParked(event))
    const events =
      followers.length === 0 ? part.events : part.events.filter((event) => !this.#isParked(event))
    const position = part.events.at(-1)?.position
    const outcome = await this.#try({ events, followers, position, attempt: part.attempt })
    switch (outcome.kind) {
      case 'done':
        this.#advance(position ?? this.handled)
        return []
      case 'unparked':
        for (const key of outcome.keys) this.#parked.delete(key)
        return [part]
      case 'lost':
        return []
      default: {
        const { upTo = 0 } = outcome
        // Followers are parked at the end of a try, which this one has not come to: those that the
        // handler's progress has passed are still to be parked, and nothing is done beyond them.
        const passed = followers.filter(({ position }) => position <= upTo)
        this.#advancePast(part.events, Math.min(upTo, (passed[0]?.position ?? upTo + 1) - 1))
        const parking = passed.length === 0 ? [] : [{ events: passed, attempt: 0 }]
        const rest = part.events.filter((event) => event.position > upTo)
        if (rest.length === 0) return parking
        // One that fails for good moves the checkpoint: only when nothing before it is left.
        if (outcome.kind === 'failed' && passed.length === 0) {
          return this.#afterFailure(part, rest, outcome.error)
        }
        return [...parking, { ...part, events: rest }]
      }
    }
  }

  async #afterFailure(
    part: Part,
    rest: readonly RecordedEvent[],
    error: unknown,
  ): Promise<readonly Part[]> {
    const [first] = rest
    if (first === undefined) return []
    if (rest.length > 1) {
      // Who told of progress failed at the next event; otherwise it is found by halves.
      const cut = rest.length < part.events.length ? 1 : Math.ceil(rest.length / 2)
      return [rest.slice(0, cut), rest.slice(cut)].map((events) => ({ events, attempt: 0 }))
    }
    const { options, random } = this.#host
    if (part.attempt < options.retry.retryCountMax) {
      await this.#pause(backoffMs(options.retry, part.attempt, random))
      return [{ events: rest, attempt: part.attempt + 1 }]
    }
    await this.#poison(first, error, part.attempt + 1)
    return []
  }

  /** One try, with what every kind of try has to do afterwards. */
  async #try(work: Work): Promise<Outcome> {
    const outcome = await this.#host.slots.run(() => attempt(this.#context, work))
    if (outcome.kind === 'trouble') {
      await this.#waitFor(outcome.error)
      return outcome
    }
    this.#recovered()
    if (outcome.kind === 'lost') this.#host.lost(this)
    return outcome
  }

  async #letter(letter: StoredRecord): Promise<void> {
    const again = await retryLetter(letter, this.#context, (work) => this.#try(work)).catch(
      async (error) => {
        if (!isPassing(error)) throw error
        await this.#waitFor(error)
        return letter
      },
    )
    this.#requested.delete(letter.key)
    if (again === undefined) this.#parked.delete(letterValue(letter).key)
    else if (again !== 'parked') this.#requested.set(again.key, again)
  }

  async #poison(event: RecordedEvent, error: unknown, attempts: number): Promise<void> {
    const { options, clock, port } = this.#host
    const { position } = event
    const key = this.#host.keyOf(event)
    const { onPoison, name } = options
    const stop = onPoison === 'stop'
    const { name: kind, message } = storedError(error)
    const stopped = { reason: `${kind}: ${message}`, position, at: clock.now() }
    const letter = newLetter(name, event, {
      ...{ key, ordered: onPoison === 'park-key', reason: 'failed' },
      ...{ error: storedError(error), attempts, parkedAt: clock.now() },
    })
    const saved = await this.#save(async () => {
      const { checkpoint } = this
      const change = checkpoint.change(
        stop ? { stopped, owner: null, position: this.handled } : { position },
      )
      const changes = stop ? [change] : [change, letter]
      const [revision = 0] = await port.transaction((tx) => tx.records.write(changes), {
        timeoutMs: options.timeoutMs,
      })
      checkpoint.committed(change, revision)
    })
    if (!saved) return
    if (stop) return this.#host.stopped(this, error)
    if (onPoison === 'park-key') this.#parked.add(key)
    this.#advance(position)
  }

  /** Writes until it is written; false when the lane has to end instead. */
  async #save(write: () => Promise<void>): Promise<boolean> {
    const before = this.checkpoint.position
    while (!this.closing) {
      try {
        await this.checkpoint.exclusive(write)
        return true
      } catch (error) {
        const refresh = () => this.checkpoint.refresh(this.#host.port)
        const held = await this.checkpoint.exclusive(refresh).catch(() => true)
        if (!held) {
          this.#host.lost(this)
          return false
        }
        if (this.checkpoint.position > before) return true
        await this.#waitFor(error)
      }
    }
    return false
  }

  /** Whether the lease holds. Without it somebody else may be at work on the partition. */
  async #leased(): Promise<boolean> {
    if (this.#host.worker.valid) return true
    try {
      await this.#host.worker.assure()
      if (await this.checkpoint.exclusive(() => this.checkpoint.refresh(this.#host.port))) {
        this.#recovered()
        return true
      }
      this.#host.lost(this)
    } catch (error) {
      await this.#waitFor(error)
    }
    return false
  }

  #isParked(event: RecordedEvent): boolean {
    return this.#parked.size > 0 && this.#parked.has(this.#host.keyOf(event))
  }

  /** Everything of these events up to the position is done. */
  #advancePast(events: readonly RecordedEvent[], upTo: number): void {
    const last = events.findLast(({ position }) => position <= upTo)
    if (last !== undefined) this.#advance(last.position)
  }

  #advance(position: number): void {
    if (position > this.handled) this.handled = position
    this.#host.progressed(this, true)
  }

  /** With nothing left to do, everything that was looked through is done. */
  #settle(): void {
    if (!this.idle || this.closing) return
    // One that was left behind tells that it is through, to be read for again.
    if (this.handled >= this.seen && this.attached) return
    this.handled = Math.max(this.handled, this.seen)
    this.#host.progressed(this, false)
  }

  #recovered(): void {
    if (this.#failures === 0) return
    this.#failures = 0
    this.#host.trouble(this, undefined)
  }

  async #waitFor(error: unknown): Promise<void> {
    this.#host.trouble(this, error)
    await this.#pause(backoffMs(troubleDelays, this.#failures++, this.#host.random))
  }

  #pause(ms: number): Promise<void> {
    return sleep(this.#host.clock, Math.max(1, ms), this.#abort.signal).catch(() => {})
  }
}
