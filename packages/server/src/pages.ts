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

/** Takes events until the page is full; each is made text once. */
export async function collectEvents(
  events: AsyncIterable<RecordedEvent>,
  countMax: number,
  { parts, request }: RequestContext,
): Promise<EventTexts> {
  const base = parts.options.cloudEventSource ?? ''
  const isCloud = wantsCloudEvents(request)
  const found: string[] = []
  let bytes = 0
  let last: RecordedEvent | undefined
  for await (const event of events) {
    const text = JSON.stringify(isCloud ? cloudFromEvent(event, base) : event)
    // At least one, or nobody would ever come past a large one.
    if (found.length > 0 && bytes + text.length > parts.limits.pageBytesMax) {
      return { texts: found, last, isCut: true }
    }
    bytes += text.length
    found.push(text)
    last = event
  }
  return { texts: found, last, isCut: found.length >= countMax }
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
