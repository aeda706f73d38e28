import { collection, defineProjection } from 'eventuali'
import { deliveries, sales } from './events.ts'
import { execute } from './sql.ts'

/** Documents, inline: never behind, because it changes in the transaction of the append. */
export const stock = defineProjection({
  name: 'stock',
  version: 1,
  mode: 'inline',
  events: [sales, deliveries],
  collections: {
    // Deliveries and sales of a title are different streams, and may commit in any order; sums do
    // not mind.
    titles: collection<{ left: number }>({ indexes: { left: 'number' } }),
  },
  key: ({ data }) => data.title,
  orderInsensitive: true,
  handlers: {
    BooksDelivered: ({ data }, ctx) =>
      ctx.collection('titles').patch(data.title, (was) => ({
        left: (was?.left ?? 0) + data.count,
      })),
    BookSold: ({ data }, ctx) =>
      ctx.collection('titles').patch(data.title, (was) => ({ left: (was?.left ?? 0) - 1 })),
    BookReturned: ({ data }, ctx) =>
      ctx.collection('titles').patch(data.title, (was) => ({ left: (was?.left ?? 0) + 1 })),
  },
})

/** A table of ours, async: a moment behind, and no append waits for it. */
export const turnover = defineProjection({
  name: 'turnover',
  version: 1,
  events: [sales],
  tables: {
    turnover: `CREATE TABLE {table} (
      city TEXT NOT NULL, title TEXT NOT NULL, books INTEGER NOT NULL, cents INTEGER NOT NULL,
      PRIMARY KEY (city, title))`,
  },
  handlers: {
    BookSold: ({ data }, ctx) =>
      addTurnover(ctx, data.city, data.title, { books: 1, cents: data.cents }),
    BookReturned: ({ data }, ctx) =>
      addTurnover(ctx, data.city, data.title, { books: -1, cents: -data.cents }),
  },
})

async function addTurnover(
  ctx: { readonly sql: unknown; table(name: 'turnover'): string },
  city: string,
  title: string,
  more: { readonly books: number; readonly cents: number },
): Promise<void> {
  const table = ctx.table('turnover')
  await execute(
    ctx.sql,
    `INSERT INTO ${table} AS kept (city, title, books, cents) VALUES (?, ?, ?, ?)
     ON CONFLICT (city, title) DO UPDATE
     SET books = kept.books + excluded.books, cents = kept.cents + excluded.cents`,
    [city, title, more.books, more.cents],
  )
}

/** The same events once more, for one question that nobody has asked before: live. */
export const regrets = defineProjection({
  name: 'regrets',
  version: 1,
  events: [sales],
  collections: { titles: collection<{ sold: number; returned: number }>() },
  handlers: {
    BookSold: ({ data }, ctx) =>
      ctx.collection('titles').patch(data.title, (was = { sold: 0, returned: 0 }) => ({
        ...was,
        sold: was.sold + 1,
      })),
    BookReturned: ({ data }, ctx) =>
      ctx.collection('titles').patch(data.title, (was = { sold: 0, returned: 0 }) => ({
        ...was,
        returned: was.returned + 1,
      })),
  },
})
