import type { Attack, Target } from '../../../eventuali/test/harness/assault.ts'
import type { Junk } from '../../../eventuali/test/harness/junk.ts'
import { openWireBed, type WireBed } from './wire-bed.ts'
import { exchange } from './wire-exchange.ts'
import { wireBody } from './wire-json.ts'
import type { WireBug } from './wire-planted.ts'

interface Operation {
  readonly method: string
  readonly path: string
  readonly query: readonly string[]
}

const event = { type: 'OrderPlaced', data: { customer: 'ada', total: 1 }, tags: ['a'], id: 'e-1' }
/** What a request to a path would say; others say nothing. */
const samples: readonly [RegExp, unknown][] = [
  [/\/events$/, [event, { ...event, id: 'e-2', metadata: { a: { b: 1 } } }]],
  [
    /\/append$/,
    {
      entries: [{ stream: 'order-2', events: [event], expectedVersion: 0 }],
      condition: { query: [{ types: ['OrderPlaced'], tags: ['a'] }], position: 1 },
    },
  ],
  [/\/commands\//, { input: { customer: 'ada', total: 1 }, expectedVersion: 1, commandId: 'c' }],
  [/\/truncate$/, { before: 1, reason: 'x' }],
  [/\/v1\/port/, { input: { stream: 'order-1', from: 1, limit: 10 }, options: { timeoutMs: 100 } }],
]
const portCalls = ['readStream', 'readAll', 'append', 'streamInfo', 'positions', 'transactions']
const names = ['order-1', 'order', 'orders', '1', 'mailer', 'place', '__proto__', 'constructor']
const rawNames = ['%', '%zz', '%ff', '%00', '..', '%2e%2e', '//', '%2F', '%u0041', '%c0%af', '+']
const headerNames = [
  ...['if-match', 'if-none-match', 'idempotency-key', 'last-event-id', 'accept', 'authorization'],
  ...['x-api-key', 'content-encoding', 'origin', 'expect', 'upgrade', 'cookie', '__proto__'],
  ...['x-forwarded-for', 'traceparent', 'connection', 'range', 'content-length'],
]
const headerValues = [
  ...['*', '"x"', '"1"', 'W/"a"', '"99999999999999999999"', ':', 'Bearer', 'Bearer a.b.c', 'gzip'],
  ...['100-continue', 'text/html;q=2', 'null', 'https://evil.example', 'bytes=0-', '-1', '1e3'],
]
const mediaTypes = [
  ...['application/json', 'application/json', 'application/json; charset=utf-16', 'text/plain'],
  ...['application/cloudevents+json', 'application/cloudevents-batch+json', 'multipart/form-data'],
  ...['application/x-www-form-urlencoded', ';', 'json'],
]

/** Percent-encoded, what no encoding exists for replaced. */
const encoded = (text: string): string => encodeURIComponent(text.toWellFormed())

function word(junk: Junk): string {
  const kind = junk.below(6)
  if (kind < 3) return junk.pick(names)
  if (kind === 3) return junk.pick(rawNames)
  return encoded(kind === 4 ? junk.text() : String(junk.number()))
}

function target(junk: Junk, { path, query }: Operation): string {
  const filled = path.replace(/\{\w+\}/g, () => word(junk))
  const pairs = Array.from({ length: Math.max(0, junk.below(6) - 2) }, () => {
    const name = junk.below(4) === 0 ? word(junk) : junk.pick([...query, 'limit', '__proto__'])
    const value = junk.below(8) === 0 ? encoded(`[${'{"a":'.repeat(junk.below(60))}`) : word(junk)
    return junk.below(12) === 0 ? name : `${name}=${value}`
  })
  return pairs.length === 0 ? filled : `${filled}?${pairs.join('&')}`
}

function headers(junk: Junk): string[] {
  return Array.from({ length: Math.max(0, junk.below(8) - 4) }, () => {
    const value = junk.below(3) === 0 ? junk.text().replaceAll(/[^\x20-\x7e\x80-\xff]/g, '') : ''
    return `${junk.pick(headerNames)}: ${value === '' ? junk.pick(headerValues) : value}`
  })
}

function requestOf(junk: Junk, operation: Operation): Buffer[] {
  const [, sample] = samples.find(([path]) => path.test(operation.path)) ?? []
  const method = junk.below(15) === 0 ? junk.pick(['PUT', 'PATCH', 'OPTIONS', 'TRACE']) : undefined
  const used = method ?? operation.method
  const body = used === 'GET' && junk.below(6) > 0 ? Buffer.of() : wireBody(junk, sample ?? {})
  const host = junk.below(25) === 0 ? junk.pick(['evil.example', '', 'a b', '[::']) : 'localhost'
  const lines = [`${used} ${target(junk, operation)} HTTP/1.1`, `Host: ${host}`, ...headers(junk)]
  const mediaType = junk.below(4) === 0 ? junk.pick(mediaTypes) : 'application/json'
  if (junk.below(10) > 0) lines.push(`Content-Type: ${mediaType}`)
  lines.push(`Content-Length: ${body.length}`, 'Connection: close', '', '')
  return [Buffer.from(lines.join('\r\n'), 'latin1'), body]
}

async function operationsOf({ running }: WireBed): Promise<readonly Operation[]> {
  const answer = await running.server.app.request('/openapi.json')
  const { paths } = (await answer.json()) as {
    paths: Record<string, Record<string, { parameters?: { name: string; in: string }[] }>>
  }
  const documented = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [] }]) => ({
      ...{ method: method.toUpperCase(), path },
      query: parameters.filter((one) => one.in === 'query').map(({ name }) => name),
    })),
  )
  const others = ['/', '/metrics', '/health/detail', '/reference', '/v1/port/{a}/{b}']
  return [
    ...documented,
    ...others.map((path) => ({ method: 'GET', path, query: [] })),
    ...portCalls.map((call) => ({ method: 'POST', path: `/v1/port/${call}`, query: [] })),
  ]
}

/** Requests that are nearly right, at every operation that there is. */
export function requestAttack(bug?: WireBug, patienceMs = 10_000): () => Promise<Attack> {
  return async () => {
    const bed = await openWireBed(bug)
    const operations = await operationsOf(bed)
    return {
      tryOnce: async (junk) => {
        const pieces = requestOf(junk, junk.pick(operations))
        return bed.judge(await exchange({ port: bed.port, pieces, patienceMs }))
      },
      close: bed.close,
    }
  }
}

const lines = [
  ...[
    'GET /health/live HTTP/1.1',
    'POST /v1/append HTTP/1.1',
    'GET  / HTTP/1.1',
    'GET /',
    'get / http/1.1',
  ],
  ...['GET http://evil/ HTTP/1.1', 'CONNECT a:1 HTTP/1.1', 'GET * HTTP/1.1', 'PRI * HTTP/2.0', ''],
  ...[
    'GET /v1/events HTTP/9.9',
    'GET /\u0000 HTTP/1.1',
    'GET //a/../..//b HTTP/1.1',
    'POST / HTTP/1.0',
  ],
]
const rawHeaders = [
  ...[
    'Host: localhost',
    'Host: a',
    'Content-Length: 5',
    'Content-Length: -1',
    'Content-Length: 1e3',
  ],
  ...['Transfer-Encoding: chunked', 'Transfer-Encoding: gzip, chunked', 'Transfer-Encoding: x'],
  ...[
    ' folded',
    'no colon',
    ': empty',
    'a\u0000b: c',
    'X: \u0001',
    'Content-Type: application/json',
  ],
  ...['Expect: 100-continue', 'Upgrade: websocket', 'Connection: upgrade', 'Connection: close'],
]
const bodies = ['', '5\r\nabcde\r\n0\r\n\r\n', 'zz\r\nx\r\n', '{"type":', 'abcde', 'fffffffff\r\n']

/** Bytes that are hardly a request, or the beginning of one. */
export function byteAttack(bug?: WireBug): () => Promise<Attack> {
  return async () => {
    const bed = await openWireBed(bug)
    const health = async () => {
      const text = 'GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
      const pieces = [Buffer.from(text)]
      const answer = await exchange({ port: bed.port, pieces, patienceMs: 10_000 })
      return typeof answer !== 'string' && answer.status === 200 ? undefined : 'it is not well'
    }
    return {
      tryOnce: async (junk) => {
        const count = junk.below(5)
        const more = Array.from({ length: count }, () => junk.pick(rawHeaders))
        if (junk.below(60) === 0) more.push(`X: ${'x'.repeat(200_000)}`)
        const line = junk.pick(lines)
        const head = [line, 'Host: localhost', ...more, '', ''].join('\r\n')
        const all = Buffer.concat([Buffer.from(head, 'latin1'), Buffer.from(junk.pick(bodies))])
        const cut = junk.below(3) === 0 ? junk.below(all.length + 1) : all.length
        const noise = junk.below(15) === 0 ? junk.bytes(300) : all.subarray(0, cut)
        const half = junk.below(noise.length + 1)
        // Who says nothing more is waited for by the server, for its own bounds: not here.
        const then = junk.below(4) === 0 ? 'leave' : 'end'
        const pieces = [noise.subarray(0, half), noise.subarray(half)]
        const answer = await exchange({ port: bed.port, pieces, then, patienceMs: 10_000 })
        return bed.judge(answer) ?? (junk.below(20) === 0 ? health() : undefined)
      },
      close: bed.close,
    }
  }
}

/** HTTP, well formed and not. */
export function httpTargets(): Target[] {
  return [
    { name: 'HTTP requests', cases: 5000, open: requestAttack() },
    { name: 'bytes for HTTP', cases: 2000, open: byteAttack() },
  ]
}
