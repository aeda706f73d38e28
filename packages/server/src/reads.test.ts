import { describe, expect, it } from 'vitest'
import { server } from './server.test-support.ts'

describe('a stream', () => {
  it('is read in pages, both ways', async () => {
    const { request } = await server()
    const events = Array.from({ length: 7 }, (_, n) => ({ type: 'T', data: { n: n + 1 } }))
    await request('POST', '/v1/streams/s-1/events', events)
    for (const direction of ['forward', 'backward']) {
      const found: number[] = []
      let cursor = ''
      do {
        const query = `limit=3&direction=${direction}${cursor === '' ? '' : `&cursor=${cursor}`}`
        const { json, status } = await request('GET', `/v1/streams/s-1/events?${query}`)
        expect(status).toBe(200)
        found.push(...json.events.map(({ data }: { data: { n: number } }) => data.n))
        cursor = json.next ?? ''
      } while (cursor !== '')
      const all = [1, 2, 3, 4, 5, 6, 7]
      expect(found).toEqual(direction === 'forward' ? all : all.toReversed())
    }
    const part = await request('GET', '/v1/streams/s-1/events?from=2&to=3')
    expect(part.json.events).toHaveLength(2)
    expect(part.json.next).toBe(undefined)
  })

  it('that is not there is 404, one cut away 410', async () => {
    const { request } = await server()
    for (const path of ['/v1/streams/none', '/v1/streams/none/events']) {
      const { status, json } = await request('GET', path)
      expect([status, json.code]).toEqual([404, 'NOT_FOUND'])
    }
    const events = Array.from({ length: 3 }, () => ({ type: 'T' }))
    await request('POST', '/v1/streams/s-1/events', events)
    const cut = await request('POST', '/v1/streams/s-1/truncate', { before: 3, reason: 'old' })
    expect(cut.json.events[0]).toMatchObject({ type: '$truncated', data: { before: 3 } })
    const { status, json } = await request('GET', '/v1/streams/s-1/events?from=1')
    expect([status, json.code, json.fields.firstVersion]).toEqual([410, 'STREAM_TRUNCATED', 3])
  })

  it('is archived, taken back and deleted', async () => {
    const { request, place } = await server()
    await place('1')
    expect((await request('POST', '/v1/streams/order-1/archive')).status).toBe(200)
    const refused = await place('1')
    expect([refused.status, refused.json.code]).toEqual([409, 'STREAM_ARCHIVED'])
    await request('POST', '/v1/streams/order-1/archive', { undo: true })
    expect((await place('1')).status).toBe(201)
    const stale = { 'if-match': '"1"' }
    expect((await request('DELETE', '/v1/streams/order-1', undefined, stale)).status).toBe(412)
    expect((await request('DELETE', '/v1/streams/order-1?reason=x')).status).toBe(200)
    expect((await place('1')).json.code).toBe('STREAM_DELETED')
    expect((await request('GET', '/v1/streams/order-1')).json.state).toBe('deleted')
    const again = await request('POST', '/v1/streams/order-1/events?recreate=true', { type: 'T' })
    expect(again.status).toBe(201)
    expect((await request('DELETE', '/v1/streams/none')).status).toBe(404)
  })

  it('is listed by prefix and category, in pages', async () => {
    const { request, place } = await server()
    for (const id of ['1', '2', '3']) await place(id)
    await request('POST', '/v1/streams/cart-1/events', { type: 'T' })
    const first = await request('GET', '/v1/streams?category=order&limit=2')
    expect(first.json.streams).toHaveLength(2)
    const next = `/v1/streams?category=order&limit=2&cursor=${first.json.next}`
    const { json } = await request('GET', next)
    expect(json.streams.map(({ stream }: { stream: string }) => stream)).toEqual(['order-3'])
    expect((await request('GET', '/v1/streams?prefix=cart')).json.streams).toHaveLength(1)
    expect((await request('GET', '/v1/streams?limit=0')).status).toBe(422)
    expect((await request('GET', '/v1/streams?nothing=1')).status).toBe(422)
  })
})

describe('the log', () => {
  it('is filtered by type, category, tag and time', async () => {
    const { request } = await server()
    const append = (stream: string, event: object) =>
      request('POST', `/v1/streams/${stream}/events`, event)
    await append('a-1', { type: 'A', tags: ['k:1'], time: '2020-01-01T00:00:00Z' })
    await append('a-2', { type: 'B', tags: ['k:1', 'k:2'], time: '2021-01-01T00:00:00Z' })
    await append('b-1', { type: 'A', time: '2022-01-01T00:00:00Z' })
    const streams = async (query: string) => {
      const { json } = await request('GET', `/v1/events?${query}`)
      return json.events.map(({ stream }: { stream: string }) => stream)
    }
    expect(await streams('types=A')).toEqual(['a-1', 'b-1'])
    expect(await streams('types=A&types=B&categories=a')).toEqual(['a-1', 'a-2'])
    expect(await streams('tags=k:1&tags=k:2')).toEqual(['a-2'])
    expect(await streams('since=2021-01-01T00:00:00Z&until=2022-01-01T00:00:00Z')).toEqual(['a-2'])
    expect(await streams('direction=backward&limit=2')).toEqual(['b-1', 'a-2'])
    expect(await streams('after=1&before=3')).toEqual(['a-2'])
  })

  it('gives cursors that are of this log alone', async () => {
    const { request, place } = await server()
    await place('1')
    await place('2')
    const first = await request('GET', '/v1/events?limit=1')
    const next = await request('GET', `/v1/events?limit=1&cursor=${first.json.next}`)
    expect(next.json.events[0].stream).toBe('order-2')
    const other = await server()
    const foreign = await other.request('GET', `/v1/events?cursor=${first.json.next}`)
    expect([foreign.status, foreign.json.code]).toEqual([409, 'LOG_CHANGED'])
    expect((await request('GET', '/v1/events?cursor=what')).status).toBe(422)
  })

  it('ends a page early where the events are large', async () => {
    const { request } = await server({ limits: { pageBytesMax: 1000 } })
    const events = Array.from({ length: 3 }, () => ({ type: 'T', data: 'x'.repeat(600) }))
    await request('POST', '/v1/streams/s-1/events', events)
    const { json } = await request('GET', '/v1/events')
    expect(json.events).toHaveLength(1)
    expect(json.next).toBeDefined()
  })
})

describe('aggregates', () => {
  it('run their commands and show their states', async () => {
    const { request } = await server()
    const at = '/v1/aggregates/order/1'
    expect((await request('GET', '/v1/aggregates')).json.aggregates).toEqual([
      { name: 'order', commands: ['place', 'ship'] },
    ])
    const input = { customer: 'ada', total: 30 }
    const key = { 'idempotency-key': 'once' }
    const done = await request('POST', `${at}/commands/place`, { input }, key)
    expect(done.json).toMatchObject({ stream: 'order-1', version: 1 })
    const again = await request('POST', `${at}/commands/place`, { input }, key)
    expect(again.json).toMatchObject({ version: 1, duplicate: true })
    const rejected = await request('POST', `${at}/commands/place`, { input })
    expect([rejected.status, rejected.json.code]).toEqual([422, 'DOMAIN_REJECTED'])
    expect(rejected.json.detail).toBe('order is already placed')
    const bad = { input: { customer: 1 } }
    const invalid = await request('POST', '/v1/aggregates/order/2/commands/place', bad)
    expect([invalid.status, invalid.json.code]).toEqual([422, 'EVENT_INVALID'])
    expect((await request('POST', `${at}/commands/ship`)).status).toBe(200)
    const shown = await request('GET', at)
    expect(shown.json).toEqual({
      ...{ stream: 'order-1', version: 2 },
      state: { status: 'shipped', total: 30 },
    })
    const before = await request('GET', `${at}?version=1`)
    expect(before.json.state.status).toBe('placed')
    const stale = { 'if-match': '"1"' }
    const late = await request('POST', `${at}/commands/ship`, undefined, stale)
    expect([412, 422]).toContain(late.status)
    for (const path of ['/v1/aggregates/order/9', '/v1/aggregates/cart/1']) {
      expect((await request('GET', path)).status).toBe(404)
    }
    for (const command of ['nothing', 'constructor', 'toString']) {
      expect((await request('POST', `${at}/commands/${command}`)).status).toBe(404)
    }
  })
})

describe('the read side', () => {
  it('shows documents, statuses, letters, subscriptions, snapshots and schemas', async () => {
    const { request, place, store } = await server()
    const missing = await request('GET', '/v1/projections/orders/collections/orders')
    expect([missing.status, missing.json.code]).toEqual([409, 'PROJECTION_NOT_READY'])
    await store.projections.start()
    const { json } = await place('1')
    await place('2', 50)
    await store.projected('orders', json.position + 1, { timeoutMs: 5000 })
    const all = await request('GET', '/v1/projections/orders/collections/orders')
    expect(all.json.documents.map(({ key }: { key: string }) => key)).toEqual([
      'order-1',
      'order-2',
    ])
    const where = encodeURIComponent('{"total":{"gt":40}}')
    const some = await request('GET', `/v1/projections/orders/collections/orders?where=${where}`)
    expect(some.json.documents).toMatchObject([{ key: 'order-2', document: { total: 50 } }])
    const at = '/v1/projections/orders/collections/orders'
    expect((await request('GET', `${at}/order-1`)).json).toEqual({ customer: 'ada', total: 30 })
    expect((await request('GET', `${at}/order-9`)).status).toBe(404)
    expect((await request('GET', `${at}?where=[`)).status).toBe(422)
    expect((await request('GET', '/v1/projections/orders/collections/no')).status).toBe(404)
    const status = await request('GET', '/v1/projections/orders')
    expect(status.json).toMatchObject({ name: 'orders', version: 1, paused: false })
    expect((await request('POST', '/v1/projections/orders/pause')).json.paused).toBe(true)
    expect((await request('POST', '/v1/projections/orders/resume')).json.paused).toBe(false)
    expect((await request('GET', '/v1/projections')).json.projections).toHaveLength(1)
    expect((await request('GET', '/v1/schemas')).json).toEqual({ schemas: [] })
    expect((await request('GET', '/v1/streams/order-1/snapshots')).json).toEqual({ snapshots: [] })
  })

  it('lets letters be retried and given up, and subscriptions be held', async () => {
    const { request, place, store } = await server()
    const subscription = store.subscribe({ name: 'mailer', onPoison: 'park' } as never, () => {
      throw new Error('no mail today')
    })
    await place('1')
    const parked = async () => (await request('GET', '/v1/dead-letters')).json.letters
    await expect.poll(async () => (await parked()).length, { timeout: 10_000 }).toBe(1)
    const [letter] = await parked()
    const at = `/v1/dead-letters/${encodeURIComponent(letter.id)}`
    expect((await request('GET', at)).json).toMatchObject({ subscription: 'mailer' })
    expect((await request('POST', `${at}/discard`, {})).status).toBe(422)
    const held = await request('POST', '/v1/subscriptions/mailer/pause', { reason: 'a look' })
    expect(held.json.paused).toBe('a look')
    const discarded = await request('POST', `${at}/discard`, { reason: 'a test' })
    expect(discarded.json.state).toBe('discarded')
    const twice = await request('POST', `${at}/retry`)
    expect([twice.status, twice.json.code]).toEqual([409, 'DEAD_LETTER_REFUSED'])
    expect((await request('POST', '/v1/subscriptions/mailer/resume')).json.paused).toBe(undefined)
    const listed = await request('GET', '/v1/subscriptions')
    expect(listed.json.subscriptions).toMatchObject([{ name: 'mailer', lag: expect.any(Number) }])
    for (const path of ['/v1/dead-letters/none', '/v1/subscriptions/none']) {
      expect((await request('GET', path)).status).toBe(404)
    }
    expect((await request('POST', '/v1/subscriptions/none/pause')).json.code).toBe(
      'SUBSCRIPTION_UNKNOWN',
    )
    const all = await request('POST', '/v1/subscriptions/mailer/retry-dead-letters')
    expect(all.json).toEqual({ requested: 0 })
    await subscription.stop()
  })
})
