import { defineEvents, event, openStore, type Store, type } from '../../src/index.ts'
import type { Target } from '../harness/assault.ts'
import type { Junk } from '../harness/junk.ts'
import { any, good, type OpenStore, storeAttack } from './input-events.ts'

type Call = (store: Store, a: unknown, b: unknown, n: number) => Promise<unknown> | unknown
type Calls = Readonly<Record<string, Call>>

/** Appends whose surroundings are junk. */
const writeCalls: Calls = {
  'append of': (store, a) => store.append('known-1', any(a)),
  'append of a list': (store, a, b) => store.append('known-1', any([a, b])),
  'append with': (store, a) => store.append('known-1', good, any(a)),
  'append expecting': (store, a) => store.append('known-1', good, any({ expectedVersion: a })),
  'append within': (store, a) => store.append('known-1', good, any({ within: a })),
  'append in time': (store, a) => store.append('known-1', good, any({ timeoutMs: a })),
  'append under a signal': (store, a) => store.append('known-1', good, any({ signal: a })),
  'appendAll of': (store, a) => store.appendAll(any(a)),
  'appendAll of a list': (store, a, b) => store.appendAll(any([a, b])),
  'appendAll to': (store, a, b) => store.appendAll(any([{ stream: a, events: b }])),
  'appendAll under': (store, a, b) =>
    store.appendAll([{ stream: 'known-1', events: [good] }], {
      condition: any({ query: a, position: b }),
    }),
  'appendAll under a query': (store, a, b) =>
    store.appendAll([{ stream: 'known-1', events: [good] }], {
      condition: any({ query: { types: a, tags: b }, position: 0 }),
    }),
  'appendMany of': (store, a, b) => store.appendMany(any([{ stream: a, events: b }])),
  'appendMany with': (store, a, b) => store.appendMany(any(a), any(b)),
  transaction: (store, a, b) =>
    store.transaction((tx) => tx.append(any(a), any(b)), { timeoutMs: 2000 }),
}

const readCalls: Calls = {
  readStream: (store, a) => store.readStream(any(a)).toArray(),
  'readStream with': (store, a) => store.readStream('known-1', any(a)).toArray(),
  'readStream from': (store, a, b) =>
    store.readStream('known-1', any({ from: a, to: b })).toArray(),
  'readStream limit': (store, a, b) =>
    store.readStream('known-1', any({ limit: a, direction: b })).toArray(),
  'readStream asOf': (store, a, b) =>
    store.readStream('known-1', any({ asOf: a, by: b })).toArray(),
  'readAll with': (store, a) => store.readAll(any(a)).toArray(),
  'readAll after': (store, a, b) => store.readAll(any({ after: a, before: b })).toArray(),
  'readAll since': (store, a, b) => store.readAll(any({ since: a, until: b })).toArray(),
  'readAll types': (store, a, b) => store.readAll(any({ types: a, tags: b })).toArray(),
  'readAll one type': (store, a, b) => store.readAll(any({ types: [a], tags: [b] })).toArray(),
  'readAll categories': (store, a, b) => store.readAll(any({ categories: a, limit: b })).toArray(),
  'readAll upTo': (store, a, b) => store.readAll(any({ upTo: a, direction: b })).toArray(),
  'readAll fresh': (store, a, b) => store.readAll(any({ fresh: a, after: b })).toArray(),
  'readStream fresh': (store, a, b) =>
    store.readStream('known-1', any({ fresh: { position: a, withinMs: b } })).toArray(),
  'session at': async (store, a) => store.session(any({ position: a })).readStream('known-1'),
  'session read': async (store, a, b) =>
    store
      .session()
      .readAll(any(a ?? b))
      .toArray(),
  'stream fresh': (store, a) => store.stream('known-1', any({ fresh: a })),
  stream: (store, a) => store.stream(any(a)),
  streams: (store, a, b) => store.streams(any({ prefix: a, category: b })).toArray(),
  'streams limit': (store, a) => store.streams(any({ limit: a })).toArray(),
  caughtUp: (store, a) => store.caughtUp(any(a), { timeoutMs: 1 }),
  positions: (store, a) => store.positions(any(a)),
}

const lifecycleCalls: Calls = {
  archive: (store, a) => store.archive(any(a)),
  'archive because': (store, a, b, n) => store.archive(`life-${n}`, any({ reason: a, actor: b })),
  'archive at': (store, a, b, n) =>
    store.archive(`life-${n}`, any({ expectedVersion: a, undo: b })),
  truncate: (store, a, b) => store.truncate(any(a), any({ before: b })),
  'truncate before': (store, a, b, n) =>
    store.truncate(`life-${n}`, any({ before: a, expectedVersion: b })),
  deleteStream: (store, a) => store.deleteStream(any(a)),
  'deleteStream with': (store, a, _b, n) => store.deleteStream(`life-${n}`, any(a)),
  fork: (store, a, b) => store.fork(any({ into: a, at: b, timeoutMs: 2000 })),
  'verify with': (store, a) => store.verify(any(a)),
  snapshots: (store, a) => store.snapshots.list(any(a)),
  'dead letters': (store, a, b) => store.deadLetters.list(any({ subscription: a, state: b })),
  'dead letters given up': (store, a, b) =>
    store.deadLetters.discardAll(any(a), any({ reason: b, key: a })),
  'dead letters pruned': (store, a, b) =>
    store.deadLetters.prune(any({ before: a, subscription: b, actor: a })),
  projected: (store, a, b) => store.projected(any(a), any(b), { timeoutMs: 5 }),
  schedule: (store, a, b) => store.schedules.at(any(a), any(b), any({ stream: 's', event: good })),
  cron: (store, a, b) => store.schedules.every(any(a), any(b), any({ stream: 's', event: good })),
  aggregate: (store, a) => store.aggregate(any(a)),
  tune: (store, a) => store.tune(any({ apply: a })),
}

/** Subscribes with junk and stops at once. */
async function subscribe(store: Store, a: unknown, b: unknown): Promise<unknown> {
  const handler = () => undefined
  const subscription = store.subscribe(any(a), any(b ?? handler))
  subscription.done?.catch(() => undefined)
  await subscription.stop()
  return undefined
}

const subscribeCalls: Calls = {
  'subscribe with': (store, a, b) => subscribe(store, a, b),
  'subscribe after': (store, a) => subscribe(store, { after: a }, undefined),
  'subscribe to types': (store, a, b) => subscribe(store, { types: a, tags: b }, undefined),
  'subscribe to categories': (store, a) => subscribe(store, { categories: a }, undefined),
  'subscribe in batches': (store, a, b) => subscribe(store, {}, { batch: a, maxBatch: b }),
  'subscribe with a name': (store, a, b) => subscribe(store, { name: a, group: b }, undefined),
}

function callAttack(open: OpenStore, calls: Calls): Target['open'] {
  const names = Object.keys(calls)
  const knownEvents = [good, { ...good, tags: ['x'] }]
  return storeAttack(
    open,
    async (store, junk, n) => {
      const name = junk.pick(names)
      const [a, b] = [argument(junk), argument(junk)]
      try {
        await calls[name]?.(store, a, b, n)
      } catch (error) {
        // Says which call it was, and stays what it is.
        if (error instanceof Error && !('code' in error))
          error.message = `${name}: ${error.message}`
        throw error
      }
      return undefined
    },
    async (store) => {
      await store.append('known-1', knownEvents)
      await store.append('known-2', knownEvents)
    },
  )
}

/** Half of the time something that is nearly right. */
function argument(junk: Junk): unknown {
  switch (junk.below(6)) {
    case 0:
      return junk.text()
    case 1:
      return junk.number()
    case 2:
      return [junk.text(), junk.value()]
    default:
      return junk.value()
  }
}

const optionNames = [
  ...['profile', 'readOnly', 'driver', 'connection', 'schema', 'codec', 'snapshots', 'schemas'],
  ...['timeoutMs', 'conflictRetryCountMax', 'projections', 'processes', 'leaseTtlMs', 'unknown'],
  ...['events', 'scheduleTargets', 'cache', 'replicas', 'replicaReads', 'mmapBytes', 'poolSize'],
]

/** A store of the caller's own, as far as anyone can see: whether it ever answers is its affair. */
function answersAnything(url: unknown): boolean {
  try {
    return typeof (url as { append?: unknown } | null)?.append === 'function'
  } catch {
    return false
  }
}

/** Opens stores by junk. No url of it may name a file: that would be made. */
async function openWith(junk: Junk): Promise<undefined> {
  const urls = ['memory:', 'sqlite::memory:', 'memory:x', 'sqlite:', 'postgres:', '', 'x:y', ':']
  const isOdd = junk.below(4) === 0
  const odd = junk.below(2) === 0 ? `${junk.text()}:` : junk.value()
  const url = isOdd ? odd : junk.pick(urls)
  // The empty url of PostgreSQL means the server that the environment names.
  if (typeof url === 'string' && /^(sqlite:.|postgres)/.test(url) && url !== 'sqlite::memory:') {
    return undefined
  }
  if (answersAnything(url)) return undefined
  const options = isOdd ? {} : { [junk.pick(optionNames)]: junk.value() }
  const store = await openStore(any(url), any(options))
  try {
    // What passes for a store of the caller's own may answer what it likes.
    if (typeof url === 'string') await store.append('x-1', any(good))
  } finally {
    await store.close()
  }
  return undefined
}

/** Definitions of events and what they are made of. */
async function define(junk: Junk): Promise<undefined> {
  const odd = {
    [junk.pick(['version', 'tags', 'codec', 'upcast', 'formerly', 'defaults'])]: junk.value(),
  }
  const schema = junk.below(2) === 0 ? junk.value() : event(type<object>(), any(odd))
  const events = defineEvents(any({ [junk.text()]: type<object>(), Good: schema }))
  for (const creator of Object.values(events as object) as ((data: unknown) => unknown)[]) {
    creator(junk.value())
  }
  return undefined
}

/** What is called: with options, bounds, names and filters. */
export function callTargets(postgresUrl: string | undefined): Target[] {
  const memory = () => openStore('memory:')
  const sqlite = () => openStore('sqlite::memory:')
  const target = (name: string, cases: number, open: OpenStore, calls: Calls): Target => ({
    ...{ name, cases, open: callAttack(open, calls) },
  })
  const targets: Target[] = [
    target('appends, memory', 12_000, memory, writeCalls),
    target('appends, SQLite', 6000, sqlite, writeCalls),
    target('reads, memory', 20_000, memory, readCalls),
    target('reads, SQLite', 7000, sqlite, readCalls),
    target('lifecycle, memory', 4000, memory, lifecycleCalls),
    target('lifecycle, SQLite', 3000, sqlite, lifecycleCalls),
    target('subscriptions, memory', 2000, memory, subscribeCalls),
    target('subscriptions, SQLite', 600, sqlite, subscribeCalls),
    { name: 'openStore', cases: 4000, open: async () => ({ tryOnce: openWith }) },
    { name: 'definitions', cases: 4000, open: async () => ({ tryOnce: define }) },
  ]
  if (postgresUrl === undefined) return targets
  let count = 0
  const postgres = () => openStore(postgresUrl, { schema: `calls${++count}` })
  return [
    ...targets,
    target('appends, Postgres', 500, postgres, writeCalls),
    target('reads, Postgres', 500, postgres, readCalls),
    target('lifecycle, Postgres', 200, postgres, lifecycleCalls),
  ]
}
