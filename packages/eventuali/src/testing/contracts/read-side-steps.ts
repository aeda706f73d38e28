import type { Json } from '../../model/index.ts'
import type {
  DocumentIndex,
  DocumentQuery,
  EventStore,
  ModelReads,
  RecordChange,
  StoredDocument,
} from '../../ports/index.ts'
import { fresh } from './steps.ts'

/** Writes records in a transaction of their own. */
export function write(
  store: EventStore,
  changes: readonly RecordChange[],
): Promise<readonly number[]> {
  return store.transaction((tx) => tx.records.write(changes))
}

/** Makes a collection's table under a name that nothing else has. */
export async function makeTable(
  store: EventStore,
  indexes: readonly DocumentIndex[] = [],
): Promise<string> {
  const name = fresh('t')
  await store.transaction((tx) => tx.models.create({ name, shape: { kind: 'documents', indexes } }))
  return name
}

/** A table that holds these values, with keys from `a` on, or with the given ones. */
export async function makeFilled(
  store: EventStore,
  values: readonly Json[] | { readonly [key: string]: Json },
  indexes: readonly DocumentIndex[] = [],
): Promise<string> {
  const table = await makeTable(store, indexes)
  const entries = Array.isArray(values)
    ? values.map((value, i): [string, Json] => [letter(i), value])
    : Object.entries(values as { readonly [key: string]: Json })
  await put(
    store,
    table,
    entries.map(([key, value]) => ({ key, value, position: 1 })),
  )
  return table
}

/** `a`, `b`, … `z`, `za`, … : grows with `i`. */
function letter(i: number): string {
  return i < 25 ? String.fromCharCode(97 + i) : `z${letter(i - 25)}`
}

/** Writes documents in a transaction of their own. */
export function put(
  store: EventStore,
  table: string,
  documents: readonly StoredDocument[],
): Promise<void> {
  return store.transaction((tx) => tx.models.put(table, documents))
}

/** Keys of what a query finds, after each other as one text. */
export async function found(
  models: ModelReads,
  table: string,
  query: Partial<DocumentQuery>,
): Promise<string> {
  const documents = await models.find(table, { filters: [], sort: [], ...query })
  return documents.map(({ key }) => key).join(' ')
}
