import {
  checkSchemas,
  collection,
  defineEvents,
  defineProjection,
  type EventInput,
  migrateEvents,
  openStore,
  processAll,
  recode,
  replay,
  type Store,
  schemaChanges,
  type,
} from '../../src/index.ts'
import type { Target } from '../harness/assault.ts'
import type { Junk } from '../harness/junk.ts'
import { any, storeAttack } from './input-events.ts'

const events = defineEvents({ Happened: type<{ n: number }>() })
const happened: EventInput = { type: 'Happened', data: { n: 1, text: 'x' }, tags: ['x'] }

/** An object with some of the keys, junk under each. */
function options(junk: Junk, keys: readonly string[]): Record<string, unknown> {
  const made: Record<string, unknown> = {}
  for (let count = 1 + junk.below(3); count > 0; count--) made[junk.pick(keys)] = junk.value()
  return made
}

/** Nothing that a rate holds back is waited for. */
async function briefly<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
  const control = new AbortController()
  const stop = new Error('long enough')
  const timer = setTimeout(() => control.abort(stop), 50)
  try {
    return await call(control.signal)
  } catch (error) {
    if (error === stop) return undefined
    throw error
  } finally {
    clearTimeout(timer)
  }
}

const replayKeys = ['from', 'filter', 'upTo', 'into', 'ratePerSecond', 'dryRun', 'resume', 'decode']
const filterKeys = ['types', 'categories', 'tags', 'includeArchived', 'streams']

async function replayWith(store: Store, junk: Junk): Promise<undefined> {
  const kind = junk.below(3)
  const given: Record<string, unknown> =
    kind === 0
      ? options(junk, replayKeys)
      : kind === 1
        ? { filter: options(junk, filterKeys) }
        : { from: options(junk, ['position', 'time', 'by', 'stream', 'version']) }
  const base = junk.below(3) === 0 ? { dryRun: true } : { into: () => undefined }
  await briefly((signal) => replay(store, any({ ...base, ...given, signal })))
  return undefined
}

const processKeys = [
  ...['work', 'data', 'partitions', 'by', 'after', 'upTo', 'filter', 'resume', 'checkpointEvery'],
  ...['maxBatch', 'onProgress', 'decode'],
]

async function processWith(store: Store, junk: Junk): Promise<undefined> {
  const given = options(junk, processKeys)
  const by = { tag: junk.text() }
  const work = {
    initial: () => 0,
    evolve: (n: number) => n + 1,
    merge: junk.below(2) ? undefined : Math.max,
  }
  await briefly((signal) => processAll(store, any({ work, by, partitions: 3, ...given, signal })))
  return undefined
}

/** A plan that never answers is never over, and says nothing about the migration. */
function answered(value: unknown): unknown {
  try {
    return typeof (value as { then?: unknown } | null)?.then === 'function' ? null : value
  } catch {
    return value
  }
}

const planKeys = ['filter', 'events', 'rename', 'redact', 'stream', 'transform', 'revision']

async function migrateWith(store: Store, junk: Junk): Promise<undefined> {
  await using target = await openStore('memory:')
  const kind = junk.below(5)
  const given: Record<string, unknown> =
    kind === 0
      ? { transform: () => junk.value() }
      : kind === 1
        ? { stream: () => junk.value() }
        : kind === 2
          ? { filter: options(junk, filterKeys) }
          : options(junk, planKeys)
  for (const [key, call] of Object.entries(given)) {
    if (typeof call === 'function') given[key] = (event: unknown) => answered(call(event))
  }
  await briefly((signal) => migrateEvents(store, any({ into: target, ...given, signal })))
  return undefined
}

async function recodeWith(store: Store, junk: Junk): Promise<undefined> {
  const given = junk.below(2) === 0 ? {} : { compress: options(junk, ['with', 'above']) }
  const codec = junk.below(2) === 0 ? { ...options(junk, ['encoding']), ...given } : junk.value()
  await recode(store, any({ codec, ...(junk.below(2) === 0 ? { batchSize: junk.value() } : {}) }))
  return undefined
}

/** Schemas as a file holds them, and as a branch has them. */
async function compareSchemas(_store: Store, junk: Junk): Promise<undefined> {
  const keywords = ['type', 'properties', 'items', 'anyOf', '$ref', '$defs', 'enum', 'required']
  const schema = (depth: number): unknown =>
    depth === 0 || junk.below(4) === 0
      ? junk.json()
      : Object.fromEntries(
          Array.from({ length: junk.below(4) }, () => [junk.pick(keywords), schema(depth - 1)]),
        )
  const [from, to] = [schema(4), schema(4)]
  if (junk.below(2) === 0) schemaChanges(any(from), any(to))
  else {
    const odd = { [junk.pick(['type', 'version', 'schema', 'x'])]: junk.json() }
    const stored = [{ type: 'Happened', version: 1, schema: from, ...odd }]
    checkSchemas([events], any(stored), 'full')
  }
  return undefined
}

interface Thing {
  readonly n: number
  readonly text: string
  readonly deep: { readonly more: boolean }
}

const things = defineProjection({
  name: 'things',
  version: 1,
  mode: 'inline',
  events: [events],
  collections: { things: collection<Thing>({ indexes: { n: 'number' } }) },
  handlers: {
    Happened: ({ data }, { collection: of }) =>
      of('things').put('a', { n: data.n, text: 'x', deep: { more: true } }),
  },
  key: () => 'a',
  orderInsensitive: true,
})

async function makeDocuments(store: Store): Promise<void> {
  await store.projections.start()
  const { position } = await store.append('known-1', happened)
  await store.projected('things', position, { timeoutMs: 10_000 })
}

/** Questions to a collection of documents, by paths and values that a form may have sent. */
async function findWith(store: Store, junk: Junk): Promise<string | undefined> {
  const reader = store.collection(things, 'things')
  const path = junk.below(2) === 0 ? junk.pick(['n', 'text', 'deep.more', 'deep']) : junk.text()
  const operators = ['gt', 'gte', 'lt', 'lte', 'in', 'prefix', 'exists', 'not', 'x']
  const condition = junk.below(2) === 0 ? junk.value() : options(junk, operators)
  const where = junk.below(8) === 0 ? junk.value() : { [path]: condition }
  const kind = junk.below(5)
  if (kind === 0) await reader.count(any(where))
  else if (kind === 1) await reader.get(any(junk.value()))
  else if (kind === 2) await reader.find(any({ where, ...options(junk, ['limit', 'offset']) }))
  else if (kind === 3)
    await reader.find(any({ sort: { [path]: junk.pick(['asc', junk.value()]) } }))
  else await reader.find(any({ where }))
  const [first] = await reader.find()
  return first === undefined ? 'the document is gone' : undefined
}

/** What is handed to tools and read models: options, plans, schemas, questions. */
export function planTargets(): Target[] {
  const memory = () => openStore('memory:')
  const projections = [things]
  const projecting = () => openStore('memory:', { projections })
  const sqlite = () => openStore('sqlite::memory:', { projections })
  const fill = (store: Store) => store.append('known-1', [happened, happened])
  return [
    { name: 'replay options', cases: 3000, open: storeAttack(memory, replayWith, fill) },
    { name: 'processAll options', cases: 3000, open: storeAttack(memory, processWith, fill) },
    { name: 'migration plans', cases: 3000, open: storeAttack(memory, migrateWith, fill) },
    { name: 'recode options', cases: 2000, open: storeAttack(memory, recodeWith, fill) },
    { name: 'schemas', cases: 5000, open: storeAttack(memory, compareSchemas) },
    { name: 'finds, memory', cases: 4000, open: storeAttack(projecting, findWith, makeDocuments) },
    { name: 'finds, SQLite', cases: 3000, open: storeAttack(sqlite, findWith, makeDocuments) },
  ]
}
