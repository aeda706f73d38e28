import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Random, systemRandom } from '../../src/kernel/index.ts'

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
  /**
   * Three packets of ten are lost. Above TCP nothing is ever missing: what is seen of a loss is
   * that the segment, and all after it, come when it was sent again: after 200 ms, 400 ms, …
   */
  | 'loss'
  /** The other end takes a few bytes at a time, so that buffers fill up behind it. */
  | 'slow reader'

/** What the network does to the bytes that pass. */
export type Passing = 'at once' | Extract<NetworkFault, 'delay' | 'loss' | 'slow reader'>

interface Pair {
  readonly client: Socket
  readonly server: Socket
  frozen: boolean
  /** Set when a request has passed whose reply is to be cut. */
  cutsReply: boolean
  readonly toClient: Way
  readonly toServer: Way
}

/** One direction of a connection: what was sent first arrives first. */
interface Way {
  readonly from: Socket
  readonly to: Socket
  /** Pieces on their way. */
  count: number
  dueMs: number
  last: Promise<void>
}

const delayMs = 500
const lossShare = 0.3
const resendMs = 200
const segmentBytes = 1448
const slowBytes = 512
const slowMs = 10

const wayOf = (from: Socket, to: Socket): Way => ({
  ...{ from, to, count: 0, dueMs: 0, last: Promise.resolve() },
})

/** A TCP proxy that does harm when it is asked to. */
export class FaultyProxy {
  readonly port: number
  readonly #pairs = new Set<Pair>()
  readonly #close: () => Promise<void>
  #cuts: 'nothing' | 'any' | Buffer = 'nothing'
  #passing: Passing = 'at once'
  readonly #random: Random
  #refusing = false
  /** Replies that were cut. */
  cutCount = 0

  private constructor(port: number, random: Random, close: () => Promise<void>) {
    this.port = port
    this.#random = random
    this.#close = close
  }

  /** Listens on a free port in front of `targetPort`. */
  static async open(targetPort: number, random: Random = systemRandom): Promise<FaultyProxy> {
    const listener = createServer({ pauseOnConnect: true })
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
    const address = listener.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    const proxy = new FaultyProxy(address.port, random, async () => {
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

  /** How bytes pass from now on. */
  pass(passing: Passing): void {
    this.#passing = passing
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
    const pair: Pair = {
      ...{ client, server, frozen: false, cutsReply: false },
      toClient: wayOf(server, client),
      toServer: wayOf(client, server),
    }
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
      this.#pass(pair, pair.toServer, chunk)
    })
    server.on('data', (chunk) => {
      if (pair.frozen) return
      if (pair.cutsReply) {
        this.cutCount++
        this.#end(pair)
      } else this.#pass(pair, pair.toClient, chunk)
    })
    server.on('error', end)
    server.on('close', end)
    client.on('close', end)
    client.resume()
  }

  #pass(pair: Pair, way: Way, chunk: Buffer): void {
    const passing = this.#passing
    if (passing === 'at once' && way.count === 0) {
      way.to.write(chunk)
      return
    }
    const size = { 'at once': chunk.length, delay: chunk.length, loss: segmentBytes }
    const step = passing === 'slow reader' ? slowBytes : size[passing]
    for (let at = 0; at < chunk.length; at += step) {
      const now = performance.now()
      const after = passing === 'slow reader' ? Math.max(now, way.dueMs) : now
      // No piece overtakes another.
      way.dueMs = Math.max(way.dueMs, after + this.#lateMs(passing))
      this.#send(pair, way, chunk.subarray(at, at + step), way.dueMs)
    }
  }

  #lateMs(passing: Passing): number {
    if (passing === 'delay') return delayMs
    if (passing === 'slow reader') return slowMs
    let lateMs = 0
    if (passing === 'loss') {
      for (let again = resendMs; this.#random.next() < lossShare; again *= 2) lateMs += again
    }
    return lateMs
  }

  #send(pair: Pair, way: Way, piece: Buffer, dueMs: number): void {
    if (++way.count > 1) way.from.pause()
    way.last = way.last
      .then(() => sleep(Math.max(0, dueMs - performance.now())))
      .then(() => {
        if (this.#pairs.has(pair) && !pair.frozen) way.to.write(piece)
        if (--way.count === 0) way.from.resume()
      })
  }

  #end(pair: Pair): void {
    this.#pairs.delete(pair)
    pair.client.resetAndDestroy()
    pair.server.destroy()
  }
}
