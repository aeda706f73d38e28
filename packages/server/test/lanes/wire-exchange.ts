import { connect } from 'node:net'

/** What came back for some bytes. */
export interface Exchanged {
  /** Undefined where the connection was closed without a word. */
  readonly status: number | undefined
  readonly mediaType: string
  readonly body: string
}

/** How the bytes are sent. */
export interface Sending {
  readonly port: number
  /** Sent one after the other, each by itself. */
  readonly pieces: readonly Buffer[]
  /** What the client does then: waits for the answer, ends its half, or goes. */
  readonly then?: 'wait' | 'end' | 'leave' | undefined
  readonly patienceMs: number
}

function unchunked(text: string): string {
  let body = ''
  let at = 0
  for (;;) {
    const end = text.indexOf('\r\n', at)
    const size = Number.parseInt(text.slice(at, end), 16)
    if (end === -1 || !(size > 0)) return body
    body += text.slice(end + 2, end + 2 + size)
    at = end + 4 + size
  }
}

function parsed(text: string): Exchanged {
  // What comes before it may be "100 Continue".
  const from = text.replace(/^HTTP\/1\.1 1\d\d[\s\S]*?\r\n\r\n/, '')
  const [, status] = /^HTTP\/1\.[01] (\d{3})/.exec(from) ?? []
  const end = from.indexOf('\r\n\r\n')
  const head = end === -1 ? from : from.slice(0, end)
  const [, mediaType = ''] = /^content-type: *([^;\r\n]*)/im.exec(head) ?? []
  const rest = end === -1 ? '' : from.slice(end + 4)
  // What the connection was used for after it is another answer.
  const [, length] = /^content-length: *(\d+)/im.exec(head) ?? []
  const isChunked = /^transfer-encoding: *chunked/im.test(head)
  const body = Buffer.from(
    isChunked ? unchunked(rest) : rest.slice(0, Number(length ?? rest.length)),
    'latin1',
  ).toString()
  return { status: status === undefined ? undefined : Number(status), mediaType, body }
}

/**
 * Sends bytes over a connection of their own, and gives the answer; a text when there is neither
 * an answer nor an end.
 */
export function exchange({ port, pieces, then, patienceMs }: Sending): Promise<Exchanged | string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    const done = (found: Exchanged | string) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(found)
    }
    const timer = setTimeout(
      () => done(`neither an answer nor an end in ${patienceMs} ms`),
      patienceMs,
    )
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => {
      text += chunk
      // A feed has no end.
      if (parsed(text).mediaType === 'text/event-stream') done(parsed(text))
    })
    // A server that refuses may close while it is still being sent to.
    socket.on('error', () => done(parsed(text)))
    socket.on('close', () => done(parsed(text)))
    for (const piece of pieces) socket.write(piece)
    if (then === 'end') socket.end()
    if (then === 'leave') setImmediate(() => done(parsed(text)))
  })
}
