import { createHash } from 'node:crypto'
import { collection, defineEvents, defineProjection, openStore, type } from '../../src/index.ts'
import type { RaceSubscriberReport } from './race-subscribers.ts'

/** What identifies an event, and its place. */
export interface Placed {
  readonly position: number
  readonly stream: string
  readonly version: number
  readonly id: string
}

/** One value for a whole sequence of events: equal when the same came in the same order. */
export function orderDigest(events: Iterable<Placed>): string {
  const hash = createHash('sha256')
  for (const { position, stream, version, id } of events) {
    hash.update(`${position} ${stream} ${version} ${id}\n`)
  }
  return hash.digest('hex')
}

/** The events of one name in the order in which its workers handled them. */
export function handledBy(name: string, reports: readonly RaceSubscriberReport[]): Placed[] {
  const deliveries = reports.filter((r) => r.name === name).flatMap((r) => r.deliveries)
  // Stable: a batch of one worker keeps its order.
  const sorted = deliveries.toSorted(([a], [b]) => a - b)
  return sorted.map(([, position, stream, version, id]) => ({ position, stream, version, id }))
}

/** What was skipped, doubled, or handled before an earlier event of its stream. */
export function wrongInHandled(name: string, handled: readonly Placed[], log: readonly Placed[]) {
  const wrong: string[] = []
  const seen = new Set(handled.map(({ position }) => position))
  const skipped = log.filter(({ position }) => !seen.has(position))
  if (skipped.length > 0) {
    wrong.push(`${name}: ${skipped.length} skipped, first ${skipped[0]?.position}`)
  }
  if (seen.size < handled.length) wrong.push(`${name}: ${handled.length - seen.size} doubled`)
  const last = new Map<string, number>()
  for (const { stream, version } of handled) {
    const before = last.get(stream) ?? 0
    if (version <= before) wrong.push(`${name}: ${stream} went from ${before} to ${version}`)
    last.set(stream, Math.max(before, version))
  }
  return wrong
}

const raceEvents = defineEvents({
  Type0: type<{ by: number }>(),
  Type1: type<{ by: number }>(),
  Type2: type<{ by: number }>(),
  Type3: type<{ by: number }>(),
})

/** Digests of what a reading of the whole log gives, and what a build and a rebuild are fed. */
export async function laterDigests(url: string): Promise<ReadonlyMap<string, string>> {
  let fed: Placed[] = []
  const order = defineProjection({
    name: 'order',
    version: 1,
    events: [raceEvents],
    collections: { counts: collection<{ events: number }>() },
    batch: async (events, { collection: of }) => {
      for (const { position, stream, version, id } of events) {
        fed.push({ position, stream, version, id })
      }
      await of('counts').put('all', { events: fed.length })
    },
  })
  await using store = await openStore(url, { projections: [order] })
  const digests = new Map([['readAll', orderDigest(await store.readAll().toArray())]])
  await store.projections.start()
  await store.projected('order', (await store.positions()).safe, { timeoutMs: 60_000 })
  digests.set('first build', orderDigest(fed))
  fed = []
  await store.projections.rebuild('order')
  digests.set('rebuild', orderDigest(fed))
  return digests
}
