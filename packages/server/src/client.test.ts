import { createServer as createNodeServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { isEventualiError, openStore, proveEvent } from 'eventuali'
import { openHttpStore } from 'eventuali/client'
import { describe, expect, it, onTestFinished } from 'vitest'
import { served } from './client.test-support.ts'
import { hashApiKey, type ServeOptions } from './index.ts'
import { events, Order, orders } from './server.test-support.ts'

async function running(options: ServeOptions = {}) {
  const server = await served('memory:', options)
  onTestFinished(server.close)
  return server
}

async function client(url: string, options: Parameters<typeof openStore>[1]) {
  const store = await openStore(url, options)
  onTestFinished(() => store.close())
  return store
}

const placed = { customer: 'ada', total: 30 }
const fails = (code: string) => expect.objectContaining({ code })

describe('a store over HTTP', () => {
  it('runs aggregates, decisions, subscriptions and projections of this program', async () => {
    const { running: server, token } = await running()
    const store = await client(server.url, { token, events: [events] })
    expect([store.adapter, store.capabilities]).toEqual([
      'http',
      { durable: false, within: false, sql: false, shared: true, fork: false, backup: false },
    ])
    const repository = store.aggregate(Order)
    await repository.execute('1', 'place', { customer: 'ada', total: 30 })
    await expect(repository.execute('1', 'place', { customer: 'ada', total: 1 })).rejects.toEqual(
      fails('DOMAIN_REJECTED'),
    )
    const seen: string[] = []
    const subscription = store.subscribe({ name: 'mailer', after: 0 }, (event) => {
      seen.push(event.type)
    })
    await repository.execute('1', 'ship')
    await expect.poll(() => seen, { timeout: 10_000 }).toEqual(['OrderPlaced', 'OrderShipped'])
    await subscription.stop()
    expect((await store.subscriptions.status('mailer'))?.position).toBe(2)
    expect(await store.schemas.registered()).toHaveLength(2)
    const live: number[] = []
    for await (const { position } of store.subscribe({ after: 0 })) {
      live.push(position)
      if (live.length === 2) break
    }
    expect(live).toEqual([1, 2])
  })

  it('is operated as one that is here', async () => {
    const { running: server, token } = await running()
    const store = await client(server.url, { token, projections: [orders], snapshots: {} })
    await store.projections.start()
    const { position } = await store.aggregate(Order).execute('1', 'place', placed)
    await store.projected('orders', position ?? 0, { timeoutMs: 10_000 })
    const { generation } = await store.projections.rebuild('orders')
    await store.projections.pause('orders')
    await store.projections.resume('orders')
    expect(await store.projections.rollback('orders')).toEqual({ generation: generation - 1 })
    await store.projections.switchTo('orders', generation)
    const mailer = store.subscribe({ name: 'mailer', after: 0 }, () => {})
    await mailer.reached(1)
    await mailer.stop()
    await store.subscriptions.pause('mailer', { reason: 'a look' })
    await store.subscriptions.reset('mailer', 0)
    expect(await store.subscriptions.status('mailer')).toMatchObject({ position: 0 })
    expect(await store.snapshots.take(Order, '1')).toMatchObject({ version: 1 })
    expect(await store.snapshots.drop()).toBe(1)
    expect(await store.schemas.register([Order])).toBe(2)
    expect(await proveEvent(store, 1)).toMatchObject({ ok: true })
  })

  it('undoes what a transaction did, and says what is not there', async () => {
    const { running: server, token } = await running()
    const store = await client(server.url, { token })
    const failed = store.transaction(async (tx) => {
      await tx.append('a-1', { type: 'T', data: 1 })
      throw new Error('no')
    })
    await expect(failed).rejects.toThrow('no')
    expect(await store.stream('a-1')).toBe(undefined)
    await expect(
      store.transaction(async () => store.append('a-1', { type: 'T', data: 1 })),
    ).rejects.toEqual(fails('TRANSACTION_NESTED'))
    await expect(store.fork({ into: 'x' })).rejects.toEqual(fails('CAPABILITY_MISSING'))
    expect(() => store.port.join({})).toThrow(/within/)
    await expect(store.tune()).rejects.toEqual(fails('CAPABILITY_MISSING'))
  })

  it('leaves no writer behind that has died in a transaction', async () => {
    const { running: server, token, store } = await running({ limits: { transactionIdleMs: 50 } })
    const remote = await client(server.url, { token })
    const gone = remote.transaction(async (tx) => {
      await tx.append('a-1', { type: 'T', data: 1 })
      // It waits for the writer that the transaction has until the server takes it back.
      await store.append('b-1', { type: 'T', data: 1 })
      await tx.append('a-1', { type: 'T', data: 2 })
    })
    await expect(gone).rejects.toEqual(fails('TRANSACTION_TIMEOUT'))
    expect(await store.stream('a-1')).toBe(undefined)
  })

  it('opens as many transactions as the server allows', async () => {
    const { running: server, token } = await running({ limits: { transactionsMax: 1 } })
    const store = await client(server.url, { token })
    const begun = Promise.withResolvers<void>()
    const end = Promise.withResolvers<void>()
    const first = store.transaction(async () => {
      begun.resolve()
      await end.promise
    })
    await begun.promise
    const second = store.transaction(async () => 1)
    await expect(second).rejects.toEqual(fails('CONNECTIONS_FULL'))
    end.resolve()
    await first
  })
})

describe('roles over the wire', () => {
  const keys = { reader: 'reader_0123456789', writer: 'writer_0123456789' }
  const auth = {
    keys: [
      { name: 'reader', role: 'read' as const, hash: hashApiKey(keys.reader) },
      { name: 'writer', role: 'write' as const, hash: hashApiKey(keys.writer) },
    ],
  }

  it('hold for every call of the port', async () => {
    const { running: server } = await running({ auth })
    const writer = await client(server.url, { token: keys.writer })
    await writer.append('a-1', { type: 'T', data: 1 })
    await writer.transaction((tx) => tx.append('a-1', { type: 'T', data: 2 }))
    const denied = fails('ACCESS_DENIED')
    await expect(writer.archive('a-1')).rejects.toEqual(denied)
    await expect(
      writer.port.transaction((tx) => tx.inline.register({ name: 'p', version: 1, types: ['T'] })),
    ).rejects.toEqual(denied)
    const reader = await client(server.url, { token: keys.reader })
    expect(await reader.readAll().toArray()).toHaveLength(2)
    await expect(reader.append('a-1', { type: 'T', data: 1 })).rejects.toEqual(denied)
    await expect(reader.transaction(async () => 1)).rejects.toEqual(denied)
  })

  it('are of whoever opened a transaction', async () => {
    const { running: server } = await running({ auth })
    const post = (path: string, key: string, body: object = {}) =>
      fetch(`${server.url}/v1/port/${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
    const begun = await post('transactions', keys.writer)
    const { id } = (await begun.json()) as { id: string }
    const other = await post(`transactions/${id}/commit`, keys.reader)
    expect(other.status).toBe(403)
    expect((await post(`transactions/${id}/rollback`, keys.writer)).status).toBe(200)
    expect((await post(`transactions/${id}/commit`, keys.writer)).status).toBe(404)
    for (const [path, body, status] of [
      ['append', { input: { entries: [] } }, 422],
      ['append', { input: 1 }, 422],
      ['nothing', { input: {} }, 404],
      ['records.write', { input: { changes: [] } }, 422],
      ['read-log', { input: { direction: 'up', upTo: 1 } }, 422],
      ['stream', { input: { stream: 'x' }, options: { timeoutMs: -1 } }, 422],
    ] as const) {
      expect([path, (await post(path, keys.writer, body)).status]).toEqual([path, status])
    }
  })
})

describe('opening one', () => {
  it('says what is wrong with the url, the token or the server', async () => {
    const { running: server, token } = await running()
    const open = (url: string, options: object = {}) => openHttpStore({ url, ...options })
    for (const url of ['http://', 'ftp://x', 'http://a:b@x', 'http://x?a=1']) {
      await expect(open(url)).rejects.toEqual(fails('STORE_URL_INVALID'))
    }
    await expect(open(server.url)).rejects.toEqual(fails('UNAUTHENTICATED'))
    await expect(open(server.url, { token: 'wrong' })).rejects.toEqual(fails('UNAUTHENTICATED'))
    await expect(open(server.url, { concurrencyMax: 0 })).rejects.toEqual(fails('ARGUMENT_INVALID'))
    await expect(open('http://127.0.0.1:1')).rejects.toEqual(fails('CONNECTION_FAILED'))
    const other = createNodeServer((_request, response) => response.end('hello')).listen(0)
    onTestFinished(() => void other.close())
    const { port } = other.address() as AddressInfo
    await expect(open(`http://127.0.0.1:${port}`)).rejects.toEqual(fails('CONNECTION_FAILED'))
    let asked = 0
    const tokens = ['stale', token]
    const fresh = await open(server.url, { token: () => tokens[Math.min(asked++, 1)] })
    expect(asked).toBe(2)
    await fresh.close()
    const refusing = { token: () => Promise.reject(new Error('no token today')) }
    await expect(open(server.url, refusing)).rejects.toThrow('no token today')
  })

  it('finds the log changed when the server has another one', async () => {
    const first = await served('memory:')
    const remote = await first.open()
    const { port } = first.running
    await first.close()
    const refused = remote.append({
      entries: [{ stream: 'a-1', expectedVersion: 'any', events: [] }],
    })
    await expect(refused).rejects.toEqual(fails('CONNECTION_FAILED'))
    const second = await running({ port })
    await expect(remote.positions()).rejects.toEqual(fails('LOG_CHANGED'))
    await remote.close()
    expect(second.store.incarnation).not.toBe(remote.incarnation)
  })

  it('does not know what became of an append whose answer is lost', async () => {
    const { running: server, token } = await running()
    let isLost = false
    const lossy: typeof fetch = async (input, init) => {
      const response = await fetch(input, init)
      if (!isLost) return response
      await response.body?.cancel()
      throw new TypeError('fetch failed', { cause: new Error('socket hang up') })
    }
    const store = await client(server.url, { token, fetch: lossy })
    isLost = true
    const lost = store.append('a-1', { type: 'T', data: 1 }).catch((error: unknown) => error)
    expect(isEventualiError(await lost, 'OUTCOME_UNKNOWN')).toBe(true)
    await expect(store.stream('a-1')).rejects.toEqual(fails('CONNECTION_FAILED'))
    isLost = false
    expect((await store.stream('a-1'))?.version).toBe(1)
  })
})

describe('a server that closes', () => {
  it('answers what is under way, ends feeds, and is gone', async () => {
    const { running: server, token, store } = await running()
    const headers = { authorization: `Bearer ${token}` }
    const feed = await fetch(`${server.url}/v1/feed`, { headers })
    const remote = await openHttpStore({ url: server.url, token })
    const hold = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    const held = store.transaction(async () => {
      begun.resolve()
      await hold.promise
    })
    await begun.promise
    const event = { type: 'T', data: 1, metadata: {}, time: 1, schemaVersion: 1, tags: [] }
    const waiting = remote.append({
      entries: [
        { stream: 'a-1', expectedVersion: 'any', events: [{ ...event, id: 'x', idGiven: true }] },
      ],
    })
    const text = feed.text()
    const inFlight = async () => {
      const response = await server.server.app.request('/metrics', { headers })
      return /in_flight (\d+)/.exec(await response.text())?.[1]
    }
    // The append, and the look itself.
    await expect.poll(inFlight).toBe('2')
    const closing = server.close()
    hold.resolve()
    await held
    expect((await waiting).ok).toBe(true)
    await closing
    expect(await text).toContain('event: closing')
    await expect(fetch(`${server.url}/health/live`)).rejects.toThrow()
    await remote.close()
  })
})
