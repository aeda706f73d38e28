import { CapabilityError, findDocuments, InvalidArgumentError } from '../../model/index.ts'
import type {
  DocumentFilter,
  DocumentQuery,
  InlineAccess,
  ModelAccess,
  ModelReads,
  ModelRow,
  ModelTable,
  StoredDocument,
} from '../../ports/index.ts'
import { indexAfterKey, type Layer } from './layer.ts'
import { manifest } from './manifest.ts'
import type { MemoryDocument, ReadSide } from './read-side.ts'
import type { Open } from './records.ts'

function toDocument({ key, text, position }: MemoryDocument): StoredDocument {
  return { key, value: JSON.parse(text), position }
}

/** Documents of a table, named by itself or by a view. */
function documentsOf(side: ReadSide, name: string): Layer<MemoryDocument> {
  const table = side.views.get(name) ?? name
  if (side.tables.get(table) === undefined) {
    throw new InvalidArgumentError('table', `${JSON.stringify(name)} is not there`)
  }
  return side.documents(table)
}

function findIn(side: ReadSide, table: string, query: DocumentQuery): StoredDocument[] {
  return findDocuments(documentsOf(side, table).values(), query).map(toDocument)
}

function countIn(side: ReadSide, table: string, filters: readonly DocumentFilter[]): number {
  return findDocuments(documentsOf(side, table).values(), { filters, sort: [] }).length
}

function rowsOf(
  side: ReadSide,
  table: string,
  { after, limit }: Parameters<ModelReads['rows']>[1],
): ModelRow[] {
  const documents = documentsOf(side, table)
  const keys = documents.keys()
  const start = after === undefined ? 0 : indexAfterKey(keys, after)
  return keys.slice(start, start + limit).map((key) => {
    const { value } = toDocument(documents.get(key) as MemoryDocument)
    return { key, value }
  })
}

/** Reads of the state that `open` gives. */
export function modelReads(open: Open): ModelReads {
  return {
    get: async (table, keys, options) => {
      const documents = documentsOf(open(options), table)
      return keys.map((key) => {
        const found = documents.get(key)
        return found === undefined ? undefined : toDocument(found)
      })
    },
    find: async (table, query, options) => findIn(open(options), table, query),
    count: async (table, filters, options) => countIn(open(options), table, filters),
    rows: async (table, page, options) => rowsOf(open(options), table, page),
  }
}

function createIn(side: ReadSide, { name, shape }: ModelTable): void {
  if (shape.kind === 'sql') {
    throw new CapabilityError('memory', 'sql', manifest.denied.sql ?? '')
  }
  side.tables.set(name, true)
}

function dropFrom(side: ReadSide, table: string): void {
  side.tables.remove(table)
  side.documents(table).clear()
}

function putInto(side: ReadSide, table: string, written: readonly StoredDocument[]): void {
  const documents = documentsOf(side, table)
  for (const { key, value, position } of written) {
    const text = JSON.stringify(value)
    documents.set(key, { key, text, value: JSON.parse(text), position })
  }
}

/** The same with writes. A transaction is alone in the store, so a lock has nothing to do. */
export function modelAccess(open: Open): ModelAccess {
  return {
    ...modelReads(open),
    create: async (table) => createIn(open(undefined), table),
    drop: async (table) => dropFrom(open(undefined), table),
    publish: async (view, table) => {
      const side = open(undefined)
      documentsOf(side, table)
      side.views.set(view, table)
    },
    unpublish: async (view) => open(undefined).views.remove(view),
    put: async (table, documents, options) => putInto(open(options), table, documents),
    remove: async (table, keys, options) => {
      const documents = documentsOf(open(options), table)
      for (const key of keys) documents.remove(key)
    },
    lock: async (_table, _keys, options) => {
      open(options)
    },
  }
}

/** The list of inline projections in the state that `open` gives. */
export function inlineAccess(open: Open): InlineAccess {
  return {
    list: async () => [...open(undefined).inline.values()],
    register: async (projection) => {
      open(undefined).inline.set(projection.name, structuredClone(projection))
    },
    unregister: async (name) => open(undefined).inline.remove(name),
  }
}
