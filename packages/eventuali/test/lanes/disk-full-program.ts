import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import {
  collection,
  defineEvents,
  defineProjection,
  isEventualiError,
  openStore,
  type Store,
  type,
} from '../../src/index.ts'
import { seededRandom } from '../../src/kernel/index.ts'
import { type Acknowledged, auditLog } from '../harness/ledger.ts'
import { programInput, runProgram, tell } from '../harness/program.ts'
import { takeSpace } from '../harness/small-disk.ts'
import { sumsOf } from '../harness/sums.ts'

/** Fills a small disk again and again, and works on it meanwhile. */
export interface DiskFullInput {
  readonly disk: string
  readonly seed: number
  readonly plan: readonly Work[]
  /** Planted bug: takes a full disk for success. */
  readonly mutant?: 'takes-for-success' | undefined
}

/** What meets the end of the disk. */
export type Work = 'append' | 'checkpoint' | 'snapshot' | 'inline' | 'async' | 'fork'

/** What all points together came to. */
export interface DiskFullResult {
  readonly points: number
  readonly acknowledged: number
  readonly refused: number
  readonly wrong: readonly string[]
}

const input = programInput<DiskFullInput>()
const random = seededRandom(input.seed)
const between = (low: number, high: number): number =>
  low + Math.floor(random.next() * (high - low + 1))

const events = defineEvents({ ItemAdded: type<{ filler: string }>() })
const cartsOf = (mode: 'inline' | 'async') =>
  defineProjection({
    ...{ name: 'carts', version: 1, events: [events], mode },
    collections: { carts: collection<{ items: number; filler: string }>() },
    handlers: {
      ItemAdded: ({ stream, version, data: { filler } }, ctx) =>
        ctx.collection('carts').put(stream, { items: version, filler }),
    },
  })
const inlineCarts = cartsOf('inline')
const asyncCarts = cartsOf('async')
const Sums = sumsOf((n) => n)

/** One filling of the disk. */
class Point {
  readonly wrong: string[] = []
  readonly ledger: Acknowledged[] = []
  acknowledged = 0
  refused = 0
  readonly #work: Work
  readonly #file: string
  readonly #driver: 'node:sqlite' | 'better-sqlite3'
  #batch = 0
  #sum = 0
  #isFilled = false
  #forks = 0
  #fork = ''

  constructor(work: Work, number: number) {
    this.#work = work
    const folder = join(input.disk, `p${number}`)
    mkdirSync(folder)
    this.#file = join(folder, 'log.db')
    this.#driver = number % 4 === 3 ? 'better-sqlite3' : 'node:sqlite'
  }

  async run(): Promise<void> {
    const store = await this.#open()
    for (let n = 0; n < 3; n++) await this.#once(store)
    await this.#settle(store)
    const ballast = takeSpace(input.disk, between(0, 80) * 4096)
    this.#isFilled = true
    if (this.#work === 'checkpoint') await this.#checkpointSoon(store)
    // A refusal of each kind and size of work, more than once; small ones still find room.
    for (let n = 0; n < 300 && this.refused < 4; n++) await this.#once(store)
    if (this.refused === 0) this.wrong.push('nothing was refused')
    await this.#readsWork(store)
    ballast.remove()
    const { refused } = this
    for (let n = 0; n < 3; n++) await this.#once(store)
    if (this.refused > refused) this.wrong.push('work is refused although there is space again')
    await this.#settle(store)
    await this.#effectsAreWhole(store)
    await store.close()
    const again = await this.#open()
    await this.#isWhole(again)
    await again.close()
  }

  #open(): Promise<Store> {
    const url = `sqlite:${this.#file}`
    const driver = this.#driver
    if (this.#work === 'snapshot') return openStore(url, { driver, snapshots: { every: 1 } })
    if (this.#work === 'inline') return openStore(url, { driver, projections: [inlineCarts] })
    if (this.#work === 'async') return openStore(url, { driver, projections: [asyncCarts] })
    return openStore(url, { driver })
  }

  /** What a projection or a kept state does beside the appends is waited for. */
  async #settle(store: Store): Promise<void> {
    if (this.#work === 'snapshot') await store.snapshots.settled()
    if (this.#work === 'inline') await store.projections.start()
    if (this.#work !== 'async') return
    await store.projections.start()
    const last = await store.readAll({ direction: 'backward', limit: 1 }).toArray()
    await store.projected('carts', last[0]?.position ?? 0, { timeoutMs: 60_000 })
  }

  async #checkpointSoon(store: Store): Promise<void> {
    if (this.#driver !== 'node:sqlite') return
    await store.transaction(async (tx) => {
      const connection = tx.sql as DatabaseSync
      connection.exec('PRAGMA wal_autocheckpoint = 4')
    })
  }

  async #once(store: Store): Promise<void> {
    await Promise.all([this.#try(store, between(100, 5_000)), this.#try(store, 20_000)])
    // One process opens a file through one SQLite only.
    if (this.#work === 'checkpoint' && this.#driver === 'node:sqlite') {
      const other = new DatabaseSync(this.#file)
      try {
        other.prepare('PRAGMA wal_checkpoint(PASSIVE)').get()
      } catch {
        // On a full disk it fails, which must not touch anybody else.
      } finally {
        other.close()
      }
    }
  }

  async #try(store: Store, bytes: number): Promise<void> {
    try {
      await this.#do(store, bytes)
      this.acknowledged++
    } catch (error) {
      this.refused++
      const isFull = isEventualiError(error, 'STORAGE_FULL') && error.retryable
      if (!isFull) this.wrong.push(`a full disk gives ${String(error)}`)
    }
  }

  async #do(store: Store, bytes: number): Promise<void> {
    const filler = 'x'.repeat(bytes)
    if (this.#work === 'fork' && this.#isFilled) {
      const into = `${this.#file}-fork${++this.#forks}`
      await store.fork({ into })
      this.#fork = into
      return
    }
    if (this.#work === 'snapshot') {
      await store.aggregate(Sums).execute(String(bytes % 3), 'add', bytes)
      this.#sum += bytes
      // Sums are small; what fills the disk is the append below.
    }
    if (this.#work === 'inline' || this.#work === 'async') {
      await store.append(`cart-${bytes % 4}`, events.ItemAdded({ filler }))
      return
    }
    const batch = ++this.#batch
    const stream = `ledger-${1 + (batch % 3)}`
    const data = { writer: 'w', batch, size: 1, index: 0, filler }
    const promise = store.append(stream, { type: 'Noted', data })
    const note = (version: number, position: number) =>
      this.ledger.push({ batch: `w ${batch}`, size: 1, stream, version, position })
    if (input.mutant === 'takes-for-success') {
      await promise.catch(() => note(0, 0))
      if (this.ledger.at(-1)?.batch === `w ${batch}`) return
    }
    const { version, position } = await promise
    note(version, position)
  }

  async #readsWork(store: Store): Promise<void> {
    try {
      const log = await store.readAll({ categories: ['ledger'] }).toArray()
      if (input.mutant === undefined) this.wrong.push(...auditLog(log, this.ledger))
      if (this.#work === 'snapshot') await this.#sumsAreRight(store)
      const reader = await openStore(`sqlite:${this.#file}`, {
        ...{ readOnly: true, driver: this.#driver },
      })
      const seen = await reader.readAll({ categories: ['ledger'] }).toArray()
      await reader.close()
      if (seen.length !== log.length) this.wrong.push(`a reader sees ${seen.length} events`)
    } catch (error) {
      this.wrong.push(`a read on a full disk gives ${String(error)}`)
    }
  }

  async #sumsAreRight(store: Store): Promise<void> {
    const states = await Promise.all(['0', '1', '2'].map((id) => store.aggregate(Sums).load(id)))
    const sum = states.reduce((total, { state }) => total + state.sum, 0)
    if (sum !== this.#sum) this.wrong.push(`the states add up to ${sum}, not ${this.#sum}`)
  }

  /** Read models and kept states are neither ahead of the log nor behind it. */
  async #effectsAreWhole(store: Store): Promise<void> {
    if (this.#work === 'snapshot') await this.#sumsAreRight(store)
    if (this.#work !== 'inline' && this.#work !== 'async') return
    const carts = store.collection(this.#work === 'inline' ? inlineCarts : asyncCarts, 'carts')
    for (const { stream, version } of await store.streams({ category: 'cart' }).toArray()) {
      const items = (await carts.get(stream))?.items
      if (items !== version) this.wrong.push(`${stream} has ${version} events, its cart ${items}`)
    }
  }

  async #isWhole(store: Store): Promise<void> {
    const report = await store.verify()
    this.wrong.push(...report.problems.map(({ reason }) => reason))
    const log = await store.readAll({ categories: ['ledger'] }).toArray()
    this.wrong.push(...auditLog(log, this.ledger))
    if (this.#work === 'snapshot') await this.#sumsAreRight(store)
    if (this.#work !== 'fork') return
    const fork = await openStore(`sqlite:${this.#fork}`)
    const copied = await fork.readAll({ categories: ['ledger'] }).toArray()
    if (copied.length !== log.length) this.wrong.push(`a fork has ${copied.length} events`)
    await fork.close()
  }
}

runProgram(async () => {
  const wrong: string[] = []
  let [acknowledged, refused] = [0, 0]
  for (const [number, work] of input.plan.entries()) {
    const point = new Point(work, number)
    await point.run()
    wrong.push(...point.wrong.map((reason) => `point ${number}, ${work}: ${reason}`))
    acknowledged += point.acknowledged
    refused += point.refused
    rmSync(join(input.disk, `p${number}`), { recursive: true, force: true })
  }
  tell('result', { points: input.plan.length, acknowledged, refused, wrong })
})
