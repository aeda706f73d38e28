import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** A feed that counts what it gets, and looks whether it is whole. */
export class FeedClient {
  events = 0
  last = 0
  /** Events that came out of order, or twice. */
  faults = 0
  isEnded = false
  readonly #socket: Socket
  #held = ''

  constructor(socket: Socket) {
    this.#socket = socket
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => this.#take(text))
    socket.on('error', () => {})
    socket.on('close', () => {
      this.isEnded = true
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(text: string): void {
    this.#held += text
    const frames = this.#held.split('\n\n')
    this.#held = frames.pop() ?? ''
    for (const frame of frames) {
      const found = /id: [^\n]*:(\d+)\ndata:/.exec(frame)
      if (found === null) continue
      const position = Number(found[1])
      if (position <= this.last) this.faults++
      this.last = position
      this.events++
    }
  }
}

/** A socket on which a feed was asked for. */
async function ask(port: number, path: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  return socket
}

/** So many feeds of what comes from now on, once each of them is open. */
export async function openFeeds(port: number, count: number): Promise<FeedClient[]> {
  const clients: FeedClient[] = []
  for (let at = 0; at < count; at += 50) {
    const some = Array.from({ length: Math.min(50, count - at) }, () => ask(port, '/v1/feed'))
    clients.push(...(await Promise.all(some)).map((socket) => new FeedClient(socket)))
  }
  return clients
}

/** Feeds from the beginning that never take anything. */
export async function openStalled(port: number, count: number): Promise<Socket[]> {
  const sockets = await Promise.all(
    Array.from({ length: count }, () => ask(port, '/v1/feed?after=0')),
  )
  for (const socket of sockets) {
    socket.pause()
    socket.on('error', () => {})
  }
  return sockets
}
