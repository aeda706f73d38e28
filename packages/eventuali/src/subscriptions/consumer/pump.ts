import { backoffMs } from '../../kernel/index.ts'
import type { RecordedEvent } from '../../model/index.ts'
import type { EventStore } from '../../ports/index.ts'
import type { ConsumerOptions, ConsumerRuntime } from '../consumer-options.ts'
import { defaultFeedLimits, type FeedBatch, type FeedState, LogFeed } from '../feed.ts'
import { partitionOf } from '../ledger/key-hash.ts'
import type { EarlierPositions } from '../ledger/values.ts'
import { WakeSignal } from '../wake.ts'
import { Bell } from './bell.ts'
import type { Lane } from './lane.ts'
import { isPassing, troubleDelays } from './trouble.ts'

/** Events in one read of the log for many partitions, at least. */
const PAGE_COUNT_MIN = 500
const BUFFERED_PAGES = 4
const BUFFER_BYTES_MAX = 8 * 1024 * 1024
/** How long a full lane may keep idle ones waiting before it is left behind. */
const GRACE_MS = 1000

/** What the pump needs of its consumer. */
export interface PumpHost {
  readonly port: EventStore
  readonly runtime: ConsumerRuntime
  readonly options: ConsumerOptions
  readonly lanes: ReadonlyMap<number, Lane>
  /** Of the current generation. */
  readonly partitions: number
  readonly earlier: readonly EarlierPositions[]
  keyOf(event: RecordedEvent): string
  failed(error: unknown): void
}

/**
 * Reads the log once for all lanes of a consumer. What waits in memory is bounded over all lanes;
 * when the bound is reached the reading waits. A lane that stays full while others have nothing to
 * do is left behind, and read again for from where it was left once it is through.
 */
export class Pump {
  readonly #host: PumpHost
  readonly #bell = new Bell()
  readonly #room: WakeSignal
  readonly #stop = new AbortController()
  #round: AbortController | undefined
  #feed: LogFeed | undefined
  #trouble: unknown
  #failures = 0
  /** Every lane that is read for has seen the log up to it, or is about to. */
  #at = 0
  readonly ended: Promise<void>

  constructor(host: PumpHost) {
    this.#host = host
    this.#room = new WakeSignal(host.runtime.clock)
    this.ended = this.#run().catch((error) => host.failed(error))
  }

  get state(): FeedState {
    return this.error === undefined ? (this.#feed?.state ?? 'catching-up') : 'waiting'
  }

  /** What the reading waits for. */
  get error(): unknown {
    return this.#trouble ?? this.#feed?.lastError
  }

  /** The lanes are others now, or one wants to be read for again. */
  lanesChanged(): void {
    const back = [...this.#lanes()].some((lane) => lane.seen < this.#at)
    if (back || this.#host.lanes.size === 0) this.#round?.abort()
    this.#bell.ring()
    this.#room.hint()
  }

  /** A lane has taken something out of its queue, or has nothing left to do. */
  roomMade(lane: Lane): void {
    this.#room.hint()
    if (lane.attached || !lane.idle) return
    lane.attached = true
    this.lanesChanged()
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    this.#round?.abort()
    this.#bell.ring()
    this.#room.hint()
    await this.ended
  }

  *#lanes(): Generator<Lane, void, void> {
    for (const lane of this.#host.lanes.values()) if (lane.attached && !lane.closing) yield lane
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const lanes = [...this.#lanes()]
      if (lanes.length === 0) {
        this.#feed = undefined
        await this.#bell.wait()
        continue
      }
      this.#at = Math.min(...lanes.map((lane) => lane.seen))
      try {
        await this.#read()
        this.#failures = 0
      } catch (error) {
        if (!isPassing(error)) throw error
        this.#trouble = error
        const { random } = this.#host.runtime
        await this.#room.sleep(1 + backoffMs(troubleDelays, this.#failures++, random))
      }
    }
  }

  async #read(): Promise<void> {
    const { port, options, runtime, partitions } = this.#host
    const round = new AbortController()
    this.#round = round
    const feed = new LogFeed(
      port,
      { ...options.filter, after: this.#at },
      {
        ...defaultFeedLimits,
        batchCountMax: partitions === 1 ? options.maxBatch : this.#pageCount,
        pollIntervalMs: options.pollIntervalMs,
        retry: troubleDelays,
      },
      runtime,
    )
    this.#feed = feed
    for await (const batch of feed.batches(round.signal)) {
      // A lane that needs earlier events came while this batch was being read: read again.
      if (round.signal.aborted) return
      this.#trouble = undefined
      this.#at = batch.position
      this.#hand(batch)
      await this.#untilRoom()
      if (this.#stop.signal.aborted) return
    }
  }

  get #pageCount(): number {
    return Math.max(PAGE_COUNT_MIN, this.#host.options.maxBatch)
  }

  #hand({ events, position }: FeedBatch): void {
    const { partitions, earlier } = this.#host
    if (partitions === 1 && earlier.length === 0) {
      for (const lane of this.#lanes()) offer(lane, events, position)
      return
    }
    const byPartition = new Map<number, RecordedEvent[]>()
    for (const event of events) {
      const key = this.#host.keyOf(event)
      if (isDone(event, key, earlier)) continue
      const partition = partitionOf(key, partitions)
      const list = byPartition.get(partition)
      if (list === undefined) byPartition.set(partition, [event])
      else list.push(event)
    }
    for (const lane of this.#lanes()) offer(lane, byPartition.get(lane.partition) ?? [], position)
  }

  async #untilRoom(): Promise<void> {
    const { clock } = this.#host.runtime
    const startedMs = clock.monotonic()
    while (this.#isFull() && !this.#stop.signal.aborted && !this.#round?.signal.aborted) {
      const leftMs = startedMs + GRACE_MS - clock.monotonic()
      if (leftMs <= 0 && this.#leaveBehind()) return
      await this.#room.sleep(leftMs <= 0 ? GRACE_MS : leftMs)
    }
  }

  #isFull(): boolean {
    const { options, lanes } = this.#host
    let count = 0
    let bytes = 0
    for (const { queue } of lanes.values()) {
      count += queue.count
      bytes += queue.bytes
    }
    const { bufferCountMax = this.#pageCount * BUFFERED_PAGES, bufferBytesMax = BUFFER_BYTES_MAX } =
      options
    return count > bufferCountMax || bytes > bufferBytesMax
  }

  #leaveBehind(): boolean {
    const lanes = [...this.#lanes()]
    if (!lanes.some((lane) => lane.idle)) return false
    const [fullest] = lanes.sort((a, b) => b.queue.count - a.queue.count)
    if (fullest === undefined || fullest.queue.count < 2) return false
    fullest.detach(1)
    return true
  }
}

function offer(lane: Lane, events: readonly RecordedEvent[], position: number): void {
  if (position <= lane.seen) return
  const [first] = events
  const { seen } = lane
  const news =
    first === undefined || first.position > seen
      ? events
      : events.filter((event) => event.position > seen)
  lane.offer(news, position)
}

/** Whether an earlier generation of the partitions has handled the event. */
function isDone(
  { position }: RecordedEvent,
  key: string,
  earlier: readonly EarlierPositions[],
): boolean {
  return earlier.some(({ partitions, positions }) => {
    const upTo = positions[partitionOf(key, partitions)]
    return upTo !== undefined && position <= upTo
  })
}
