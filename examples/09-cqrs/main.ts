// A task list over HTTP. Commands go to the aggregate, queries to read models that follow the log;
// this program is the server and a client that tries it out.
import { once } from 'node:events'
import { openStore } from 'eventuali'
import { freshStore } from '../fresh-store.ts'
import { taskServer } from './server.ts'
import { board } from './task.ts'

await using store = await openStore(await freshStore('tasks'), { projections: [board] })
await store.projections.start()

const server = taskServer(store).listen(0, '127.0.0.1')
await once(server, 'listening')
const address = server.address()
const port = typeof address === 'object' ? address?.port : undefined

/** The newest position that this client has been told of; it is all that a session keeps. */
let seen = '0'

async function call(method: string, path: string, body?: unknown, headers = {}): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: { 'x-user': 'ada', 'x-seen': seen, ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  seen = response.headers.get('x-position') ?? seen
  console.log(`${method} ${path} -> ${response.status} ${await response.text()}`)
}

// Commands. Each answer names the position of its effect.
await call('POST', '/tasks/1/add', { title: 'write the docs', owner: 'ada' })
await call('POST', '/tasks/2/add', { title: 'ship it', owner: 'ada' })

// A query right after them: the model is async, but the client says what it has seen.
await call('GET', '/tasks?owner=ada')

await call('POST', '/tasks/2/assign', { owner: 'bob' })
await call('POST', '/tasks/1/finish')
await call('GET', '/owners/ada')
await call('GET', '/owners/bob')

// What may go wrong.
await call('POST', '/tasks/3/add', { title: '', owner: 'ada' })
await call('POST', '/tasks/1/finish')
await call('POST', '/tasks/1/burn')

// The answer was lost on the way; the client sends the command again with the same key.
const key = { 'idempotency-key': 'click-81' }
await call('POST', '/tasks/2/finish', undefined, key)
await call('POST', '/tasks/2/finish', undefined, key)
await call('GET', '/tasks')

server.close()
server.closeAllConnections()
const last = await store.readStream('task-2').toArray()
console.log(`task-2 by ${last[0]?.metadata.actor}: ${last.map(({ type }) => type).join(', ')}`)
