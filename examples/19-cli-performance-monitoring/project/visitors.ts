// What visitors looked at during the day is counted, and deleted in the evening.
import { loadConfig } from 'eventuali'

const config = await loadConfig()
await using store = await config.open()
const page = 'a page that somebody has seen '.repeat(150)
const visitors = Array.from({ length: 60 }, (_, index) => `visitor-${index}`)
for (const visitor of visitors) {
  const seen = Array.from({ length: 100 }, () => ({ type: 'PageSeen', data: { page } }))
  await store.append(visitor, seen)
}
await Promise.all(visitors.map((visitor) => store.deleteStream(visitor)))
console.log(`${visitors.length} visitors came and went`)
