import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js'
import type { Store } from 'eventuali'
import { createMcpServer, type McpOptions } from './server.ts'

/** Options of `serveMcpStdio`. */
export interface McpStdioOptions extends McpOptions {
  readonly input: Readable
  readonly output: Writable
  /** Ends it. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Answers one client that speaks over a pair of streams, a line for each message, until its input
 * ends or the signal is aborted. Nothing else may write to the output meanwhile.
 *
 * @example
 * ```ts
 * import { PassThrough } from 'node:stream'
 * import { serveMcpStdio } from '@eventuali/server'
 * import { openStore } from 'eventuali'
 *
 * await using store = await openStore('memory:')
 * const [input, output] = [new PassThrough(), new PassThrough()]
 * input.end() // a client that leaves at once
 * await serveMcpStdio(store, { input, output })
 * ```
 */
export async function serveMcpStdio(store: Store, options: McpStdioOptions): Promise<void> {
  const { input, output, signal } = options
  const server = createMcpServer(store, options)
  const ended = once(input, 'close', { signal }).catch(() => undefined)
  await server.connect(new StdioServerTransport(input, output))
  await ended
  await server.close()
}
