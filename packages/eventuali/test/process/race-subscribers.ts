import type { DurableSubscription, RecordedEvent, Store } from '../../src/index.ts'
import { seededRandom } from '../../src/kernel/index.ts'
import type { StoreHooks } from '../../src/testing/index.ts'
import { openHooked } from '../harness/hooked-store.ts'
import { programInput, runProgram, tell, told } from '../harness/program.ts'

/** One durable subscriber: alone with its name, or one of the workers that share it. */
export interface RaceSubscriber {
  readonly name: string
  /** Partitions of the group; undefined for one that is alone. */
  readonly partitions?: number
}

/** Durable subscribers that follow the log and are restarted now and then. */
export interface RaceSubscribersInput {
  readonly url: string
  readonly seed: number
  readonly subscribers: readonly RaceSubscriber[]
  /**
   * Planted bugs: follows the newest position instead of the safe one; or the newest of a while
   * ago, as if every transaction were over by then.
   */
  readonly mutant?: 'reads-newest' | 'waits-a-while' | undefined
}

/** One event as a subscriber got it: when (by the clock that processes share) and which. */
export type Delivery = readonly [
  atMs: number,
  position: number,
  stream: string,
  version: number,
  id: string,
]

/** What the subscriber of that name and process got, in order. */
export interface RaceSubscriberReport {
  readonly name: string
  readonly deliveries: readonly Delivery[]
  readonly restarts: number
}

const input = programInput<RaceSubscribersInput>()
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
let settling = false

const readsNewest: StoreHooks = {
  positions: async (next, options) => {
    const { newest } = await next.positions(options)
    return { safe: newest, newest, blocker: undefined }
  },
}

/** What many a library does in the place of a proof: a gap that is old enough is no gap. */
function waitsAWhile(): StoreHooks {
  const seen: { readonly atMs: number; readonly newest: number }[] = []
  return {
    positions: async (next, options) => {
      const { newest } = await next.positions(options)
      const atMs = performance.now()
      seen.push({ atMs, newest })
      const old = seen.findLast((one) => atMs - one.atMs >= 100)
      return { safe: old?.newest ?? 0, newest, blocker: undefined }
    },
  }
}

function hooksOf(): StoreHooks {
  if (input.mutant === 'waits-a-while') return waitsAWhile()
  return input.mutant === 'reads-newest' ? readsNewest : {}
}

const open = (): Promise<Store> => openHooked(input.url, hooksOf())

class Subscriber {
  readonly what: RaceSubscriber
  readonly deliveries: Delivery[] = []
  restarts = 0
  readonly #shared: Store
  #own: Store | undefined
  #subscription: DurableSubscription | undefined

  constructor(what: RaceSubscriber, shared: Store) {
    this.what = what
    this.#shared = shared
  }

  /** Resolves when it has its part of the log to follow, or stands by. */
  async begin(): Promise<void> {
    await this.#start()
    while (!['live', 'standby'].includes(this.#subscription?.state ?? '')) await pause(5)
  }

  /** Follows until told to settle, then goes on without restarts. */
  async follow(number: number): Promise<void> {
    const random = seededRandom(input.seed + number)
    for (;;) {
      const endAt = performance.now() + 1500 + random.next() * 3000
      while (!settling && performance.now() < endAt) {
        await pause(20)
        if (this.#subscription?.state === 'failed') throw this.#subscription.error
      }
      if (settling) return
      await this.stop()
      this.restarts++
      await this.#start()
    }
  }

  /** Leaves the store open that it shares with others. */
  async stop(): Promise<void> {
    await this.#subscription?.stop()
    await this.#own?.close()
    this.#own = undefined
  }

  async #start(): Promise<void> {
    // Another program half of the time: what it needs is in the store only.
    if (this.restarts % 2 === 1) this.#own = await open()
    const { name, partitions } = this.what
    const group = partitions === undefined ? undefined : { partitions }
    const options = { name, group, pollIntervalMs: 200 }
    const batch = (events: readonly RecordedEvent[]) => this.#take(events)
    this.#subscription = (this.#own ?? this.#shared).subscribe(options, { batch })
  }

  #take(events: readonly RecordedEvent[]): void {
    const atMs = Number(process.hrtime.bigint()) / 1e6
    for (const { position, stream, version, id } of events) {
      this.deliveries.push([atMs, position, stream, version, id])
    }
  }
}

runProgram(async () => {
  const store = await open()
  const subscribers = input.subscribers.map((what) => new Subscriber(what, store))
  await Promise.all(subscribers.map((subscriber) => subscriber.begin()))
  const following = Promise.all(subscribers.map((subscriber, n) => subscriber.follow(n)))
  following.catch((error: unknown) => tell('failed', String(error)))
  tell('ready')
  await told()
  settling = true
  await following
  // The test asks until there is enough, and says when it is.
  for (;;) {
    const counts: Record<string, number> = {}
    for (const { what, deliveries } of subscribers) {
      counts[what.name] = (counts[what.name] ?? 0) + deliveries.length
    }
    tell('counts', counts)
    const { over } = await told<{ over: boolean }>()
    if (over) break
  }
  await Promise.all(subscribers.map((subscriber) => subscriber.stop()))
  await store.close()
  const reports: RaceSubscriberReport[] = subscribers.map(({ what, deliveries, restarts }) => ({
    ...{ name: what.name, deliveries, restarts },
  }))
  tell('report', reports)
})
