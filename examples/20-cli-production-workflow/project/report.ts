// What readers see. They name the read model, and get the generation that is live.
import { loadConfig } from 'eventuali'
import { sales } from './sales-blue.ts'

const config = await loadConfig()
await using store = await config.open()
for (const { key, document } of await store.collection(sales, 'customers').entries()) {
  console.log(`${key}: ${document.total}`)
}
