// Places orders: `node orders.ts 100`.
import { loadConfig } from 'eventuali'

const count = Number(process.argv[2])
const config = await loadConfig()
await using store = await config.open()
const first = (await store.positions()).newest + 1
const ids = Array.from({ length: count }, (_, index) => first + index)
await Promise.all(
  ids.map((id) => store.append(`order-${id}`, { type: 'OrderPlaced', data: { total: id } })),
)
console.log(`${count} orders placed`)
