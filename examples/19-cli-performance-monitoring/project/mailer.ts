// Sends a mail for each order. Programs like this one run on; this one ends when it has caught up.
import { loadConfig } from 'eventuali'

const config = await loadConfig()
await using store = await config.open()
let mails = 0
const mailer = store.subscribe({ name: 'mailer' }, ({ type }) => {
  if (type === 'OrderPlaced') mails++
})
await mailer.reached((await store.positions()).newest)
await mailer.stop()
console.log(`${mails} mails sent`)
