import { openStore, type Store, type Subscription } from '../../src/index.ts'
import { seededRandom } from '../../src/kernel/index.ts'
import { programInput, runProgram, tell, told } from '../harness/program.ts'

/** What one reader wants to see. */
export interface RaceFilter {
  readonly types?: readonly string[]
  readonly categories?: readonly string[]
  readonly tags?: readonly string[]
}

/** Subscribers that follow the log and are restarted now and then. */
export interface RaceReadersInput {
  readonly url: string
  readonly seed: number
  readonly filters: readonly RaceFilter[]
  readonly restarts: boolean
  /** Planted bug: follows the newest position instead of the safe one. */
  readonly mutant?: 'reads-newest' | undefined
}

/** What one reader saw, in order: positions, and the stream and version of each. */
export interface RaceReaderReport {
  readonly positions: readonly number[]
  readonly versions: readonly string[]
  /** When it handled the last event, by the clock that processes share. */
  readonly lastAtMs: number
  readonly restarts: number
}

interface Seen {
  readonly position: number
  readonly stream: string
  readonly version: number
}

const input = programInput<RaceReadersInput>()
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
let over = false

class Reader {
  readonly positions: number[] = []
  readonly versions: string[] = []
  readonly filter: RaceFilter
  lastAtMs = 0
  restarts = 0
  #after = 0

  constructor(filter: RaceFilter) {
    this.filter = filter
  }

  /** Follows until told that it is over, on a store that others use too. */
  async follow(store: Store, number: number): Promise<void> {
    const random = seededRandom(input.seed + number)
    while (!over) {
      // A second store half of the time: what is learned about gaps must not need memory.
      const own = this.restarts % 2 === 1 ? await openStore(input.url) : undefined
      const lifeMs = input.restarts ? 1500 + random.next() * 3000 : Number.POSITIVE_INFINITY
      const endAt = performance.now() + lifeMs
      if (input.mutant === 'reads-newest') await this.#pollNewest(store)
      else await this.#subscribe(own ?? store, endAt)
      await own?.close()
      this.restarts++
    }
  }

  async #subscribe(store: Store, endAt: number): Promise<void> {
    const subscription: Subscription = store.subscribe(
      { after: this.#after, ...this.filter },
      { batch: (events) => this.#take(events) },
    )
    while (!over && performance.now() < endAt) {
      await pause(20)
      if (subscription.state === 'failed') throw subscription.error
    }
    await subscription.stop()
    this.#after = subscription.position
  }

  async #pollNewest(store: Store): Promise<void> {
    const after = this.positions.at(-1) ?? 0
    this.#take(await store.readAll({ after, upTo: 'newest', ...this.filter }).toArray())
    await pause(2)
  }

  #take(events: readonly Seen[]): void {
    this.lastAtMs = Number(process.hrtime.bigint()) / 1e6
    for (const { position, stream, version } of events) {
      this.positions.push(position)
      this.versions.push(`${stream} ${version}`)
    }
  }
}

runProgram(async () => {
  const store = await openStore(input.url)
  const readers = input.filters.map((filter) => new Reader(filter))
  const following = Promise.all(readers.map((reader, n) => reader.follow(store, n)))
  following.catch((error: unknown) => tell('failed', String(error)))
  tell('ready')
  await told()
  over = true
  await following
  const reports: RaceReaderReport[] = readers.map((reader) => ({
    positions: reader.positions,
    versions: reader.versions,
    lastAtMs: reader.lastAtMs,
    restarts: reader.restarts,
  }))
  tell('report', reports)
  await store.close()
})
