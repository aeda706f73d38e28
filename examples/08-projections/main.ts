// A bookshop asks three questions of the same events, and keeps an answer to each in the way that
// suits it: never behind, a moment behind, or folded when somebody asks.
import { openStore, projectLive } from 'eventuali'
import { freshStore } from '../fresh-store.ts'
import { deliveries, sales } from './events.ts'
import { regrets, stock, turnover } from './read-models.ts'
import { execute } from './sql.ts'

const url = await freshStore('bookshop')
await using store = await openStore(url, {
  events: [sales, deliveries],
  projections: [stock, turnover],
})
await store.projections.start()

const titles = ['Emma', 'Ulysses', 'Momo']
await store.appendAll(
  titles.map((title, n) => ({
    stream: `title-${n}`,
    events: deliveries.BooksDelivered({ title, count: 5 }),
  })),
)

let receipts = 0
const sell = (title: string, city: string, cents: number) =>
  store.append(`sale-${++receipts}`, sales.BookSold({ title, city, cents }))

await sell('Emma', 'London', 900)
await sell('Emma', 'London', 900)
await sell('Ulysses', 'Dublin', 2500)
await sell('Momo', 'Dublin', 1200)

// Inline: the append has returned, so the model has it. A till may rely on it.
const shelf = store.collection(stock, 'titles')
console.log('Inline documents, read at once:')
console.log('  Emma:', await shelf.get('Emma'))
console.log('  less than five left:', await shelf.count({ left: { lt: 5 } }), 'titles')

const last = await store.append(
  'sale-3',
  sales.BookReturned({ title: 'Ulysses', city: 'Dublin', cents: 2500 }),
)

// Async: it follows by itself. Who wants to read what he wrote waits for that position.
await store.projected('turnover', last.position)
console.log('A table of our own, by SQL:')
// On Postgres the tables lie in the schema of the store.
const table = url.startsWith('sqlite:') ? 'turnover' : 'example_bookshop.turnover'
const rows = await store.transaction((tx) =>
  execute(
    tx.sql,
    `SELECT city, SUM(books) AS books, SUM(cents) AS cents FROM ${table}
     GROUP BY city ORDER BY city`,
  ),
)
for (const { city, books, cents } of rows) {
  console.log(`  ${city}: ${books} books for ${(Number(cents) / 100).toFixed(2)} pounds`)
}

// Live: nothing is kept, the events are folded now. Good for a question that is asked once.
const live = await projectLive(regrets, store.readAll({ types: ['BookSold', 'BookReturned'] }))
console.log('Folded on request:')
console.log('  Ulysses:', await live.collection('titles').get('Ulysses'))

// A read model may be thrown away and made anew while readers and writers go on.
const { comparison } = await store.projections.rebuild('turnover', { actor: 'ada' })
console.log(`Rebuilt beside the old one, compared, switched: equal ${comparison?.equal}`)

for (const { name, mode, generations } of await store.projections.status()) {
  console.log(`  ${name}: ${mode}, ${generations.length} generation(s)`)
}
