import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** Told of each event: its position and its text. */
export type OnEvent = (position: number, frame: string) => void

/** A feed that counts what it gets, and looks whether it is in order. */
export class FeedClient {
  events = 0
  /** Position of the last event. */
  last = 0
  /** What goes back as Last-Event-ID. */
  lastId = ''
  /** Events that came out of order, or twice. */
  faults = 0
  isEnded = false
  readonly #socket: Socket
  onEvent: OnEvent
  #held = ''

  constructor(socket: Socket, onEvent: OnEvent = () => {}) {
    this.#socket = socket
    this.onEvent = onEvent
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

  /** Takes what a stalled one has left in the socket. */
  resume(): void {
    this.#socket.resume()
  }

  #take(text: string): void {
    this.#held += text
    const frames = this.#held.split('\n\n')
    this.#held = frames.pop() ?? ''
    for (const frame of frames) {
      const found = /id: ([^\n]*:(\d+))\ndata:/.exec(frame)
      if (found === null) continue
      const position = Number(found[2])
      if (position <= this.last) this.faults++
      this.last = position
      this.lastId = found[1] as string
      this.events++
      this.onEvent(position, frame)
    }
  }
}

/** A socket on which a feed was asked for. */
async function ask(port: number, path: string, lastId?: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  const resumes = lastId === undefined ? '' : `Last-Event-ID: ${lastId}\r\n`
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n${resumes}\r\n`)
  return socket
}

/** So many feeds of what comes from now on. */
export async function openFeeds(
  port: number,
  count: number,
  onEvent?: OnEvent,
): Promise<FeedClient[]> {
  const clients: FeedClient[] = []
  for (let at = 0; at < count; at += 50) {
    const some = Array.from({ length: Math.min(50, count - at) }, () => ask(port, '/v1/feed'))
    clients.push(...(await Promise.all(some)).map((socket) => new FeedClient(socket, onEvent)))
  }
  return clients
}

/** Feeds from the beginning that take nothing until they are told to. */
export async function openStalled(
  port: number,
  count: number,
  onEvent?: OnEvent,
): Promise<FeedClient[]> {
  const sockets = await Promise.all(
    Array.from({ length: count }, () => ask(port, '/v1/feed?after=0')),
  )
  return sockets.map((socket) => {
    const client = new FeedClient(socket, onEvent)
    socket.pause()
    return client
  })
}

/** Goes on behind the last event that was taken. */
export async function resumeFeed(
  port: number,
  lastId: string,
  onEvent?: OnEvent,
): Promise<FeedClient> {
  return new FeedClient(await ask(port, '/v1/feed', lastId), onEvent)
}
