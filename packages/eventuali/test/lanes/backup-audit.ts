import { isDeepStrictEqual } from 'node:util'
import type { RecordedEvent, Store, StreamInfo } from '../../src/index.ts'

const logOf = (store: Store): Promise<RecordedEvent[]> =>
  store.readAll({ includeArchived: true }).toArray()

const streamsOf = async (store: Store): Promise<ReadonlyMap<string, StreamInfo>> =>
  new Map((await store.streams().toArray()).map((info) => [info.stream, info]))

/** An event that somebody was handed, whatever became of it. */
export type Handed = Pick<RecordedEvent, 'stream' | 'version' | 'position'>

/**
 * What keeps a restored store from being the beginning of another one, up to a position; empty
 * when nothing does. Nobody writes to either. What the source has removed since may be there still.
 */
export async function prefixFaults(
  source: Store,
  restored: Store,
  upTo: number,
  handed: readonly Handed[] = [],
): Promise<string[]> {
  const wrong: string[] = []
  const [log, found] = [await logOf(source), await logOf(restored)]
  const there = new Map(found.map((event) => [event.position, event]))
  const wanted = new Map(log.map((event) => [event.position, event]))
  const heads = await streamsOf(source)
  const foundHeads = await streamsOf(restored)
  for (const event of log) {
    if (event.position > upTo) break
    const same = there.get(event.position)
    if (same === undefined) wrong.push(`position ${event.position} is missing`)
    else if (!isDeepStrictEqual(same, event)) wrong.push(`position ${event.position} differs`)
  }
  let last = 0
  for (const { position, stream, version } of found) {
    if (position <= last) wrong.push(`position ${position} comes after ${last}`)
    last = position
    if (position > upTo) wrong.push(`position ${position} is beyond ${upTo}`)
    const isRemoved = (heads.get(stream)?.firstVersion ?? 0) > version
    if (!wanted.has(position) && !isRemoved) wrong.push(`position ${position} was never there`)
  }
  // A stream that is there has all the versions that it had: the next one is never used twice.
  for (const { stream, version, position } of handed) {
    const head = foundHeads.get(stream)
    const isShort = position <= upTo && head !== undefined && head.version < version
    if (isShort) wrong.push(`stream ${stream} ends at ${head.version}, and had ${version}`)
  }
  const lastOf = new Map(log.map(({ stream, position }) => [stream, position]))
  for (const [stream, head] of heads) {
    if ((lastOf.get(stream) ?? upTo + 1) > upTo) continue
    const same = foundHeads.get(stream)
    if (!isDeepStrictEqual(same, head)) wrong.push(`stream ${stream} is in another state`)
  }
  const { problems } = await restored.verify()
  wrong.push(...problems.map(({ kind, reason }) => `verify: ${kind}: ${reason}`))
  return wrong
}

/** What a consumer that goes on in a restored store is handed twice, late or not at all. */
export async function resumeFaults(restored: Store): Promise<string[]> {
  const status = await restored.subscriptions.status('mails')
  if (status === undefined) return ['the subscription is not there']
  const log = await restored.readAll({ after: status.position }).toArray()
  const wanted = log.map(({ position }) => position)
  const seen: number[] = []
  if (wanted.length > 0) {
    const consumer = restored.subscribe({ name: 'mails' }, async ({ position }) => {
      seen.push(position)
    })
    await Promise.race([
      consumer.done,
      new Promise<void>((resolve, reject) => {
        const until = performance.now() + 30_000
        const look = (): void => {
          if (seen.length >= wanted.length) resolve()
          else if (performance.now() > until) reject(new Error('the consumer does not go on'))
          else setTimeout(look, 2)
        }
        look()
      }),
    ])
    await consumer.stop()
  }
  return isDeepStrictEqual(seen, wanted) ? [] : [`handed ${seen.length} of ${wanted.length}`]
}
