import { createServer as createNodeServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { openStore } from 'eventuali'
import { Hono } from 'hono'
import { expect, it, onTestFinished } from 'vitest'
import { nodeHandler } from './index.ts'
import { server } from './server.test-support.ts'

const placed = { type: 'OrderPlaced', data: { customer: 'ada', total: 30 } }

it('a server lives under a path of another Hono app', async () => {
  const { app, fetch: answer, store } = await server()
  await store.append('order-1', [placed, placed])
  const outer = new Hono().get('/', (c) => c.text('mine'))
  outer.route('/events', app)
  outer.mount('/mounted', answer)
  for (const prefix of ['/events', '/mounted']) {
    const page = await outer.request(`${prefix}/v1/streams/order-1/events?limit=1`)
    expect(page.headers.get('link')).toMatch(/^<\?limit=1&cursor=/)
    const missing = await outer.request(`${prefix}/v1/streams/none`)
    expect([missing.status, missing.headers.get('content-type')]).toEqual([
      404,
      'application/problem+json',
    ])
    const port = await outer.request(`${prefix}/v1/port`)
    expect(await port.json()).toMatchObject({ protocol: 1 })
  }
  expect(await (await outer.request('/')).text()).toBe('mine')
})

it('a server handles requests of Node under a path, clients of the library too', async () => {
  const made = await server()
  const handle = nodeHandler(made)
  const node = createNodeServer((request, response) => {
    // As Express does for what is mounted.
    request.url = (request.url ?? '/').replace(/^\/events/, '')
    void handle(request, response)
  }).listen(0)
  onTestFinished(() => void node.close())
  const { port } = node.address() as AddressInfo
  await using remote = await openStore(`http://127.0.0.1:${port}/events`)
  await remote.append('order-1', placed)
  expect((await made.store.stream('order-1'))?.version).toBe(1)
})
