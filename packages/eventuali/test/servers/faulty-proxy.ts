import { connect, createServer, type Socket } from 'node:net'

/** What the network between store and server does wrong. */
export type NetworkFault =
  /** The request arrives, the reply does not: the connection is reset instead. */
  | 'cut reply'
  /** Both sides are reset at once. */
  | 'reset'
  /** Nothing arrives any more, and nobody is told. */
  | 'half-open'
  /** Everything arrives half a second late. */
  | 'delay'

interface Pair {
  readonly client: Socket
  readonly server: Socket
  frozen: boolean
  /** Set when a request has passed whose reply is to be cut. */
  cutsReply: boolean
}

const delayMs = 500

/** A TCP proxy that does harm when it is asked to. */
export class FaultyProxy {
  readonly port: number
  readonly #pairs = new Set<Pair>()
  readonly #close: () => Promise<void>
  #cuts: 'nothing' | 'any' | Buffer = 'nothing'
  #slow = false
  #refusing = false
  /** Replies that were cut. */
  cutCount = 0

  private constructor(port: number, close: () => Promise<void>) {
    this.port = port
    this.#close = close
  }

  /** Listens on a free port in front of `targetPort`. */
  static async open(targetPort: number): Promise<FaultyProxy> {
    const listener = createServer({ pauseOnConnect: true })
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
    const address = listener.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    const proxy = new FaultyProxy(address.port, async () => {
      await new Promise<void>((resolve) => {
        listener.close(() => resolve())
        for (const pair of proxy.#pairs) proxy.#end(pair)
      })
    })
    listener.on('connection', (client) => proxy.#accept(client, targetPort))
    return proxy
  }

  /** The same url, through the proxy. */
  through(url: string): string {
    const own = new URL(url)
    own.port = String(this.port)
    return own.href
  }

  /** The reply to the next request is cut; once. */
  cutNextReply(): void {
    this.#cuts = 'any'
  }

  /** The reply to the next request that holds this text is cut, whatever else passes before it. */
  cutReplyTo(text: string): void {
    this.#cuts = Buffer.from(text)
  }

  /** Lets nobody in, and resets those that are. */
  refuse(refusing: boolean): void {
    this.#refusing = refusing
    if (refusing) this.reset()
  }

  reset(): void {
    for (const pair of this.#pairs) this.#end(pair)
  }

  /** Connections that are there now go silent for ever. */
  freeze(): void {
    for (const pair of this.#pairs) pair.frozen = true
  }

  slow(slow: boolean): void {
    this.#slow = slow
  }

  close(): Promise<void> {
    return this.#close()
  }

  #accept(client: Socket, targetPort: number): void {
    client.on('error', () => {})
    if (this.#refusing) {
      client.resetAndDestroy()
      return
    }
    const server = connect(targetPort, '127.0.0.1')
    const pair: Pair = { client, server, frozen: false, cutsReply: false }
    this.#pairs.add(pair)
    const end = (): void => {
      if (!pair.frozen) this.#end(pair)
    }
    client.on('data', (chunk) => {
      if (pair.frozen) return
      if (this.#cuts === 'any' || (this.#cuts !== 'nothing' && chunk.includes(this.#cuts))) {
        this.#cuts = 'nothing'
        pair.cutsReply = true
      }
      this.#pass(pair, server, chunk)
    })
    server.on('data', (chunk) => {
      if (pair.frozen) return
      if (pair.cutsReply) {
        this.cutCount++
        this.#end(pair)
      } else this.#pass(pair, client, chunk)
    })
    server.on('error', end)
    server.on('close', end)
    client.on('close', end)
    client.resume()
  }

  #pass(pair: Pair, to: Socket, chunk: Buffer): void {
    if (!this.#slow) {
      to.write(chunk)
      return
    }
    setTimeout(() => {
      if (this.#pairs.has(pair) && !pair.frozen) to.write(chunk)
    }, delayMs)
  }

  #end(pair: Pair): void {
    this.#pairs.delete(pair)
    pair.client.resetAndDestroy()
    pair.server.destroy()
  }
}
