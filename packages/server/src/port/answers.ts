import type { RecordedEvent, StreamInfo } from 'eventuali'
import type { AppendOutcome } from 'eventuali/ports'
import type { Limits } from '../options.ts'

/** An event as it travels: its times in milliseconds. */
export function wireEvent(event: RecordedEvent): object {
  return { ...event, time: event.time.getTime(), recordedAt: event.recordedAt.getTime() }
}

/** What is known of a stream, as it travels. */
export function wireInfo({ firstTime, lastTime, ...info }: StreamInfo): object {
  return { ...info, firstTime: firstTime?.getTime(), lastTime: lastTime?.getTime() }
}

/** What came of an append, as it travels. */
export function wireOutcome(outcome: AppendOutcome): unknown {
  if (!outcome.ok) {
    if (outcome.reason !== 'condition-failed') return outcome
    return { ...outcome, events: outcome.events.map(wireEvent) }
  }
  const entries = outcome.entries.map((entry) =>
    entry.duplicate === undefined ? entry : { ...entry, duplicate: entry.duplicate.map(wireEvent) },
  )
  return { ok: true, entries }
}

/** One part of a read as JSON: so many events as fit, and whether there may be more. */
export async function wirePage(
  pages: AsyncIterable<readonly RecordedEvent[]>,
  asked: number | undefined,
  countMax: number,
  { pageBytesMax }: Limits,
): Promise<string> {
  const texts: string[] = []
  let bytes = 0
  for await (const page of pages) {
    for (const event of page) {
      const text = JSON.stringify(wireEvent(event))
      if (texts.length > 0 && bytes + text.length > pageBytesMax) return pageText(texts, true)
      bytes += text.length
      texts.push(text)
      if (texts.length >= countMax) return pageText(texts, asked === undefined || asked > countMax)
    }
  }
  return pageText(texts, false)
}

function pageText(texts: readonly string[], more: boolean): string {
  return `{"events":[${texts.join(',')}],"more":${more}}`
}
