import { describe, expect, it } from 'vitest'
import { server } from './server.test-support.ts'

const placed = { type: 'OrderPlaced', data: { customer: 'ada', total: 30 } }
const path = '/v1/streams/order-1/events'

describe('an append', () => {
  it('stores events and answers with the ETag of the stream', async () => {
    const { request, store } = await server()
    const first = await request('POST', path, [placed, placed])
    expect(first.status).toBe(201)
    expect(first.json).toMatchObject({ stream: 'order-1', version: 2 })
    expect(first.headers.get('etag')).toBe(`"${store.incarnation}:2"`)
    expect(first.json.events.map(({ version }: { version: number }) => version)).toEqual([1, 2])
  })

  it('with If-Match is refused with 412 when somebody else was first', async () => {
    const { request } = await server()
    const etag = (await request('POST', path, placed)).headers.get('etag') ?? ''
    expect((await request('POST', path, placed, { 'if-match': etag })).status).toBe(201)
    const late = await request('POST', path, placed, { 'if-match': etag })
    expect(late.status).toBe(412)
    expect(late.headers.get('content-type')).toBe('application/problem+json')
    expect(late.json).toMatchObject({
      ...{ code: 'VERSION_CONFLICT', status: 412, retryable: true },
      fields: { stream: 'order-1', expectedVersion: 1, actualVersion: 2 },
    })
    expect((await request('POST', path, placed, { 'if-match': '"2"' })).status).toBe(201)
    expect((await request('POST', path, placed, { 'if-match': '*' })).status).toBe(201)
    const missing = await request('POST', '/v1/streams/none/events', placed, { 'if-match': '*' })
    expect(missing.status).toBe(412)
  })

  it('with If-None-Match: * makes a stream, once', async () => {
    const { request } = await server()
    const fresh = { 'if-none-match': '*' }
    expect((await request('POST', path, placed, fresh)).status).toBe(201)
    expect((await request('POST', path, placed, fresh)).status).toBe(412)
  })

  it('with headers that say nothing is refused with 400', async () => {
    const { request } = await server()
    for (const headers of [
      { 'if-match': 'W/"1"' },
      { 'if-match': '"a", "b"' },
      { 'if-none-match': '"1"' },
      { 'if-match': '*', 'if-none-match': '*' },
    ]) {
      const refused = await request('POST', path, placed, headers as Record<string, string>)
      expect(refused.status).toBe(400)
      expect(refused.json.code).toBe('REQUEST_MALFORMED')
    }
  })

  it('with the ETag of another log is refused with the choices', async () => {
    const { request } = await server()
    const foreign = await request('POST', path, placed, { 'if-match': '"another:1"' })
    expect(foreign.status).toBe(409)
    expect(foreign.json.code).toBe('LOG_CHANGED')
    expect(foreign.json.fields.choices).toHaveLength(3)
  })

  it('with the same Idempotency-Key changes nothing the second time', async () => {
    const { request } = await server()
    const key = { 'idempotency-key': '"k-1"' }
    const first = await request('POST', path, [placed, placed], key)
    const again = await request('POST', path, [placed, placed], { 'idempotency-key': 'k-1' })
    expect([first.status, again.status]).toEqual([201, 200])
    expect(again.json).toMatchObject({ version: 2, duplicate: true })
    expect(again.json.events).toEqual(first.json.events)
    const other = await request('POST', path, [placed, { ...placed, data: 1 }], key)
    expect(other.json.code).toBe('IDEMPOTENCY_CONFLICT')
    expect(other.status).toBe(409)
  })

  it('that does not fit is refused with what is wrong', async () => {
    const { request } = await server({ limits: { bodyBytesMax: 1000 } })
    const codes = async (body: unknown, headers: Record<string, string> = {}) => {
      const { status, json } = await request('POST', path, body, headers)
      return [status, json.code]
    }
    expect(await codes([])).toEqual([422, 'REQUEST_INVALID'])
    expect(await codes({ data: 1 })).toEqual([422, 'REQUEST_INVALID'])
    expect(await codes({ ...placed, extra: 1 })).toEqual([422, 'REQUEST_INVALID'])
    expect(await codes({ ...placed, time: 'yesterday' })).toEqual([422, 'REQUEST_INVALID'])
    expect(await codes({ ...placed, type: '$deleted' })).toEqual([422, 'NAME_INVALID'])
    expect(await codes('{')).toEqual([400, 'REQUEST_MALFORMED'])
    expect(await codes('a=1', { 'content-type': 'text/plain' })).toEqual([
      415,
      'MEDIA_TYPE_UNSUPPORTED',
    ])
    expect(await codes({ ...placed, data: 'x'.repeat(2000) })).toEqual([413, 'BODY_TOO_LARGE'])
    expect((await request('POST', '/v1/streams/%00/events', placed)).status).toBe(422)
  })

  it('to several streams is one unit', async () => {
    const { request } = await server()
    const entries = [
      { stream: 'a-1', events: [placed], expectedVersion: 0 },
      { stream: 'b-1', events: [placed, placed] },
    ]
    const first = await request('POST', '/v1/append', { entries })
    expect(first.status).toBe(201)
    expect(first.json.results).toMatchObject([{ version: 1 }, { version: 2 }])
    const late = await request('POST', '/v1/append', { entries })
    expect([late.status, late.json.code]).toEqual([409, 'VERSION_CONFLICT'])
    expect((await request('GET', '/v1/streams/b-1')).json.version).toBe(2)
  })

  it('under a condition fails with the events that have arrived', async () => {
    const { request, place } = await server()
    const { safe, incarnation } = (await request('GET', '/v1/positions')).json
    await place('7')
    const condition = { query: [{ types: ['OrderPlaced'] }], position: safe, incarnation }
    const entries = [{ stream: 'x-1', events: [placed] }]
    const late = await request('POST', '/v1/append', { entries, condition })
    expect([late.status, late.json.code]).toEqual([409, 'CONDITION_FAILED'])
    expect(late.json.fields.events).toMatchObject([{ stream: 'order-7' }])
    const other = { ...condition, incarnation: 'another' }
    const foreign = await request('POST', '/v1/append', { entries, condition: other })
    expect(foreign.json.code).toBe('LOG_CHANGED')
  })
})

describe('CloudEvents', () => {
  const cloud = { specversion: '1.0', id: 'c1', source: '/shop', type: 'OrderPlaced' }

  it('come in alone, and as a batch by their subject', async () => {
    const { request } = await server()
    const one = await request(
      'POST',
      path,
      { ...cloud, data: { n: 1 }, correlationid: 'x', time: '2026-01-02T03:04:05Z', custom: 7 },
      { 'content-type': 'application/cloudevents+json' },
    )
    expect(one.status).toBe(201)
    expect(one.json.events[0]).toMatchObject({
      ...{ id: 'c1', data: { n: 1 }, time: '2026-01-02T03:04:05.000Z' },
      metadata: { correlationId: 'x', source: '/shop', custom: 7 },
    })
    const batch = [
      { ...cloud, subject: 'order-2' },
      { ...cloud, subject: 'order-3' },
      { ...cloud, id: 'c2', subject: 'order-2' },
    ]
    const type = { 'content-type': 'application/cloudevents-batch+json' }
    const many = await request('POST', '/v1/append', batch, type)
    expect(many.json.results).toMatchObject([
      { stream: 'order-2', version: 2 },
      { stream: 'order-3', version: 1 },
    ])
    expect((await request('POST', '/v1/append', batch, type)).status).toBe(200)
    const bad = await request('POST', '/v1/append', [{ ...cloud, specversion: '0.3' }], type)
    expect(bad.status).toBe(422)
    const binary = await request('POST', '/v1/append', [{ ...cloud, data_base64: 'AA==' }], type)
    expect(binary.json.code).toBe('REQUEST_INVALID')
  })

  it('go out as a batch, and come in again as they were', async () => {
    const { request, place } = await server()
    await place('1')
    const accept = { accept: 'application/cloudevents-batch+json' }
    const out = await request('GET', '/v1/events?limit=1', undefined, accept)
    expect(out.headers.get('content-type')).toBe('application/cloudevents-batch+json')
    expect(out.json).toMatchObject([
      {
        ...{ specversion: '1.0', type: 'OrderPlaced', subject: 'order-1' },
        ...{ source: '/streams/order-1', data: { total: 30 }, streamversion: 1 },
      },
    ])
    expect(out.headers.get('link')).toMatch(/^<\?limit=1&cursor=.*>; rel="next"$/)
    const other = await server()
    const type = { 'content-type': 'application/cloudevents-batch+json' }
    const taken = await other.request('POST', '/v1/append', out.json, type)
    expect(taken.json.results[0].events[0]).toMatchObject({
      ...{ id: out.json[0].id, stream: 'order-1', data: { total: 30 } },
    })
  })
})
