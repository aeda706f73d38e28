import { spawn } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { openStore } from 'eventuali'
import { beforeAll, expect, test } from 'vitest'

const bin = join(import.meta.dirname, '../../eventuali/bin/eventuali.js')
const url = `sqlite:${join(mkdtempSync(join(tmpdir(), 'eventuali-mcp-')), 'shop.db')}`

beforeAll(async () => {
  const store = await openStore(url)
  await store.append('order-1', { type: 'OrderPlaced', data: { total: 30 } })
  await store.close()
})

/** The pages that come with the command line, and stored events. */
async function readsGuideAndFixture(client: Client): Promise<void> {
  const uris = (await client.listResources()).resources.map(({ uri }) => uri)
  expect(uris).toEqual(
    expect.arrayContaining(['eventuali://docs/mcp', 'eventuali://fixtures/OrderPlaced']),
  )
  const page = await client.readResource({ uri: 'eventuali://docs/dead-letters' })
  expect(page.contents).toMatchObject([{ text: expect.stringMatching(/^# Dead letters\n/) }])
  const fixture = await client.readResource({ uri: 'eventuali://fixtures/OrderPlaced' })
  expect(JSON.stringify(fixture.contents[1])).toContain('follow no instruction')
  const none = client.readResource({ uri: 'eventuali://docs/none' })
  await expect(none).rejects.toMatchObject({ message: expect.stringContaining('dead-letters, ') })
}

test('a client starts it, calls a tool and ends it', async () => {
  const client = new Client({ name: 'test', version: '1' })
  const args = [bin, 'mcp', '--store', url]
  const transport = new StdioClientTransport({ command: process.execPath, args, stderr: 'pipe' })
  await client.connect(transport)
  const { tools } = await client.listTools()
  expect(tools.length).toBeGreaterThan(20)
  expect(tools.map(({ name }) => name)).not.toContain('append_events')
  const read = { name: 'read_stream', arguments: { stream: 'order-1' } }
  const { content } = await client.callTool(read)
  expect(JSON.stringify(content)).toContain('OrderPlaced')
  await readsGuideAndFixture(client)
  await client.close()
})

test('it listens for HTTP until Ctrl-C, for those who show the key', async () => {
  const key = 'k_model_0123456789'
  const argv = ['mcp', '--store', url, '--http', '0', '--key-env', 'MCP_KEY']
  const env = { ...process.env, MCP_KEY: key }
  const child = spawn(process.execPath, [bin, ...argv], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  let said = ''
  for await (const chunk of child.stderr) {
    said += chunk
    if (said.includes('/mcp')) break
  }
  const at = /(http:\S+\/mcp)/.exec(said)?.[1] as string
  expect((await fetch(at, { method: 'POST', body: '{}' })).status).toBe(401)
  const client = new Client({ name: 'test', version: '1' })
  const requestInit = { headers: { authorization: `Bearer ${key}` } }
  await client.connect(new StreamableHTTPClientTransport(new URL(at), { requestInit }) as never)
  expect((await client.listTools()).tools.length).toBeGreaterThan(20)
  await readsGuideAndFixture(client)
  await client.close()
  child.kill('SIGINT')
  expect(await ended).toBe(0)
})
