import { isSystemType, type KeptRow } from '../../model/index.ts'
import type { EventStore, RestoreRequest, StoreView } from '../../ports/index.ts'
import { wrapStore } from '../wrap.ts'
import type { StoreMutant } from './mutant.ts'

/** A store whose views show rows otherwise. */
const showing =
  (change: (row: KeptRow) => KeptRow) =>
  (store: EventStore): EventStore =>
    wrapStore(store, {
      view: (_, view) => ({
        ...view,
        rows: async function* (range, options) {
          for await (const page of view.rows(range, options)) yield page.map(change)
        },
      }),
    })

/** A store that puts something else back than it was given. */
const restoring =
  (change: (request: RestoreRequest) => RestoreRequest) =>
  (store: EventStore): EventStore =>
    wrapStore(store, {
      restore: (next, request, options) => next.restore(change(request), options),
    })

const changingRows = (change: (row: KeptRow) => KeptRow) =>
  restoring((request) => ({ ...request, rows: request.rows.map(change) }))

/** Shows what is there now, page by page. */
function liveView(store: EventStore): EventStore {
  const now = (work: (view: StoreView) => AsyncIterable<readonly unknown[]>) =>
    async function* () {
      const pages: (readonly unknown[])[] = []
      await store.view(async (view) => {
        for await (const page of work(view)) pages.push(page)
      })
      yield* pages
    }
  return wrapStore(store, {
    view: (_, view) => ({
      ...view,
      rows: (range) => now((fresh) => fresh.rows(range))() as ReturnType<StoreView['rows']>,
    }),
  })
}

/** Stores that break the laws of views and of putting a log back. */
export const backupMutants: readonly StoreMutant[] = [
  {
    name: 'shows in a view what happened later',
    caughtBy: 'view: shows the store as it stood, whatever happens meanwhile',
    wrap: liveView,
  },
  {
    name: 'does not say which ids were given',
    caughtBy: 'view: rows tell all that a log is made of',
    wrap: showing((row) => ({ ...row, idGiven: false })),
  },
  {
    name: 'does not say whether a truncated stream was archived',
    caughtBy: 'view: rows tell all that a log is made of',
    wrap: showing(({ archived, ...row }) => row),
  },
  {
    name: 'leaves the last row of a view out',
    caughtBy: 'view: rows tell all that a log is made of',
    wrap: (store) =>
      wrapStore(store, {
        view: (_, view) => ({
          ...view,
          rows: ({ after, upTo }) => view.rows({ after, upTo: Math.min(upTo, view.newest - 1) }),
        }),
      }),
  },
  {
    name: 'shows no records in a view',
    caughtBy: 'view: shows all records, by kind and key',
    wrap: (store) =>
      wrapStore(store, { view: (_, view) => ({ ...view, records: async function* () {} }) }),
  },
  {
    name: 'puts events back as recorded at another time',
    caughtBy: 'restore: puts events back where and as they were',
    wrap: changingRows((row) => ({ ...row, recordedAt: row.recordedAt + 1 })),
  },
  {
    name: 'forgets which ids were given when it puts events back',
    caughtBy: 'restore: puts events back where and as they were',
    wrap: changingRows((row) => ({ ...row, idGiven: false })),
  },
  {
    name: 'uses positions again that the log had before it was put back',
    caughtBy: 'restore: numbers go on above what was put back',
    wrap: restoring(({ upTo, ...request }) => request),
  },
  {
    name: 'puts an archived stream back as an active one',
    caughtBy: 'restore: streams have the state that they had',
    wrap: changingRows((row) => ({ ...row, archived: false })),
  },
  {
    name: 'keeps what a later part says was removed',
    caughtBy: 'restore: a later part removes what its events removed',
    wrap: changingRows((row) => (isSystemType(row.type) ? { ...row, data: '{}' } : row)),
  },
  {
    name: 'takes rows that cannot follow',
    caughtBy: 'restore: refuses rows that cannot follow, and is undone with its transaction',
    wrap: (store) =>
      wrapStore(store, {
        restore: async (next, request, options) => {
          await next.restore(request, options).catch(() => {})
        },
      }),
  },
]
