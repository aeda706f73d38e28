import { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js'
import { readJson } from './body.ts'
import { Failure } from './failure.ts'
import { createMcpServer } from './mcp/index.ts'
import type { RequestContext } from './parts.ts'
import { includes } from './role.ts'

/** Arguments of tools are short. */
const BODY_BYTES_MAX = 1024 * 1024

/**
 * Answers one message of a client over HTTP (Streamable HTTP, without sessions). Who may only read
 * is offered no tool that writes, and writes are made in the name of whoever asks.
 */
export async function answerMcp(context: RequestContext): Promise<Response> {
  const { request, principal, parts, signal } = context
  const { mcp = {} } = parts.options
  const writes =
    mcp.writes !== undefined && includes(principal.role, 'write')
      ? { ...mcp.writes, actor: principal.name }
      : undefined
  if (request.method !== 'POST') {
    throw new Failure('METHOD_NOT_ALLOWED', 'use POST; there are no sessions to listen to or end', {
      headers: { allow: 'POST' },
    })
  }
  const { value: parsedBody } = await readJson(request, ['application/json'], BODY_BYTES_MAX)
  const server = createMcpServer(parts.store, { ...mcp, writes })
  // One message, one answer: nothing is kept from call to call that would have to be bounded.
  const transport = new WebStandardStreamableHTTPServerTransport({ enableJsonResponse: true })
  const close = () => void server.close().catch(() => {})
  signal.addEventListener('abort', close, { once: true })
  try {
    await server.connect(transport)
    return await transport.handleRequest(request, { parsedBody })
  } finally {
    signal.removeEventListener('abort', close)
    await server.close()
  }
}
