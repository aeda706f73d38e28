import { defineAggregate, defineEvents, openStore, type Store, type } from 'eventuali'
import { withCallers } from '../base-log.ts'
import { Consumers } from '../consumers.ts'
import type { Order } from '../projection-raw.ts'
import { Workload } from '../workload.ts'
import { addTo, noTotals } from './adapter.ts'
import { type Fill, peerStreamCount } from './orders.ts'

const events = defineEvents({ OrderPlaced: type<Order>() })
const LoadedOrder = defineAggregate('load', {
  events,
  initial: () => noTotals,
  evolve: { OrderPlaced: (state, { data }) => addTo(state, data) },
  commands: {},
})

/** The store at the work that the peers are asked for. */
export class OwnSide {
  readonly store: Store
  readonly #work = new Workload(21)
  readonly #seen = new Map<string, number>()
  #consumers: Consumers | undefined
  #nextStream = 0
  #course = 0

  private constructor(store: Store) {
    this.store = store
  }

  static async open(
    url: string,
    fill: Fill,
    driver?: 'node:sqlite' | 'better-sqlite3',
  ): Promise<OwnSide> {
    const store = await openStore(url, driver === undefined ? {} : { driver })
    await fillStore(store, fill)
    return new OwnSide(store)
  }

  async close(): Promise<void> {
    await this.#consumers?.stop()
    await this.store.close()
  }

  append(calls: number, size: number, callers: number, hot: boolean): Promise<void> {
    // Round and round, so that no two callers are at the same stream unless they shall be.
    const stream = () => (hot ? 'order-hot' : `order-${this.#nextStream++ % peerStreamCount}`)
    const call = () => this.store.append(stream(), this.#work.events(size))
    return withCallers(callers, calls, call)
  }

  async load(calls: number, count: number): Promise<void> {
    const orders = this.store.aggregate(LoadedOrder)
    for (let i = 0; i < calls; i++) {
      const { state } = await orders.load(String(count))
      if (state.count !== count) throw new Error(`${state.count} events instead of ${count}`)
    }
  }

  async scan(calls: number): Promise<void> {
    for (let i = 0; i < calls; i++) {
      for await (const _page of this.store.readAll().pages());
    }
  }

  async consume(calls: number, work: 'pass' | 'project'): Promise<void> {
    this.#consumers ??= await Consumers.of(this.store)
    for (let i = 0; i < calls; i++) {
      await (work === 'pass' ? this.#consumers.pass(1) : this.#consumers.follow())
    }
  }

  condition(calls: number, callers: number): Promise<void> {
    return withCallers(callers, calls, async () => {
      // Each caller is at a course of its own, so that no condition fails.
      const tags = [`course:${this.#course++ % 1000}`]
      const tag = tags[0] as string
      const query = { types: ['OrderPlaced'], tags }
      const condition = { query, position: this.#seen.get(tag) ?? 0 }
      const stream = `order-${this.#nextStream++ % peerStreamCount}`
      const entry = { stream, events: { ...this.#work.event(), tags } }
      const [result] = await this.store.appendAll([entry], { condition })
      this.#seen.set(tag, result?.position ?? condition.position)
    })
  }
}

/** The log that a work begins with. */
export async function fillStore(store: Store, fill: Fill): Promise<void> {
  const work = new Workload(1)
  for (let from = 0; from < fill.streams && fill.perStream > 0; from += 100) {
    const count = Math.min(100, fill.streams - from)
    const entries = Array.from({ length: count }, (_, i) => ({
      stream: `order-${from + i}`,
      events: work.events(fill.perStream),
    }))
    await store.appendAll(entries)
  }
  for (const count of fill.loads) {
    for (let done = 0; done < count; done += 1000) {
      await store.append(`load-${count}`, work.events(Math.min(1000, count - done)))
    }
  }
}
