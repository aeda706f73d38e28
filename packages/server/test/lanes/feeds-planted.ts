import type { EventualiServer } from '../../src/index.ts'

/** Bugs that the harness must find. */
export const feedBugs = ['unbounded', 'waits for all', 'drops for the slow'] as const
export type FeedBug = (typeof feedBugs)[number]

type Body = ReadableStream<Uint8Array>
type Reader = ReadableStreamDefaultReader<Uint8Array>

async function each(reader: Reader, take: (chunk: Uint8Array) => unknown): Promise<void> {
  for (;;) {
    const { value, done } = await reader.read()
    if (done) return
    await take(value)
  }
}

/** Reads on as fast as it can, and keeps what the client has not taken. */
function unbounded(reader: Reader): Body {
  const cancel = () => reader.cancel()
  const start = (controller: ReadableStreamDefaultController<Uint8Array>) => {
    void each(reader, (chunk) => controller.enqueue(chunk)).catch(() => {})
  }
  return new ReadableStream({ start, cancel })
}

let everybody: Promise<unknown> = Promise.resolve()

/** One after the other: whoever does not take its piece holds up all that come behind. */
function waitsForAll(reader: Reader): Body {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
  const writer = writable.getWriter()
  const pass = (chunk: Uint8Array) => {
    const mine = everybody.then(() => writer.write(chunk))
    everybody = mine.catch(() => {})
    return mine
  }
  const end = () => reader.cancel()
  void writer.closed.catch(end)
  void each(reader, pass).catch(end)
  return readable
}

/** Leaves out what comes while the client is not waiting. */
function dropsForTheSlow(reader: Reader): Body {
  const cancel = () => reader.cancel()
  const start = (controller: ReadableStreamDefaultController<Uint8Array>) => {
    const pass = (chunk: Uint8Array) => {
      if ((controller.desiredSize ?? 0) > 0) controller.enqueue(chunk)
    }
    void each(reader, pass).catch(() => {})
  }
  return new ReadableStream({ start, cancel })
}

const wrap: Readonly<Record<FeedBug, (reader: Reader) => Body>> = {
  unbounded,
  'waits for all': waitsForAll,
  'drops for the slow': dropsForTheSlow,
}

/** Puts a bug between a server and its feeds. */
export function withFeedBug(server: EventualiServer, bug: FeedBug): void {
  const { app } = server
  const honest = app.fetch
  app.fetch = async (request, ...rest) => {
    const answer = await honest(request, ...rest)
    if (!new URL(request.url).pathname.endsWith('/feed') || answer.body === null) return answer
    return new Response(wrap[bug](answer.body.getReader()), answer)
  }
}
