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
 * ends or the signal is aborted; what was asked before the input's end is answered first. Nothing
 * else may write to the output meanwhile.
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
  const transport = new StdioServerTransport(input, output)
  await server.connect(transport)
  const asked = new Unanswered(transport)
  await ended
  await asked.answered(signal)
  await server.close()
}

/** The longest that answers may take once nobody asks any more. */
const ANSWERS_MS_MAX = 60_000

type RequestId = string | number

/** What a client has asked and not been told yet. */
class Unanswered {
  readonly #ids = new Set<RequestId>()
  readonly #through = Promise.withResolvers<void>()
  #isOver = false

  constructor(transport: StdioServerTransport) {
    const { onmessage, send } = transport
    transport.onmessage = (message) => {
      if ('method' in message && 'id' in message) this.#ids.add(message.id)
      // Whoever takes a question back gets no answer.
      if ('method' in message && message.method === 'notifications/cancelled') {
        this.#told(message.params?.requestId as RequestId | undefined)
      }
      onmessage?.(message)
    }
    transport.send = async (message) => {
      await send.call(transport, message)
      if (!('method' in message)) this.#told(message.id)
    }
  }

  /** Resolves when all is answered, and at the latest after a minute. */
  async answered(signal: AbortSignal | undefined): Promise<void> {
    this.#isOver = true
    if (this.#ids.size === 0) return
    const late = AbortSignal.timeout(ANSWERS_MS_MAX)
    const stop = signal === undefined ? late : AbortSignal.any([signal, late])
    if (stop.aborted) return
    const onStop = () => this.#through.resolve()
    stop.addEventListener('abort', onStop, { once: true })
    await this.#through.promise
    stop.removeEventListener('abort', onStop)
  }

  #told(id: RequestId | undefined): void {
    if (id !== undefined) this.#ids.delete(id)
    if (this.#isOver && this.#ids.size === 0) this.#through.resolve()
  }
}
