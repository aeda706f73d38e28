import { backoffMs, isEventualiError, sleep } from '../../kernel/index.ts'
import type { RecordedEvent } from '../../model/index.ts'
import type { EventStore, RecordReads, StoredRecord } from '../../ports/index.ts'
import type { ConsumerOptions, ConsumerRuntime } from '../consumer-options.ts'
import { onRecordsChanged, recordsChanged } from '../ledger/hints.ts'
import { partitionOf } from '../ledger/key-hash.ts'
import { lettersIn, letterValue } from '../ledger/letters.ts'
import {
  type EarlierPositions,
  letterPrefix,
  partitionValue,
  readSubscription,
  recordKinds,
  type SubscriptionRecords,
} from '../ledger/values.ts'
import { WakeSignal } from '../wake.ts'
import { planPartitions } from './assignment.ts'
import { Slots } from './bell.ts'
import { Lane, type LaneHost } from './lane.ts'
import {
  claimPartitions,
  ensureSubscription,
  forgetEarlier,
  isFree,
  switchGeneration,
} from './ownership.ts'
import { Pump, type PumpHost } from './pump.ts'
import { Saver, type SaverHost } from './saver.ts'
import { isPassing, troubleDelays } from './trouble.ts'
import type { Worker } from './worker.ts'

const LETTERS_PER_LOOK = 1000
/** Tries to give the partitions back at a stop; afterwards the lease runs out by itself. */
const RELEASE_TRIES = 3

type TroubleSource = 'look' | 'save' | Lane

/**
 * One worker's part in a consumer: it looks at the records every poll interval, takes partitions
 * and gives them back, and keeps a lane for each that it owns.
 */
export class Group implements LaneHost, PumpHost, SaverHost {
  readonly port: EventStore
  readonly worker: Worker
  readonly options: ConsumerOptions
  readonly runtime: ConsumerRuntime
  readonly lanes: Map<number, Lane> = new Map()
  readonly slots: Slots
  readonly pump: Pump
  /** The records as of the last look. */
  seen: SubscriptionRecords | undefined
  pausedHere = false
  /** Error of the event that stopped a partition here, as long as that is not resumed. */
  poison: unknown
  /** Why it has ended by itself. */
  failure: { readonly error: unknown } | undefined
  /** Called after every step forward. */
  readonly waiters: Set<() => void> = new Set()
  /** Reads that end, also when the storage does not answer. */
  readonly #records: RecordReads
  readonly #saver: Saver
  readonly #wake: WakeSignal
  readonly #unhint: () => void
  readonly #leaving = new Set<Promise<void>>()
  readonly #troubles = new Map<TroubleSource, unknown>()
  readonly #looking: Promise<void>
  readonly #onEnd: (failure: { readonly error: unknown } | undefined) => void
  #failures = 0
  #stopping: Promise<void> | undefined

  constructor(
    port: EventStore,
    worker: Worker,
    options: ConsumerOptions,
    runtime: ConsumerRuntime,
    onEnd: (failure: { readonly error: unknown } | undefined) => void,
  ) {
    this.port = port
    this.worker = worker
    this.options = options
    this.runtime = runtime
    this.#onEnd = onEnd
    this.slots = new Slots(options.concurrency)
    this.#wake = new WakeSignal(runtime.clock)
    const { timeoutMs } = options
    this.#records = {
      get: (kind, keys) => port.records.get(kind, keys, { timeoutMs }),
      list: (query) => port.records.list(query, { timeoutMs }),
    }
    this.#unhint = onRecordsChanged(port, () => this.look())
    this.#saver = new Saver(this)
    this.pump = new Pump(this)
    this.#looking = this.#lookForEver().catch((error) => this.failed(error))
  }

  get clock(): ConsumerRuntime['clock'] {
    return this.runtime.clock
  }

  get random(): ConsumerRuntime['random'] {
    return this.runtime.random
  }

  get partitions(): number {
    return this.seen?.value.partitions ?? this.options.partitions
  }

  get earlier(): readonly EarlierPositions[] {
    return this.seen?.value.earlier ?? []
  }

  get held(): boolean {
    return this.pausedHere || (this.seen?.value.paused ?? null) !== null
  }

  get ending(): boolean {
    return this.#stopping !== undefined
  }

  /** What is being waited for. */
  get error(): unknown {
    const [first] = this.#troubles.values()
    return first ?? this.pump.error
  }

  keyOf(event: RecordedEvent): string {
    return this.options.keyOf === undefined ? event.stream : this.options.keyOf(event)
  }

  look(): void {
    this.#wake.hint()
  }

  /** Lets the lanes see whether they are held. */
  wakeLanes(): void {
    for (const lane of this.lanes.values()) lane.wake()
  }

  trouble(source: TroubleSource, error: unknown): void {
    if (error === undefined) this.#troubles.delete(source)
    else if (isEventualiError(error, 'STORE_CLOSED')) void this.stop()
    else this.#troubles.set(source, error)
  }

  saving(error: unknown): void {
    this.trouble('save', error)
  }

  progressed(lane: Lane, handled: boolean): void {
    this.pump.roomMade(lane)
    this.#saver.touch(lane, handled && !this.options.transactional)
    for (const waiter of this.waiters) waiter()
  }

  /** No look at once: two workers that take each other for dead would chase each other. */
  lost(lane: Lane): void {
    this.#drop(lane)
  }

  stopped(lane: Lane, error: unknown): void {
    this.poison = error
    this.#remember(lane)
    this.#drop(lane)
    recordsChanged(this.port)
  }

  /** Ends for a reason that waiting does not mend. */
  failed(error: unknown): void {
    if (this.ending) return
    if (!isEventualiError(error, 'STORE_CLOSED')) this.failure = { error }
    void this.stop()
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    // Let what has called it come to its end first.
    await Promise.resolve()
    this.#unhint()
    this.#wake.hint()
    const lanes = [...this.lanes.values()]
    await Promise.all([this.pump.stop(), this.#looking, ...lanes.map((lane) => lane.close())])
    await Promise.all(this.#leaving)
    this.#saver.end()
    await this.#giveBack()
    for (const waiter of this.waiters) waiter()
    this.#onEnd(this.failure)
  }

  async #giveBack(): Promise<void> {
    for (let tries = 0; tries < RELEASE_TRIES; tries++) {
      try {
        await this.#saver.release([...this.lanes.values()])
        for (const lane of [...this.lanes.values()]) this.#remember(lane)
        this.lanes.clear()
        await this.worker.leave(this.options.name)
        return
      } catch (error) {
        if (!isPassing(error)) return
      }
    }
  }

  async #lookForEver(): Promise<void> {
    while (!this.ending) {
      try {
        const waitMs = await this.#look()
        this.#failures = 0
        this.trouble('look', undefined)
        if (!this.ending) await this.#wake.sleep(waitMs)
      } catch (error) {
        if (!isPassing(error)) throw error
        this.trouble('look', error)
        await this.#wake.sleep(1 + backoffMs(troubleDelays, this.#failures++, this.random))
      }
    }
  }

  /** One look at the records; gives how long to wait until the next. */
  async #look(): Promise<number> {
    const { name, pollIntervalMs } = this.options
    if (this.seen === undefined) {
      await ensureSubscription(this.port, this.options)
      await this.worker.join(name)
    }
    const seen = await readSubscription(this.#records, name)
    if (seen === undefined) {
      // Somebody has removed it: there is nothing to go on with.
      void this.stop()
      return 0
    }
    await this.#lookAtWorkers(seen)
    if (this.ending) return 0
    this.#adopt(seen)
    if (seen.value.next !== null) {
      for (const lane of this.lanes.values()) this.#giveUp(lane)
      // A lane that is still here has something to save; its partition is ours, but not free.
      const { port, options, worker } = this
      const switched =
        this.lanes.size === 0 && (await switchGeneration(port, options, worker, seen))
      if (switched) recordsChanged(port)
      return this.#untilNextLook(seen)
    }
    await this.#balance(seen)
    if (seen.value.earlier.length > 0) await forgetEarlier(this.port, seen)
    await this.#lookAtLetters()
    return Math.min(pollIntervalMs, this.#untilNextLook(seen))
  }

  async #lookAtWorkers(seen: SubscriptionRecords): Promise<void> {
    await this.worker.look(this.options.pollIntervalMs / 2)
    // One that joined after the workers were read must not pass for dead.
    const unknown = seen.partitions.some((record) => isFree(record, this.worker))
    if (unknown) await this.worker.look(0)
  }

  /** Takes what was read for true: lanes that belong to others now are gone. */
  #adopt(seen: SubscriptionRecords): void {
    const wasHeld = this.held
    const regrown = this.seen !== undefined && this.seen.value.generation < seen.value.generation
    this.seen = seen
    for (const lane of [...this.lanes.values()]) {
      const record = seen.partitions[lane.partition]
      const lost = record === undefined || partitionValue(record).epoch > lane.checkpoint.epoch
      if (regrown || lost) this.#drop(lane)
    }
    if (seen.partitions.every((record) => partitionValue(record).stopped === null)) {
      this.poison = undefined
    }
    if (wasHeld && !this.held) this.wakeLanes()
    for (const waiter of this.waiters) waiter()
  }

  async #balance(seen: SubscriptionRecords): Promise<void> {
    const { id } = this.worker
    // Claims whose outcome was not known: ours, yet without a lane. Taken again with a new epoch.
    const astray: number[] = []
    const partitions = seen.partitions.map((record, partition) => {
      const { owner, stopped } = partitionValue(record)
      const lane = this.lanes.get(partition)
      const mayTake = lane === undefined && stopped === null
      if (mayTake && owner === id) astray.push(partition)
      const own = lane !== undefined || (mayTake && owner === id)
      return { partition, own, free: !own && mayTake && isFree(record, this.worker) }
    })
    const plan = planPartitions(partitions, this.worker.members(this.options.name), id)
    for (const partition of plan.release) {
      const lane = this.lanes.get(partition)
      if (lane !== undefined) this.#giveUp(lane)
    }
    const wanted = [...astray, ...plan.claim]
    if (wanted.length === 0) return
    await this.worker.assure()
    const { port, options, worker } = this
    const claimed = await claimPartitions(port, options, worker, seen, wanted)
    const parked = await this.#parkedKeys(claimed.length)
    for (const checkpoint of claimed) {
      const { partition } = checkpoint
      this.lanes.set(partition, new Lane(this, checkpoint, parked.get(partition) ?? []))
    }
    this.pump.lanesChanged()
  }

  /** Keys that wait behind a dead letter, by partition. Nobody else parks what was just claimed. */
  async #parkedKeys(claimed: number): Promise<ReadonlyMap<number, ReadonlySet<string>>> {
    const keys = new Map<number, Set<string>>()
    if (claimed === 0) return keys
    for (const state of ['parked', 'requested'] as const) {
      const prefix = letterPrefix(this.options.name)
      for await (const letter of lettersIn(this.#records, prefix, state)) {
        const { key, ordered } = letterValue(letter)
        if (!ordered) continue
        const partition = partitionOf(key, this.partitions)
        keys.set(partition, (keys.get(partition) ?? new Set()).add(key))
      }
    }
    return keys
  }

  async #lookAtLetters(): Promise<void> {
    if (this.lanes.size === 0) return
    const query = { kind: recordKinds.letter, prefix: letterPrefix(this.options.name) }
    const requested = { ...query, state: 'requested', limit: LETTERS_PER_LOOK }
    const byLane = new Map<Lane, StoredRecord[]>()
    for (const letter of await this.#records.list(requested)) {
      const lane = this.lanes.get(partitionOf(letterValue(letter).key, this.partitions))
      if (lane === undefined || lane.closing) continue
      byLane.set(lane, [...(byLane.get(lane) ?? []), letter])
    }
    for (const [lane, letters] of byLane) lane.request(letters)
  }

  /** Finishes the lane's work at hand, then gives its partition back; others go on meanwhile. */
  #giveUp(lane: Lane): void {
    if (lane.closing) return
    const leaving = this.#release(lane).finally(() => this.#leaving.delete(leaving))
    this.#leaving.add(leaving)
  }

  async #release(lane: Lane): Promise<void> {
    await lane.close()
    for (let failures = 0; !this.ending; failures++) {
      try {
        await this.#saver.release([lane])
        this.#remember(lane)
        this.#drop(lane)
        recordsChanged(this.port)
        return
      } catch (error) {
        if (!isPassing(error)) return this.failed(error)
        this.trouble(lane, error)
        await sleep(this.clock, 1 + backoffMs(troubleDelays, failures, this.random))
      }
    }
  }

  /** What the lane has saved is newer than the last look. */
  #remember({ partition, checkpoint }: Lane): void {
    const { seen } = this
    if (seen === undefined || seen.keys[partition] !== checkpoint.key) return
    const partitions = seen.partitions.with(partition, checkpoint.record)
    this.seen = { ...seen, partitions }
  }

  #drop(lane: Lane): void {
    void lane.close()
    this.trouble(lane, undefined)
    if (this.lanes.get(lane.partition) === lane) this.lanes.delete(lane.partition)
    this.pump.lanesChanged()
  }

  /** Until the next poll, or the moment when an owner that does not beat counts as gone. */
  #untilNextLook(seen: SubscriptionRecords): number {
    let waitMs = this.options.pollIntervalMs
    for (const record of seen.partitions) {
      const { owner } = partitionValue(record)
      if (owner === null || owner === this.worker.id) continue
      const leftMs = this.worker.diesInMs(owner)
      if (leftMs > 0 && leftMs < waitMs) waitMs = leftMs
    }
    return Math.ceil(waitMs)
  }
}
