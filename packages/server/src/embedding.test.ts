import { once } from 'node:events'
import { createServer as createNodeServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { openStore } from 'eventuali'
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import { expect, it, onTestFinished } from 'vitest'
import { type EventualiServer, nodeHandler } from './index.ts'
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

/** Makes a program that has the server at /events and a page of its own at /; gives its url. */
type Host = (made: EventualiServer) => Promise<string>

async function listening(node: Server): Promise<string> {
  onTestFinished(() => {
    node.closeAllConnections()
    node.close()
  })
  if (!node.listening) await once(node, 'listening')
  return `http://127.0.0.1:${(node.address() as AddressInfo).port}`
}

const inNode: Host = (made) => {
  const handle = nodeHandler(made)
  const node = createNodeServer((request, response) => {
    const { url = '/' } = request
    if (url === '/') return response.end('mine')
    request.url = url.replace(/^\/events/, '')
    return handle(request, response)
  })
  return listening(node.listen(0))
}

const inExpress: Host = (made) => {
  const app = express()
  app.use('/events', nodeHandler(made))
  app.use(express.json())
  app.get('/', (_request, response) => {
    response.send('mine')
  })
  return listening(app.listen(0))
}

const behindParsers: Host = (made) => {
  const app = express()
  app.use(express.json({ limit: '2mb', type: ['json', 'application/cloudevents+json'] }))
  app.use(express.text(), express.raw())
  app.get('/', (_request, response) => {
    response.send('mine')
  })
  app.use('/events', nodeHandler(made))
  return listening(app.listen(0))
}

const inFastify: Host = async (made) => {
  const app = fastify()
  const handle = nodeHandler(made)
  app.get('/', () => 'mine')
  app.register(
    async (scope) => {
      scope.removeAllContentTypeParsers()
      scope.addContentTypeParser('*', (_request, _body, done) => done(null))
      scope.all('/*', async ({ raw }, reply) => {
        reply.hijack()
        raw.url = raw.url?.slice('/events'.length) ?? '/'
        await handle(raw, reply.raw)
      })
    },
    { prefix: '/events' },
  )
  onTestFinished(() => app.close())
  await app.listen({ port: 0 })
  return listening(app.server)
}

it.each<[where: string, host: Host]>([
  ['a server of Node', inNode],
  ['Express', inExpress],
  ['Express behind its parsers', behindParsers],
  ['Fastify', inFastify],
])('a server lives in %s, clients of the library and feeds too', async (_where, host) => {
  const made = await server()
  const url = await host(made)
  expect(await (await fetch(url)).text()).toBe('mine')
  await using remote = await openStore(`${url}/events`)
  await remote.append('order-1', placed)
  const posted = await fetch(`${url}/events/v1/streams/order-1/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/cloudevents+json', 'if-match': '"1"' },
    body: JSON.stringify({
      ...{ specversion: '1.0', id: 'c-1', source: '/shop', type: 'OrderPlaced' },
      data: { customer: 'é'.repeat(100_000), total: 1 },
    }),
  })
  expect(posted.status).toBe(201)
  expect((await made.store.stream('order-1'))?.version).toBe(2)
  const paused = await fetch(`${url}/events/v1/projections/orders/pause`, { method: 'POST' })
  expect(paused.status).toBe(200)
  const missing = await fetch(`${url}/events/v1/streams/none`)
  expect([missing.status, missing.headers.get('content-type')]).toEqual([
    404,
    'application/problem+json',
  ])
  const feed = await fetch(`${url}/events/v1/feed?after=0`)
  const closing = made.close()
  expect(await feed.text()).toContain('event: closing')
  await closing
})
