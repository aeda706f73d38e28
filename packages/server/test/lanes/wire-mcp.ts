import { PassThrough } from 'node:stream'
import type { Attack, Found, Target } from '../../../eventuali/test/harness/assault.ts'
import type { Junk } from '../../../eventuali/test/harness/junk.ts'
import { createMcpServer, serveMcpStdio } from '../../src/index.ts'
import { openWireBed, type WireBed } from './wire-bed.ts'
import { exchange } from './wire-exchange.ts'
import { wireBody } from './wire-json.ts'
import type { WireBug } from './wire-planted.ts'

const ANSWER_BYTES_MAX = 34 * 1024
const INTERNAL_ERROR = -32603

interface ToolShape {
  readonly name: string
  readonly inputSchema: { readonly properties?: Readonly<Record<string, unknown>> }
}

const methods = [
  ...['tools/call', 'tools/call', 'tools/call', 'tools/call', 'tools/list', 'resources/list'],
  ...['resources/read', 'resources/templates/list', 'prompts/list', 'prompts/get', 'ping'],
  ...['initialize', 'completion/complete', 'logging/setLevel', 'notifications/initialized'],
  ...['notifications/cancelled', 'resources/subscribe', '__proto__', 'constructor', ''],
]
const paramNames = ['name', 'arguments', 'uri', 'cursor', 'level', '_meta', '__proto__', 'ref']
const values: readonly unknown[] = [
  ...['order-1', 'order', 'orders', 'OrderPlaced', '$all', '', '\u0000', '1', -1, 0, 1.5, 2 ** 53],
  ...[true, null, {}, [], { version: 1 }, { position: 1e300 }, ['a'], { __proto__: 1 }],
]

function value(junk: Junk): unknown {
  return junk.below(3) === 0 ? junk.json() : junk.pick(values)
}

function some(junk: Junk, keys: readonly string[]): Record<string, unknown> {
  const pairs = Array.from({ length: junk.below(5) }, () => [junk.pick(keys), value(junk)])
  return Object.fromEntries(pairs)
}

/** One message, nearly right: its tool exists, its arguments have the names that are known. */
function message(junk: Junk, tools: readonly ToolShape[]): unknown {
  const method = junk.below(20) === 0 ? junk.text() : junk.pick(methods)
  const id = junk.below(12) === 0 ? value(junk) : junk.below(1000)
  const { name, inputSchema } = junk.pick(tools)
  const keys = [...Object.keys(inputSchema.properties ?? {}), '__proto__', 'x']
  const params =
    method === 'tools/call'
      ? { name: junk.below(20) === 0 ? junk.text() : name, arguments: some(junk, keys) }
      : some(junk, paramNames)
  const whole = { jsonrpc: '2.0', id, method, params }
  return junk.below(25) === 0 ? [whole, whole] : whole
}

function bodyOf(junk: Junk, tools: readonly ToolShape[]): Buffer {
  const made = message(junk, tools)
  return junk.below(3) === 0 ? wireBody(junk, made) : Buffer.from(JSON.stringify(made))
}

interface Answered {
  readonly error?: { readonly code?: number; readonly message?: string }
  readonly result?: {
    readonly isError?: boolean
    readonly content?: readonly { readonly text?: string }[]
  }
}

/** The SDK's word for a message that does not fit: an internal error that holds what it lacks. */
function isMisfit(text = ''): boolean {
  return text === 'Invalid URL' || /^\[\s*\{[\s\S]*"path": \[/.test(text)
}

/** What is wrong with an answer of the protocol. */
function judged(body: string): Found {
  const answer = JSON.parse(body) as Answered | null
  const { error, result } = answer ?? {}
  if (error?.code === INTERNAL_ERROR && !isMisfit(error.message))
    return `an internal error: ${body.slice(0, 400)}`
  const text = result?.content?.map((block) => block.text ?? '').join('\n') ?? ''
  if (Buffer.byteLength(text) > ANSWER_BYTES_MAX) return `an answer of ${text.length} characters`
  if (/^it failed: /.test(text)) return `nobody planned it: ${text.slice(0, 400)}`
  if (error !== undefined) return { refused: `code ${error.code}` }
  return result?.isError === true ? { refused: 'refused in words' } : undefined
}

async function toolsOf({ store }: WireBed): Promise<readonly ToolShape[]> {
  const { Client } = await import('@modelcontextprotocol/sdk/client/index.js')
  const { InMemoryTransport } = await import('@modelcontextprotocol/sdk/inMemory.js')
  const [ours, theirs] = InMemoryTransport.createLinkedPair()
  const server = createMcpServer(store, { writes: { streams: [] } })
  const client = new Client({ name: 'test', version: '1' })
  await Promise.all([server.connect(ours), client.connect(theirs)])
  const { tools } = await client.listTools()
  await client.close()
  return tools as readonly ToolShape[]
}

/** Messages over HTTP. */
export function mcpAttack(bug?: WireBug, patienceMs = 10_000): () => Promise<Attack> {
  return async () => {
    const bed = await openWireBed(bug)
    const tools = await toolsOf(bed)
    const accept = 'application/json, text/event-stream'
    return {
      tryOnce: async (junk) => {
        const body = bodyOf(junk, tools)
        const lines = ['POST /mcp HTTP/1.1', 'Host: localhost', 'Connection: close']
        const odd = junk.pick(['*/*', 'application/json', 'text/html', ''])
        lines.push(`Accept: ${junk.below(15) === 0 ? odd : accept}`)
        lines.push('Content-Type: application/json', `Content-Length: ${body.length}`)
        if (junk.below(15) === 0) lines.push(`mcp-protocol-version: ${junk.pick(['1', '0x', 'b'])}`)
        const pieces = [Buffer.from([...lines, '', ''].join('\r\n')), body]
        const answer = await exchange({ port: bed.port, pieces, patienceMs })
        const found = bed.judge(answer)
        if (found !== undefined || typeof answer === 'string' || answer.body === '') return found
        return judged(answer.body)
      },
      close: bed.close,
    }
  }
}

/** Lines for a server on a pair of streams; after each it must still answer. */
function stdioAttack(): () => Promise<Attack> {
  return async () => {
    const bed = await openWireBed()
    const tools = await toolsOf(bed)
    const [input, output] = [new PassThrough(), new PassThrough()]
    const writes = { streams: ['order-*'] }
    const served = serveMcpStdio(bed.store, { input, output, writes })
    let held = ''
    let onLine = (_line: string) => {}
    output.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (held + chunk).split('\n')
      held = lines.pop() ?? ''
      for (const line of lines) onLine(line)
    })
    let probes = 0
    return {
      tryOnce: (junk) =>
        new Promise<Found>((resolve) => {
          const probe = `probe-${++probes}`
          let found: Found
          onLine = (line) => {
            if (line.includes(probe)) return resolve(found)
            const judgedLine = judged(line)
            if (typeof found !== 'string') found = judgedLine
          }
          // A line of its own, whatever it holds.
          const line = bodyOf(junk, tools).toString().replaceAll('\n', ' ')
          input.write(`${line}\n`)
          input.write(`${JSON.stringify({ jsonrpc: '2.0', id: probe, method: 'ping' })}\n`)
        }),
      close: async () => {
        input.destroy()
        await served
        await bed.close()
      },
    }
  }
}

/** The Model Context Protocol, over both of its transports. */
export function mcpTargets(): Target[] {
  return [
    { name: 'MCP over HTTP', cases: 2500, open: mcpAttack() },
    { name: 'MCP over streams', cases: 2500, open: stdioAttack() },
  ]
}
