import type { RecordedEvent } from 'eventuali'
import { cloudFromEvent } from './cloud-events.ts'
import type { RequestContext } from './parts.ts'
import { mediaTypes } from './shapes.ts'

/** Part of a read, as the texts of its events. */
export interface EventTexts {
  readonly texts: readonly string[]
  readonly last: RecordedEvent | undefined
  /** Whether it ended early, at a limit. */
  readonly isCut: boolean
}

/** Whether the caller would rather have CloudEvents. */
export function wantsCloudEvents(request: Request): boolean {
  const accept = request.headers.get('accept') ?? ''
  return accept.includes(mediaTypes.cloudEvents)
}

/**
 * Takes events until the page is full; each is made text once. It ends behind a whole stored event:
 * what an upcaster has made of one stays together, since nothing could go on in its midst.
 */
export async function collectEvents(
  read: (limit: number) => AsyncIterable<RecordedEvent>,
  countMax: number,
  { parts, request }: RequestContext,
): Promise<EventTexts> {
  const base = parts.options.cloudEventSource ?? ''
  const isCloud = wantsCloudEvents(request)
  const textOf = (event: RecordedEvent): string =>
    JSON.stringify(isCloud ? cloudFromEvent(event, base) : event)
  // One more than wanted shows whether the last of them is whole; more where one is very many.
  for (let asked = countMax + 1; ; asked *= 2) {
    const texts: string[] = []
    let bytes = 0
    let last: RecordedEvent | undefined
    let wholeCount = 0
    let lastWhole: RecordedEvent | undefined
    const whole = () => ({ texts: texts.slice(0, wholeCount), last: lastWhole, isCut: true })
    for await (const event of read(asked)) {
      const text = textOf(event)
      if (last !== undefined && last.position !== event.position) {
        wholeCount = texts.length
        lastWhole = last
        const isFull = texts.length >= countMax || bytes + text.length > parts.limits.pageBytesMax
        if (isFull) return whole()
      }
      bytes += text.length
      texts.push(text)
      last = event
    }
    // A full one may be gone on behind, where more may come.
    if (texts.length < asked) return { texts, last, isCut: texts.length >= countMax }
    if (wholeCount > 0) return whole()
  }
}

/** The answer for a page of events: one object, or a batch of CloudEvents with a Link. */
export function eventsResponse(
  { texts }: EventTexts,
  next: string | undefined,
  { request }: RequestContext,
  headers: Record<string, string> = {},
): Response {
  const all = { ...headers, vary: 'accept' } as Record<string, string>
  if (next !== undefined) {
    const url = new URL(request.url)
    url.searchParams.set('cursor', next)
    // Wherever it is mounted: relative to what was asked for.
    all.link = `<${url.search}>; rel="next"`
  }
  if (wantsCloudEvents(request)) {
    all['content-type'] = mediaTypes.cloudEvents
    return new Response(`[${texts.join(',')}]`, { headers: all })
  }
  all['content-type'] = 'application/json'
  const tail = next === undefined ? '' : `,"next":${JSON.stringify(next)}`
  return new Response(`{"events":[${texts.join(',')}]${tail}}`, { headers: all })
}
