import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { openStore } from 'eventuali'
import { describe, expect, it } from 'vitest'
import { createServer } from './index.ts'
import { problemKinds } from './problem.ts'
import { server } from './server.test-support.ts'

describe('the document', () => {
  it('is OpenAPI 3.1 with every endpoint, each with its errors', async () => {
    const { request } = await server()
    const { json } = await request('GET', '/openapi.json')
    expect(json.openapi).toBe('3.1.0')
    const operations = Object.entries(json.paths).flatMap(([path, methods]) =>
      Object.entries(methods as object).map(([method, operation]) => ({ path, method, operation })),
    )
    expect(operations.length).toBeGreaterThan(30)
    const ids = new Set(operations.map(({ operation }) => operation.operationId))
    expect(ids.size).toBe(operations.length)
    for (const { operation } of operations) {
      expect(Object.keys(operation.responses)).toEqual(
        expect.arrayContaining(['400', '401', '403', '422', '429', '500', '503']),
      )
    }
    const text = JSON.stringify(json)
    for (const [, name] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
      expect(Object.keys(json.components.schemas)).toContain(name)
    }
    expect(text).not.toContain('/v1/port')
  })

  it('has a page for people that needs nothing from elsewhere', async () => {
    const { request } = await server()
    const { text, headers } = await request('GET', '/reference')
    expect(text).toContain('/v1/streams/{stream}/events')
    expect(text).not.toMatch(/<script|src=|https?:\/\//)
    expect(headers.get('content-security-policy')).toMatch(/default-src 'none'/)
  })
})

describe('health and metrics', () => {
  it('tell how the store is', async () => {
    const { request, store, place } = await server()
    await place('1')
    await request('GET', '/v1/streams/none')
    expect((await request('GET', '/health/live')).json).toEqual({ ok: true })
    expect((await request('GET', '/health/ready')).json).toEqual({ ok: true })
    const detail = await request('GET', '/health/detail')
    expect(detail.json).toMatchObject({ ok: true, adapter: 'memory', status: 'healthy' })
    const names = (detail.json as { checks: { name: string }[] }).checks.map(({ name }) => name)
    expect(names).toEqual(expect.arrayContaining(['read', 'durability', 'dead-letters']))
    expect(names).not.toContain('write')
    const { text } = await request('GET', '/metrics')
    expect(text).toContain('eventuali_log_newest_position 1\n')
    expect(text).toMatch(
      /duration_seconds_count\{method="GET",route="\/v1\/streams\/\{stream\}",status="404"\} 1\n/,
    )
    expect(text).toMatch(/_bucket\{method="POST",.*le="\+Inf"\} 1\n/)
    for (const line of text.trim().split('\n')) {
      expect(line).toMatch(/^(# (HELP|TYPE) \w+ .+|\w+(\{.*\})? [\d.e+-]+)$/)
    }
    await store.close()
    expect((await request('GET', '/health/ready')).status).toBe(503)
    expect((await request('GET', '/health/live')).status).toBe(200)
    expect((await request('GET', '/metrics')).text).toContain('eventuali_store_up 0\n')
  })
})

describe('the metrics of caches', () => {
  it('say how often they were of use', async () => {
    await using store = await openStore('memory:', { cache: { streamBytes: 9000, headMs: 9000 } })
    const { app, close } = createServer(store, { auth: { anonymous: 'admin' } })
    await store.append('s-1', { type: 'Noted', data: {} })
    for (let n = 0; n < 3; n++) await store.readStream('s-1').toArray()
    const text = await (await app.request('/metrics')).text()
    expect(text).toContain('eventuali_cache_hits_total{cache="streams"} 2\n')
    expect(text).toContain('eventuali_cache_hits_total{cache="heads"} 2\n')
    expect(text).toContain('eventuali_cache_entries{cache="heads"} 1\n')
    expect(text).not.toContain('cache="states"')
    await close()
    const { request } = await server()
    expect((await request('GET', '/metrics')).text).not.toContain('eventuali_cache')
  })
})

describe('the metrics of subscriptions', () => {
  it('tell how far behind each is, what it could not do, and whether it has stopped', async () => {
    const { request, store, place } = await server()
    const retry = { retryCountMax: 0 }
    const fail = () => {
      throw new Error('no mail server')
    }
    await place('1')
    const mailer = store.subscribe({ name: 'mailer', retry, onPoison: 'park' }, fail)
    await mailer.reached(1)
    const ledger = store.subscribe({ name: 'ledger', retry, onPoison: 'stop' }, fail)
    await expect.poll(() => ledger.state).toBe('failed')
    const { text } = await request('GET', '/metrics')
    const line = (name: string, subscription: string) =>
      new RegExp(`^eventuali_${name}\\{subscription="${subscription}"\\} (.+)$`, 'm').exec(
        text,
      )?.[1]
    expect(line('subscription_lag', 'mailer')).toBe('0')
    expect(line('dead_letters', 'mailer')).toBe('1')
    expect(line('subscription_behind_seconds', 'mailer')).toBe('0')
    expect(line('subscription_stopped', 'mailer')).toBe('0')
    expect(line('subscription_lag', 'ledger')).toBe('1')
    expect(line('dead_letters', 'ledger')).toBe('0')
    expect(Number(line('subscription_behind_seconds', 'ledger'))).toBeGreaterThanOrEqual(0)
    expect(line('subscription_stopped', 'ledger')).toBe('1')
  })
})

describe('problems', () => {
  it('that are the own fault of the server tell nobody why', async () => {
    const told: unknown[] = []
    const { request, store } = await server({ onError: (error) => told.push(error) })
    store.port.readLog = () => {
      throw new Error('password=hunter2 at db.internal')
    }
    const { status, json, text } = await request('GET', '/v1/events')
    expect([status, json.code, json.retryable]).toEqual([500, 'INTERNAL', false])
    expect(text).not.toMatch(/hunter2|db\.internal/)
    expect(told).toMatchObject([{ message: 'password=hunter2 at db.internal' }])
  })

  it('stand in the guide with their statuses, all of them', () => {
    const page = readFileSync(join(import.meta.dirname, '../../../docs/guide/server.md'), 'utf8')
    const shown = new Map<string, number>()
    for (const [, status, codes] of page.matchAll(/^\| (\d{3}) \| (.*) \|$/gm)) {
      for (const [, code = ''] of (codes ?? '').matchAll(/`(\w+)`/g)) {
        shown.set(code, Number(status))
      }
    }
    const own = Object.entries(problemKinds).map(([code, { status }]) => [code, status] as const)
    expect(shown).toEqual(new Map(own))
  })

  it('have statuses of errors, each', () => {
    for (const [code, { status, title }] of Object.entries(problemKinds)) {
      expect([code, status >= 400 && status < 600, title.length > 0]).toEqual([code, true, true])
    }
  })
})
