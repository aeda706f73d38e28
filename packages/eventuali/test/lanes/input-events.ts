import { type CodecOptions, type EventInput, openStore, type Store } from '../../src/index.ts'
import type { Attack, Target } from '../harness/assault.ts'
import type { Junk } from '../harness/junk.ts'

/** Cases after which a store is made anew, so that it stays small. */
const storeLife = 4000

export const good: EventInput = { type: 'Happened', data: { n: 1 } }

// What the types forbid is what this is about.
export const any = (value: unknown) => value as never

export type OpenStore = () => Promise<Store>

/** A store that is replaced now and then; the cases run one after the other. */
export function storeAttack(
  open: OpenStore,
  tryOnce: (store: Store, junk: Junk, n: number) => Promise<string | undefined>,
  prepare: (store: Store) => Promise<unknown> = async () => {},
): () => Promise<Attack> {
  return async () => {
    let store: Store | undefined
    let n = 0
    return {
      tryOnce: async (junk) => {
        if (n++ % storeLife === 0) {
          await store?.close()
          store = await open()
          await prepare(store)
        }
        return tryOnce(store as Store, junk, n)
      },
      close: async () => store?.close(),
    }
  }
}

/** Events around the junk: all of them are there afterwards, or none. */
async function appendData(store: Store, junk: Junk, n: number): Promise<string | undefined> {
  const data = junk.below(4) === 0 ? junk.json() : junk.value()
  const stream = `data-${n}`
  let stored = false
  try {
    await store.append(stream, [good, any({ type: 'Had', data }), good])
    stored = true
  } finally {
    const info = await store.stream(stream)
    // biome-ignore lint/correctness/noUnsafeFinally: half a batch is worse than any refusal.
    if (!stored && info !== undefined) throw new Error(`stored ${info.count} of 3 events`)
  }
  const events = await store.readStream(stream).toArray()
  if (events.length !== 3) return `acknowledged 3 events, stored ${events.length}`
  // A getter may have told us something else than it told the store.
  if (isTurning(data)) return undefined
  const back = JSON.stringify(events[1]?.data)
  let given: string | undefined
  try {
    given = JSON.stringify(data)
  } catch (error) {
    return `stored what JSON does not carry: ${String(error)}`
  }
  return back === given ? undefined : `${given} came back as ${back}`
}

/** Whether a value has properties that are computed, anywhere. */
function isTurning(value: unknown, depth = 0): boolean {
  if (typeof value !== 'object' || value === null || depth > 5) return false
  return Object.values(Object.getOwnPropertyDescriptors(value)).some(
    (property) => property.get !== undefined || isTurning(property.value, depth + 1),
  )
}

/** Two streams in one append, with an odd event in one of them: both or none. */
export async function appendBoth(store: Store, junk: Junk, n: number): Promise<string | undefined> {
  const odd = { ...good, [junk.pick(['data', 'type', 'id', 'tags', 'time'])]: junk.value() }
  const streams = [`one-${n}`, `two-${n}`]
  const entries = streams.map((stream, at) => ({ stream, events: [good, any(at ? odd : good)] }))
  const counts = async () =>
    (await Promise.all(streams.map((stream) => store.stream(stream)))).map((i) => i?.count ?? 0)
  try {
    await store.appendAll(entries)
  } catch (error) {
    const stored = await counts()
    if (stored.some((count) => count > 0)) return `refused, but stored ${stored}`
    throw error
  }
  const stored = await counts()
  return stored.every((count) => count === 2) ? undefined : `acknowledged, but stored ${stored}`
}

const parts = ['id', 'type', 'tags', 'time', 'metadata', 'stream', 'tag', 'id and tag'] as const

/** One part of an event is junk: it comes back exactly, or the event is refused. */
async function appendPart(store: Store, junk: Junk, n: number): Promise<string | undefined> {
  const part = junk.pick(parts)
  const value = junk.below(2) === 0 ? junk.text() : junk.value()
  const event = {
    ...good,
    ...(part === 'tag' ? { tags: [value, 'x'] } : {}),
    ...(part === 'id and tag' ? { id: value, tags: [junk.text()] } : {}),
    ...(['id', 'type', 'tags', 'time', 'metadata'].includes(part) ? { [part]: value } : {}),
  }
  const stream = part === 'stream' ? value : `part-${n}`
  const { version } = await store.append(any(stream), any(event))
  const [back] = await store.readStream(any(stream), { from: version }).toArray()
  if (part === 'stream') return back?.stream === value ? undefined : 'another stream name'
  if (value === undefined || typeof value !== 'string') return undefined
  if (part === 'type') return back?.type === value ? undefined : `another type ${back?.type}`
  if (part === 'tag') return back?.tags[0] === value ? undefined : `another tag ${back?.tags[0]}`
  if (part.startsWith('id')) return back?.id === value ? undefined : `another id ${back?.id}`
  return undefined
}

const coded: CodecOptions = { encoding: 'msgpack', compress: { with: 'zstd', above: 8 } }

/** What is appended: data, batches, names and all other parts of events. */
export function eventTargets(postgresUrl: string | undefined): Target[] {
  const memory = () => openStore('memory:')
  const sqlite = () => openStore('sqlite::memory:')
  const target = (
    name: string,
    cases: number,
    open: OpenStore,
    tryOnce: (store: Store, junk: Junk, n: number) => Promise<string | undefined>,
  ): Target => ({ name, cases, open: storeAttack(open, tryOnce) })
  const targets = [
    target('data, memory', 26_000, memory, appendData),
    target('data, SQLite', 6000, sqlite, appendData),
    target(
      'data, MessagePack and zstd',
      5000,
      () => openStore('memory:', { codec: coded }),
      appendData,
    ),
    target('several streams, memory', 10_000, memory, appendBoth),
    target('several streams, SQLite', 5000, sqlite, appendBoth),
    target('parts of events, memory', 25_000, memory, appendPart),
    target('parts of events, SQLite', 10_000, sqlite, appendPart),
  ]
  if (postgresUrl === undefined) return targets
  let count = 0
  // Each store its own schema: streams are named by number.
  const postgres = () => openStore(postgresUrl, { schema: `input${++count}` })
  return [
    ...targets,
    target('data, Postgres', 400, postgres, appendData),
    target('several streams, Postgres', 250, postgres, appendBoth),
    target('parts of events, Postgres', 500, postgres, appendPart),
  ]
}
