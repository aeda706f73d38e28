import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

/** What the log's own head says about it: events by activity, events and cases. */
export function statedCounts(file: string): {
  readonly activities: ReadonlyMap<string, number>
  readonly events: number
  readonly cases: number
} {
  const text = gunzipSync(readFileSync(file)).toString()
  const named = /<int key="meta_concept:named_events_total"[^>]*>([\s\S]*?)<\/int>/.exec(text)?.[1]
  const lines = [...(named ?? '').matchAll(/<int key="([^"]+)" value="(\d+)"\/>/g)]
  const one = (key: string) =>
    Number(new RegExp(`<int key="${key}" value="(\\d+)"`).exec(text)?.[1] ?? 0)
  return {
    activities: new Map(lines.map(([, name = '', value]) => [name, Number(value)])),
    events: one('meta_general:events_total'),
    cases: one('meta_general:traces_total'),
  }
}
