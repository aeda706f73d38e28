import { findDocuments } from '../../model/index.ts'
import type {
  DocumentFilter,
  DocumentOperator,
  DocumentQuery,
  EventStore,
  ModelReads,
  StoredDocument,
} from '../../ports/index.ts'
import { type StoreHooks, wrapStore } from '../wrap.ts'
import type { StoreMutant } from './mutant.ts'

/** Changes what is asked for in each find. */
function asking(change: (query: DocumentQuery) => DocumentQuery): StoreMutant['wrap'] {
  return (store) =>
    wrapStore(store, {
      models: { find: (next, table, query, options) => next.find(table, change(query), options) },
    })
}

/** Takes one operator for another one. */
function mistaking(from: DocumentOperator, to: DocumentOperator): StoreMutant['wrap'] {
  const change = (filter: DocumentFilter) =>
    filter.operator === from ? { ...filter, operator: to } : filter
  return asking((query) => ({ ...query, filters: query.filters.map(change) }))
}

/** Finds in another way, from all documents. */
function finding(
  choose: (documents: readonly StoredDocument[], query: DocumentQuery) => StoredDocument[],
): StoreMutant['wrap'] {
  const all = { filters: [], sort: [] }
  return (store) =>
    wrapStore(store, {
      models: {
        find: async (next, table, query, options) =>
          choose(await next.find(table, all, options), query),
      },
    })
}

/** A view switches at once, not at the commit. */
function publishesEarly(store: EventStore): EventStore {
  const views = new Map<string, string>()
  const named = (table: string) => views.get(table) ?? table
  const models: StoreHooks['models'] = {
    publish: (next, view, table) => {
      views.set(view, table)
      return next.publish(view, table)
    },
    get: (next: ModelReads, table, keys, options) => next.get(named(table), keys, options),
    find: (next: ModelReads, table, query, options) => next.find(named(table), query, options),
    count: (next: ModelReads, table, filters, options) =>
      next.count(named(table), filters, options),
  }
  return wrapStore(store, { models })
}

/** Documents of before shine through where the new ones say nothing. */
async function merged(
  next: ModelReads,
  table: string,
  documents: readonly StoredDocument[],
): Promise<StoredDocument[]> {
  const before = await next.get(
    table,
    documents.map(({ key }) => key),
  )
  return documents.map((document, i) => {
    const { value } = document
    const old = before[i]?.value
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    if (!isObject || typeof old !== 'object' || old === null) return document
    return { ...document, value: { ...old, ...value } as StoredDocument['value'] }
  })
}

/** Stores that break a law of read models. */
export const modelMutants: readonly StoreMutant[] = [
  {
    name: 'loses the last document of a put',
    caughtBy: 'documents: what was put is got, in the order asked for',
    wrap: (store) =>
      wrapStore(store, {
        models: {
          put: (next, table, documents, options) =>
            next.put(table, documents.slice(0, -1), options),
        },
      }),
  },
  {
    name: 'merges a document with the one of before',
    caughtBy: 'documents: put writes over what is there',
    wrap: (store) =>
      wrapStore(store, {
        models: {
          put: async (next, table, documents, options) =>
            next.put(table, await merged(next, table, documents), options),
        },
      }),
  },
  {
    name: 'empties a table that is made again',
    caughtBy: 'tables: one that was made is empty, and making it again changes nothing',
    wrap: (store) =>
      wrapStore(store, {
        models: {
          create: async (next, table) => {
            await next.drop(table.name)
            await next.create(table)
          },
        },
      }),
  },
  {
    name: 'leaves documents in a dropped table',
    caughtBy: 'tables: dropped and made in one transaction, a table is empty',
    wrap: (store) => wrapStore(store, { models: { drop: async () => {} } }),
  },
  {
    name: 'switches a view before the commit',
    caughtBy: 'views: publishing again switches, and rolled back it does not',
    wrap: publishesEarly,
  },
  {
    name: 'takes lte for lt',
    caughtBy: 'find: lte, on properties of every type',
    wrap: mistaking('lte', 'lt'),
  },
  {
    name: 'ignores the filters with in',
    caughtBy: 'find: in, on properties of every type',
    wrap: asking((query) => ({
      ...query,
      filters: query.filters.filter(({ operator }) => operator !== 'in'),
    })),
  },
  {
    name: 'takes null for a value that exists',
    caughtBy: 'find: exists, on properties of every type',
    wrap: finding((documents, query) => {
      // A text in the place of each null.
      const filled = documents.map((document) => ({
        ...document,
        value: JSON.parse(JSON.stringify(document.value).replaceAll(':null', ':"null"')),
      }))
      const found = new Set(findDocuments(filled, query).map(({ key }) => key))
      return documents.filter(({ key }) => found.has(key))
    }),
  },
  {
    name: 'takes true for 1',
    caughtBy: 'find: eq, on properties of every type',
    wrap: asking((query) => ({
      ...query,
      filters: query.filters.map((filter) =>
        filter.operator === 'eq' && (filter.value === 1 || filter.value === true)
          ? { ...filter, operator: 'in', value: [1, true] }
          : filter,
      ),
    })),
  },
  {
    name: 'puts documents without the property first when it descends',
    caughtBy: 'find: sorts by type and value, those without one last',
    wrap: finding((documents, query) => {
      if (!query.sort.some(({ descending }) => descending)) return findDocuments(documents, query)
      const ascending = query.sort.map((one) => ({ ...one, descending: false }))
      return findDocuments(documents, { ...query, sort: ascending }).reverse()
    }),
  },
  {
    name: 'cuts before it sorts',
    caughtBy: 'find: limit and offset cut from the sorted list',
    wrap: finding((documents, { filters, sort, limit, offset }) =>
      findDocuments(findDocuments(documents, { filters, sort: [], limit, offset }), {
        filters: [],
        sort,
      }),
    ),
  },
  {
    name: 'finds documents in the order of UTF-16',
    caughtBy: 'find: without a sort documents come by key',
    wrap: finding((documents, query) =>
      findDocuments(documents, query).sort((a, b) => (a.key < b.key ? -1 : 1)),
    ),
  },
  {
    name: 'counts all documents, whatever the filters',
    caughtBy: 'find: gt, on properties of every type',
    wrap: (store) =>
      wrapStore(store, {
        models: { count: (next, table, _filters, options) => next.count(table, [], options) },
      }),
  },
  {
    name: 'skips a row at each page border',
    caughtBy: 'rows: in key order, in pages that follow each other',
    wrap: (store) =>
      wrapStore(store, {
        models: {
          rows: async (next, table, { after, limit }, options) => {
            if (after === undefined) return next.rows(table, { limit }, options)
            return (await next.rows(table, { after, limit: limit + 1 }, options)).slice(1)
          },
        },
      }),
  },
]
