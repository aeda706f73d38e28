import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { Store } from 'eventuali'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { hashApiKey, type RunningServer, serve } from './index.ts'
import { callTool, definitions, openShop } from './mcp/shop.test-support.ts'

const keys = { reader: 'k_reader_4f1c9d2e7a8b', writer: 'k_writer_4f1c9d2e7a8b' }
let store: Store
let running: RunningServer

beforeAll(async () => {
  store = await openShop()
  running = await serve(store, {
    port: 0,
    auth: {
      keys: [
        { name: 'reader', role: 'read', hash: hashApiKey(keys.reader) },
        { name: 'writer', role: 'write', hash: hashApiKey(keys.writer) },
      ],
    },
    mcp: { definitions, writes: { streams: ['order-*'] } },
  })
})
afterAll(async () => {
  await running.close()
  await store.close()
})

async function connected(key: string): Promise<Client> {
  const client = new Client({ name: 'test', version: '1' })
  const headers = { authorization: `Bearer ${key}` }
  const url = new URL('/mcp', running.url)
  // The SDK's own types of transports do not agree with exact optional properties.
  const transport = new StreamableHTTPClientTransport(url, { requestInit: { headers } })
  await client.connect(transport as never)
  return client
}

test('tools are called over HTTP, and who reads is offered none that writes', async () => {
  const [reader, writer] = await Promise.all([connected(keys.reader), connected(keys.writer)])
  const namesOf = async (client: Client) => (await client.listTools()).tools.map(({ name }) => name)
  expect(await namesOf(reader)).not.toContain('append_events')
  expect(await namesOf(writer)).toContain('append_events')
  const { items } = await callTool(reader, 'read_stream', { stream: 'order-1' })
  expect(items).toHaveLength(2)

  const events = [{ type: 'OrderPlaced', data: { customer: 'eve', total: 1 } }]
  const target = { stream: 'order-8', expectedVersion: 0, events, dryRun: false }
  expect((await callTool(reader, 'append_events', target)).isError).toBe(true)
  expect((await callTool(writer, 'append_events', target)).facts).toMatchObject({ version: 1 })
  const [stored] = await store.readStream('order-8').toArray()
  expect(stored?.metadata.actor).toBe('writer')
  await Promise.all([reader.close(), writer.close()])
})

const message = { jsonrpc: '2.0', id: 1, method: 'tools/list' }
const accept = 'application/json, text/event-stream'

test.each<[what: string, status: number, headers: Record<string, string>, init?: RequestInit]>([
  ['without a key', 401, {}],
  ['with a wrong key', 401, { authorization: 'Bearer k_nobody_4f1c9d2e7a8b' }],
  ['from a page of another origin', 403, { origin: 'https://evil.example' }],
  ['with a GET', 405, {}, { method: 'GET' }],
  ['with a DELETE', 405, {}, { method: 'DELETE' }],
  ['with no JSON', 400, {}, { body: '{' }],
  ['with another media type', 415, { 'content-type': 'text/plain' }],
  ['with too much', 413, {}, { body: JSON.stringify('x'.repeat(1024 * 1024)) }],
])('is refused %s', async (_what, status, headers, init = {}) => {
  const authorization = status === 401 ? {} : { authorization: `Bearer ${keys.reader}` }
  const answer = await fetch(new URL('/mcp', running.url), {
    method: 'POST',
    ...(init.method === undefined || init.method === 'POST'
      ? { body: JSON.stringify(message) }
      : {}),
    ...init,
    headers: { 'content-type': 'application/json', accept, ...authorization, ...headers },
  })
  expect(answer.status).toBe(status)
  expect(answer.headers.get('content-type')).toContain('json')
})

test('is refused under a name that was rebound to this machine', async () => {
  const request = new Request('http://evil.example/mcp', {
    method: 'POST',
    body: JSON.stringify(message),
    headers: { 'content-type': 'application/json', accept, host: 'evil.example' },
  })
  expect((await running.server.fetch(request)).status).toBe(403)
})
