import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type DeadLetter,
  openStore,
  type RecordedEvent,
  type Store,
  systemClock,
  systemRandom,
  uuidV7Source,
} from '../../src/index.ts'
import type { RecordChange } from '../../src/ports/index.ts'
import { openAdapter } from '../../src/store/adapters.ts'
import { type StoreHooks, wrapStore } from '../../src/testing/index.ts'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { type Place, sharedPlaces } from '../harness/places.ts'

const EVENT_COUNT = 10_000
const POISON_SHARE = 0.01
const STREAM_COUNT = 1000
const APPEND_COUNT = 100
const LETTER_PAGE = 500
const LOOK_MS = 50
const REST_MS_MAX = 120_000
/** Where something is wrong already, what follows may never come. */
const WRONG_MS_MAX = 5000

/** How a subscription handles events, and what becomes of those that it cannot cope with. */
interface Mode {
  readonly name: string
  readonly onPoison: 'park' | 'park-key'
  readonly shape: 'one by one' | 'batch' | 'transaction'
  /** Tried on the stores that two programs share, too. */
  readonly shared: boolean
}

const modes: readonly Mode[] = [
  { name: 'alone', onPoison: 'park', shape: 'one by one', shared: false },
  { name: 'in-order', onPoison: 'park-key', shape: 'one by one', shared: true },
  { name: 'in-order-batch', onPoison: 'park-key', shape: 'batch', shared: false },
  { name: 'alone-transaction', onPoison: 'park', shape: 'transaction', shared: true },
]

const numberOf = ({ data }: { readonly data: unknown }): number => (data as { n: number }).n

/** One log with its poison, and a subscription of two programs over it. */
class PoisonRun {
  readonly #run: Campaign
  readonly #stores: readonly Store[]
  readonly #mode: Mode
  readonly #poison: Set<number>
  readonly #log: readonly RecordedEvent[]
  /** Numbers of events in the order in which they were handled. */
  readonly #handled: number[] = []
  readonly #wrong: string[] = []

  constructor(
    run: Campaign,
    stores: readonly Store[],
    log: readonly RecordedEvent[],
    poison: ReadonlySet<number>,
    mode: Mode,
  ) {
    this.#run = run
    this.#stores = stores
    this.#log = log
    this.#poison = new Set(poison)
    this.#mode = mode
  }

  /** Everything is handled, but for what is parked; then it is mended. Gives what is wrong. */
  async play(): Promise<readonly string[]> {
    const subscriptions = this.#stores.map((store) => this.#subscribe(store))
    const newest = this.#log.at(-1)?.position ?? 0
    try {
      await Promise.all(subscriptions.map((one) => one.reached(newest, { timeoutMs: REST_MS_MAX })))
      await this.#parked()
      await this.#retriedTooSoon()
      this.#poison.clear()
      await this.#replay()
      return this.#wrong
    } finally {
      await Promise.all(subscriptions.map((one) => one.stop()))
    }
  }

  get #store(): Store {
    return this.#stores[0] as Store
  }

  #subscribe(store: Store) {
    const { name, onPoison, shape } = this.#mode
    const cope = (event: RecordedEvent): void => {
      if (this.#poison.has(numberOf(event))) throw new RangeError(`poison ${numberOf(event)}`)
    }
    const options = {
      ...{ name, onPoison, types: ['Noted'], group: { partitions: 8 }, pollIntervalMs: 50 },
      retry: { retryCountMax: 1, firstDelayMs: 1, delayMaxMs: 1 },
    }
    if (shape === 'one by one') {
      return store.subscribe(options, (event) => {
        cope(event)
        this.#handled.push(numberOf(event))
      })
    }
    const maxBatch = 100
    if (shape === 'batch') {
      const batch = (events: readonly RecordedEvent[]) => {
        events.forEach(cope)
        this.#handled.push(...events.map(numberOf))
      }
      return store.subscribe(options, { maxBatch, batch })
    }
    return store.subscribe(
      { ...options, transactional: true },
      {
        maxBatch,
        batch: async (events, { tx, partition }) => {
          events.forEach(cope)
          const data = { numbers: events.map(numberOf) }
          await tx?.append(`${name}-${partition}`, { type: 'Did', data })
        },
      },
    )
  }

  /** Numbers of what was handled: told by the handler, or by what it has stored. */
  async #done(): Promise<readonly number[]> {
    if (this.#mode.shape !== 'transaction') return this.#handled
    const events = await this.#store.readAll({ types: ['Did'] }).toArray()
    return events.flatMap(({ data }) => (data as { numbers: number[] }).numbers)
  }

  async #letters(state: 'parked' | 'requested' | 'any'): Promise<readonly DeadLetter[]> {
    const all: DeadLetter[] = []
    for (;;) {
      const page = { subscription: this.#mode.name, state, limit: LETTER_PAGE }
      const found = await this.#store.deadLetters.list({ ...page, after: all.at(-1)?.id })
      all.push(...found)
      if (found.length < LETTER_PAGE) return all
    }
  }

  /** Exactly the poison is parked (in order: with what follows it), all others are done. */
  async #parked(): Promise<void> {
    const heads = new Set<string>()
    const wanted = new Map<number, string>()
    for (const event of this.#log) {
      const { stream, version, position } = event
      const follows = this.#mode.onPoison === 'park-key' && heads.has(stream)
      const fails = this.#poison.has(numberOf(event))
      if (fails) heads.add(stream)
      const error = `RangeError: poison ${numberOf(event)}`
      if (follows) wanted.set(position, `${stream} ${version} follows`)
      else if (fails) wanted.set(position, `${stream} ${version} failed ${error}`)
    }
    const letters = await this.#letters('parked')
    for (const { position, stream, version, reason, error } of letters) {
      const why = error === null ? '' : ` ${error.name}: ${error.message}`
      const is = `${stream} ${version} ${reason}${why}`
      const should = wanted.get(position)
      if (is !== should) this.#wrong.push(`letter of ${position}: ${is}, not ${should}`)
      wanted.delete(position)
    }
    for (const [position, missing] of wanted)
      this.#wrong.push(`no letter of ${position}: ${missing}`)
    const parked = new Set(letters.map(({ position }) => position))
    const done = new Set(await this.#done())
    for (const event of this.#log) {
      if (done.has(numberOf(event)) !== parked.has(event.position)) continue
      this.#wrong.push(
        `position ${event.position} is ${parked.has(event.position) ? 'both' : 'lost'}`,
      )
    }
    this.#run.note(`${this.#mode.name}: ${letters.length} parked`)
  }

  /** Before the mending a retry changes nothing but the count of tries. */
  async #retriedTooSoon(): Promise<void> {
    const [first] = await this.#letters('parked')
    if (first === undefined) return
    await this.#store.deadLetters.retry(first.id)
    await this.#until(async () => {
      const letter = await this.#store.deadLetters.get(first.id)
      return letter?.state === 'parked' && letter.attempts === first.attempts + 1
    }, `${first.id} is parked again`)
  }

  /** After the mending all is handled, each stream in order where order was asked for. */
  async #replay(): Promise<void> {
    await this.#store.deadLetters.retryAll(this.#mode.name)
    await this.#until(async () => {
      const left = (['parked', 'requested'] as const).map((state) =>
        this.#store.deadLetters.list({ subscription: this.#mode.name, state, limit: 1 }),
      )
      return (await Promise.all(left)).flat().length === 0
    }, 'the replay clears the dead letters')
    const done = await this.#done()
    const counts = new Map<number, number>()
    for (const n of done) counts.set(n, (counts.get(n) ?? 0) + 1)
    for (const event of this.#log) {
      const count = counts.get(numberOf(event)) ?? 0
      if (count !== 1) this.#wrong.push(`position ${event.position} was handled ${count} times`)
    }
    if (this.#mode.onPoison === 'park-key') this.#inOrder(done)
  }

  #inOrder(done: readonly number[]): void {
    const byNumber = new Map(this.#log.map((event) => [numberOf(event), event]))
    const versions = new Map<string, number>()
    for (const n of done) {
      const { stream, version } = byNumber.get(n) as RecordedEvent
      const before = versions.get(stream) ?? 0
      if (version !== before + 1) this.#wrong.push(`${stream}: ${version} follows ${before}`)
      versions.set(stream, version)
    }
  }

  async #until(holds: () => Promise<boolean>, what: string): Promise<void> {
    const end = performance.now() + (this.#wrong.length > 0 ? WRONG_MS_MAX : REST_MS_MAX)
    while (!(await holds())) {
      if (performance.now() > end) {
        this.#wrong.push(`not in time: ${what}`)
        return
      }
      await wait(LOOK_MS)
    }
  }
}

/** Fills a log and lets subscriptions of each mode meet its poison; gives what is wrong. */
async function poisonRun(
  run: Campaign,
  place: Place,
  chosen: readonly Mode[],
  eventCount: number,
  hooks: StoreHooks = {},
): Promise<readonly string[]> {
  const url = await place.url()
  const ids = uuidV7Source(systemClock, systemRandom)
  const sources = { clock: systemClock, random: systemRandom, ids }
  const open = async () => {
    const adapter = await openAdapter(url, { profile: 'relaxed' }, sources)
    return openStore(wrapStore(adapter, hooks), { schemas: false })
  }
  const stores = [await open(), ...(place.adapter === 'memory' ? [] : [await open()])]
  const wrong: string[] = []
  try {
    const [writer] = stores as [Store]
    const poison = new Set<number>()
    for (let n = 0; n < eventCount; n += APPEND_COUNT) {
      const streams = new Map<string, { type: string; data: { n: number } }[]>()
      for (let i = n; i < n + APPEND_COUNT; i++) {
        const stream = `s-${run.between(1, STREAM_COUNT)}`
        streams.set(stream, [...(streams.get(stream) ?? []), { type: 'Noted', data: { n: i } }])
        if (run.random.next() < POISON_SHARE) poison.add(i)
      }
      await writer.appendAll([...streams].map(([stream, events]) => ({ stream, events })))
    }
    const log = await writer.readAll({ types: ['Noted'] }).toArray()
    run.note(`${log.length} events, ${poison.size} of them poison`)
    for (const mode of chosen) {
      const found = await new PoisonRun(run, stores, log, poison, mode).play()
      wrong.push(...found.slice(0, 10).map((reason) => `${mode.name}: ${reason}`))
    }
    return wrong
  } finally {
    await Promise.all(stores.map((store) => store.close()))
  }
}

const memoryPlace: Place = {
  adapter: 'memory',
  skip: undefined,
  start: async () => {},
  url: async () => 'memory:',
  stop: async () => {},
}

describe.each([memoryPlace, ...sharedPlaces()])('poison on $adapter', (place) => {
  beforeAll(() => place.start(), 180_000)
  afterAll(() => place.stop())

  test.skipIf(place.skip)(
    'is parked, and nothing else, until it is mended',
    async () => {
      await campaign(`R14 poison, ${place.adapter}`, async (run) => {
        const chosen = place.adapter === 'memory' ? modes : modes.filter(({ shared }) => shared)
        expect(await poisonRun(run, place, chosen, run.scaled(EVENT_COUNT))).toEqual([])
      })
    },
    3_600_000,
  )
})

/** A store that writes letters in another way, now and then. */
function lettersSpoiled(spoil: (change: RecordChange) => RecordChange | undefined): StoreHooks {
  let count = 0
  return {
    records: {
      write: async (next, changes, options) => {
        const spoiled = changes.map((change) =>
          change.kind === 'letter' && change.expected === 'any' && ++count % 5 === 0
            ? spoil(change)
            : change,
        )
        const revisions = [
          ...(await next.write(
            spoiled.filter((c) => c !== undefined),
            options,
          )),
        ]
        return spoiled.map((change) => (change === undefined ? 1 : (revisions.shift() ?? 0)))
      },
    },
  }
}

const withValue = (change: RecordChange, patch: object): RecordChange => ({
  ...change,
  value: { ...(change.value as object), ...patch },
})

test.each([
  ['loses letters', /no letter of/, lettersSpoiled(() => undefined)],
  ['forgets errors', /letter of/, lettersSpoiled((change) => withValue(change, { error: null }))],
  ['takes letters for done', /no letter of/, lettersSpoiled((c) => ({ ...c, state: 'done' }))],
  [
    'notes another position',
    /letter of/,
    lettersSpoiled((change) => {
      const { position } = change.value as { position: number }
      return withValue(change, { position: position + 1 })
    }),
  ],
] as const)(
  'a store that %s is found',
  async (what, finds, hooks) => {
    await campaign(`R14 planted: ${what}`, async (run) => {
      const chosen = modes.filter(({ name }) => name === 'in-order')
      const wrong = await poisonRun(run, memoryPlace, chosen, 2000, hooks)
      run.note(`${wrong[0]}`)
      expect(wrong.join()).toMatch(finds)
    })
  },
  600_000,
)
