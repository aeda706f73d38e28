import { compareText } from '../../kernel/index.ts'
import { RecordConflictError } from '../../model/index.ts'
import type {
  CallOptions,
  RecordAccess,
  RecordChange,
  RecordQuery,
  RecordReads,
  StoredRecord,
} from '../../ports/index.ts'
import { indexAfterKey, type Layer } from './layer.ts'
import type { MemoryRecord, ReadSide } from './read-side.ts'

/** Gives the state to work on, or throws when the call must not go on. */
export type Open = (options: CallOptions | undefined) => ReadSide

function toRecord({ text, ...rest }: MemoryRecord): StoredRecord {
  return { ...rest, value: JSON.parse(text) }
}

function getRecords(
  side: ReadSide,
  kind: string,
  keys: readonly string[],
): (StoredRecord | undefined)[] {
  const records = side.records(kind)
  return keys.map((key) => {
    const found = records.get(key)
    return found === undefined ? undefined : toRecord(found)
  })
}

/** All of them as they are now, by kind and key. */
export function allRecords(side: ReadSide): StoredRecord[] {
  return side.recordKinds().flatMap((kind) => {
    const records = side.records(kind)
    return records.keys().map((key) => toRecord(records.get(key) as MemoryRecord))
  })
}

function matching(records: Layer<MemoryRecord>, query: RecordQuery): MemoryRecord[] {
  const { prefix = '', after, state, dueUpTo, limit } = query
  const keys = records.keys()
  const taken: MemoryRecord[] = []
  for (let i = after === undefined ? 0 : indexAfterKey(keys, after); i < keys.length; i++) {
    if (dueUpTo === undefined && taken.length >= limit) break
    const record = records.get(keys[i] as string) as MemoryRecord
    if (!record.key.startsWith(prefix)) continue
    if (state !== undefined && record.state !== state) continue
    if (dueUpTo !== undefined && (record.due === undefined || record.due > dueUpTo)) continue
    taken.push(record)
  }
  return taken
}

function listRecords(side: ReadSide, query: RecordQuery): StoredRecord[] {
  const found = matching(side.records(query.kind), query)
  if (query.dueUpTo !== undefined) {
    found.sort((a, b) => (a.due ?? 0) - (b.due ?? 0) || compareText(a.key, b.key))
  }
  return found.slice(0, query.limit).map(toRecord)
}

function writeRecord(side: ReadSide, change: RecordChange): number {
  const { kind, key, expected, value, state, due } = change
  const records = side.records(kind)
  const revision = records.get(key)?.revision ?? 0
  if (expected !== 'any' && expected !== revision) throw new RecordConflictError(kind, key)
  if (value === undefined) {
    records.remove(key)
    return 0
  }
  const text = JSON.stringify(value)
  records.set(key, { kind, key, revision: revision + 1, text, state, due })
  return revision + 1
}

/** Reads of the state that `open` gives. */
export function recordReads(open: Open): RecordReads {
  return {
    get: async (kind, keys, options) => getRecords(open(options), kind, keys),
    list: async (query, options) => listRecords(open(options), query),
  }
}

/** The same with writes. A transaction is alone in the store, so a lock has nothing to do. */
export function recordAccess(open: Open): RecordAccess {
  return {
    ...recordReads(open),
    lock: async (kind, keys, options) => getRecords(open(options), kind, keys),
    write: async (changes, options) => {
      const side = open(options)
      return changes.map((change) => writeRecord(side, change))
    },
  }
}
