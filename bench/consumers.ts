import {
  collection,
  defineEvents,
  defineProjection,
  type Store,
  systemClock,
  systemRandom,
  type,
  uuidV7Source,
} from 'eventuali'
import { type AnyProjection, tablesOf } from '../packages/eventuali/src/projections/define.ts'
import { followLog } from '../packages/eventuali/src/projections/follow.ts'
import { qualifierOf } from '../packages/eventuali/src/projections/inline.ts'
import { startConsumer, Worker } from '../packages/eventuali/src/subscriptions/index.ts'
import type { Customer, Order } from './projection-raw.ts'

const maxBatch = 1000
const events = defineEvents({ OrderPlaced: type<Order>() })

/** Orders and their sum for each customer: one document of about a thousand for each event. */
export const customers = defineProjection({
  name: 'customers',
  version: 1,
  events: [events],
  collections: { customers: collection<Customer>() },
  key: (event) => event.data.customer.id,
  handlers: {
    OrderPlaced: ({ data }, ctx) =>
      ctx.collection('customers').patch(data.customer.id, (was) => ({
        orders: (was?.orders ?? 0) + 1,
        total: (was?.total ?? 0) + data.total,
      })),
  },
})

const runtime = {
  clock: systemClock,
  random: systemRandom,
  ids: uuidV7Source(systemClock, systemRandom),
}

/** Durable consumers from the beginning of the log, each under a name that is new. */
export class Consumers {
  readonly #store: Store
  readonly #worker: Worker
  readonly #newest: number
  readonly #qualifier: string
  #runs = 1000

  private constructor(store: Store, newest: number, qualifier: string) {
    this.#store = store
    this.#worker = new Worker(store.port, runtime)
    this.#newest = newest
    this.#qualifier = qualifier
  }

  static async of(store: Store): Promise<Consumers> {
    const { newest } = await store.positions()
    return new Consumers(store, newest, await qualifierOf(store.port))
  }

  /** What keeps a projection current, over all of the log, into tables that are new. */
  async follow(): Promise<void> {
    const generation = ++this.#runs
    const { port } = this.#store
    const projection = customers as unknown as AnyProjection
    const tables = [...tablesOf(projection, generation).values()]
    await port.transaction(async (tx) => {
      for (const table of tables) await tx.models.create(table)
    })
    const place = { generation, position: 0 }
    const settings = { ...runtime, qualifier: this.#qualifier, pollIntervalMs: 1000 }
    const consumer = followLog(port, this.#worker, projection, place, settings)
    await consumer.reached(this.#newest)
    await consumer.stop()
    await port.transaction(async (tx) => {
      for (const { name } of tables) await tx.models.drop(name)
    })
  }

  /** A handler of batches that does nothing, its checkpoint saved as it goes. */
  async pass(partitions: number): Promise<void> {
    const consumer = startConsumer(
      this.#store.port,
      this.#worker,
      {
        ...{ name: `pass-${++this.#runs}`, filter: {}, after: 0, partitions, maxBatch },
        ...{ keyLabel: 'stream', transactional: false, handle: async () => {} },
        ...{ retry: { retryCountMax: 0, firstDelayMs: 0, delayMaxMs: 0 }, onPoison: 'stop' },
        ...{ concurrency: 1, pollIntervalMs: 1000, timeoutMs: 30_000 },
      },
      runtime,
    )
    await consumer.reached(this.#newest)
    await consumer.stop()
  }

  stop(): Promise<void> {
    return this.#worker.stop()
  }
}
