/** One event of a feed as it came. */
export interface SseFrame {
  readonly id: string | undefined
  readonly event: string
  // biome-ignore lint/suspicious/noExplicitAny: tests look into events of all shapes.
  readonly data: any
  readonly text: string
}

function frameOf(text: string): SseFrame {
  const fields = new Map<string, string>()
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trimStart())
  }
  const data = fields.get('data')
  return {
    id: fields.get('id'),
    event: fields.get('event') ?? 'message',
    data: data === undefined ? undefined : JSON.parse(data),
    text,
  }
}

/** The frames of a feed, signs of life among them. */
export async function* framesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<SseFrame> {
  const decoder = new TextDecoder()
  let held = ''
  for await (const chunk of body) {
    held += decoder.decode(chunk, { stream: true })
    const parts = held.split('\n\n')
    held = parts.pop() ?? ''
    for (const part of parts) yield frameOf(part)
  }
}

/** Takes events of a feed until there are so many; then leaves. */
export async function takeEvents(response: Response, count: number): Promise<SseFrame[]> {
  const found: SseFrame[] = []
  if (response.body === null) return found
  for await (const frame of framesOf(response.body as ReadableStream<Uint8Array>)) {
    if (frame.data !== undefined && frame.event === 'message') found.push(frame)
    if (found.length >= count) break
  }
  return found
}
