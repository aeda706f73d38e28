import {
  collection,
  defineAggregate,
  defineEvents,
  defineProcess,
  defineProjection,
  type,
} from '../../src/index.ts'

/** What the stores of the lanes about `verify` hold. */
export const saleEvents = defineEvents({
  Sold: type<{ shop: string; cents: number; note: string }>(),
  Returned: type<{ shop: string; cents: number; note: string }>(),
  Renamed: type<{ shop: string; name: string }>(),
})

interface SaleState {
  cents: number
  count: number
  note: string
}

/** An aggregate whose states are kept. */
export const sale = defineAggregate('sale', {
  events: saleEvents,
  initial: (): SaleState => ({ cents: 0, count: 0, note: '' }),
  evolve: {
    Sold: (state, { data }) => ({
      cents: state.cents + data.cents,
      count: state.count + 1,
      note: data.note,
    }),
    Returned: (state, { data }) => ({ ...state, cents: state.cents - data.cents }),
    Renamed: (state, { data }) => ({ ...state, note: data.name }),
  },
  commands: {
    sell: (_state, input: { shop: string; cents: number; note: string }) => saleEvents.Sold(input),
  },
})

interface Shop {
  cents: number
  sales: number
  name: string
}

const closed: Shop = { cents: 0, sales: 0, name: '' }

/** Documents, kept by following the log. */
export const shops = defineProjection({
  name: 'shops',
  version: 1,
  events: [saleEvents],
  collections: { shops: collection<Shop>({ indexes: { cents: 'number' } }) },
  handlers: {
    Sold: ({ data }, ctx) =>
      ctx.collection('shops').patch(data.shop, (was = closed) => ({
        ...was,
        cents: was.cents + data.cents,
        sales: was.sales + 1,
      })),
    Returned: ({ data }, ctx) =>
      ctx.collection('shops').patch(data.shop, (was = closed) => ({
        ...was,
        cents: was.cents - data.cents,
      })),
    Renamed: ({ data }, ctx) =>
      ctx.collection('shops').patch(data.shop, (was = closed) => ({ ...was, name: data.name })),
  },
})

/** Documents, kept in the append's own transaction: one for each stream. */
export const receipts = defineProjection({
  name: 'receipts',
  version: 1,
  mode: 'inline',
  events: [saleEvents],
  collections: { receipts: collection<{ lines: number; cents: number }>() },
  handlers: {
    Sold: ({ stream, data }, ctx) =>
      ctx.collection('receipts').patch(stream, (was) => ({
        lines: (was?.lines ?? 0) + 1,
        cents: (was?.cents ?? 0) + data.cents,
      })),
  },
})

interface SqlClient {
  query(text: string, values: readonly unknown[]): Promise<unknown>
}

interface SqlFile {
  prepare(text: string): { run(...values: readonly unknown[]): unknown }
}

/** An SQL table of the user's own, in the dialect of either store. */
export const ledger = defineProjection({
  name: 'ledger',
  version: 1,
  events: [saleEvents],
  tables: {
    ledger:
      'CREATE TABLE {table} (shop TEXT NOT NULL, nr BIGINT NOT NULL, cents BIGINT NOT NULL, PRIMARY KEY (shop, nr))',
  },
  handlers: {
    Sold: async ({ data, position }, ctx) => {
      const into = `INSERT INTO ${ctx.table('ledger')} (shop, nr, cents)`
      const values = [data.shop, position, data.cents]
      if ('query' in (ctx.sql as object)) {
        await (ctx.sql as SqlClient).query(`${into} VALUES ($1, $2, $3)`, values)
      } else (ctx.sql as SqlFile).prepare(`${into} VALUES (?, ?, ?)`).run(...values)
    },
  },
})

/** A process, for its records. */
export const refunds = defineProcess({
  name: 'refunds',
  events: [saleEvents],
  correlate: ({ data }) => data.shop,
  starts: ['Returned'],
  initial: () => ({ cents: 0 }),
  on: {
    Returned: (state, { data }) => ({ cents: state.cents + data.cents }),
  },
})
