import { uuidV5 } from '../../src/index.ts'
import type { AppendEntry, AppendRequest, EventStore, RecordChange } from '../../src/ports/index.ts'
import { wrapStore } from '../../src/testing/index.ts'
import type { Part } from './simulation-programs.ts'

/** A store that breaks a promise now and then. */
export interface PlantedBug {
  readonly what: string
  /** Parts without which it could not be seen. */
  readonly needs: readonly Part[]
  readonly plant: (store: EventStore) => EventStore
}

/** True for every so manieth call: chance is the simulation's, and bugs may not disturb it. */
function every(count: number): () => boolean {
  let calls = 0
  return () => ++calls % count === 0
}

/** What is appended, changed for the worse. */
function appending(spoil: (entry: AppendEntry) => AppendEntry): (store: EventStore) => EventStore {
  return (store) =>
    wrapStore(store, {
      append: (next, request, options) =>
        next.append({ ...request, entries: request.entries.map(spoil) }, options),
    })
}

/** What is written of records, changed for the worse. */
function writing(
  spoil: (change: RecordChange) => readonly RecordChange[],
): (store: EventStore) => EventStore {
  return (store) =>
    wrapStore(store, {
      records: {
        write: async (next, changes, options) => {
          const spoiled = changes.map(spoil)
          const revisions = [...(await next.write(spoiled.flat(), options))]
          return spoiled.map((list) => revisions.splice(0, list.length)[0] ?? 0)
        },
      },
    })
}

/** Says yes, and stores nothing. */
async function acknowledgeOnly(store: EventStore, request: AppendRequest) {
  const { newest } = await store.positions()
  const entries = await Promise.all(
    request.entries.map(async ({ stream, events }) => ({
      stream,
      version: ((await store.stream(stream))?.version ?? 0) + events.length,
      positions: events.map((_, i) => newest + i + 1),
      recordedAt: 0,
    })),
  )
  return { ok: true, entries } as const
}

export const plantedBugs: readonly PlantedBug[] = [
  {
    what: 'acknowledges without storing',
    needs: [],
    plant: (store) => {
      const isTurn = every(60)
      return wrapStore(store, {
        append: (next, request, options) =>
          next === store && isTurn()
            ? acknowledgeOnly(store, request)
            : next.append(request, options),
      })
    },
  },
  {
    what: 'forgets idempotency',
    needs: ['process'],
    plant: appending((entry) => ({
      ...entry,
      events: entry.events.map((event) => ({ ...event, idGiven: false })),
    })),
  },
  {
    what: 'ignores the expected version',
    needs: [],
    plant: appending((entry) => ({ ...entry, expectedVersion: 'any' })),
  },
  {
    what: 'ignores conditions',
    needs: [],
    plant: (store) =>
      wrapStore(store, {
        append: (next, { condition: _condition, ...request }, options) =>
          next.append(request, options),
      }),
  },
  {
    what: 'loses what comes with a checkpoint',
    needs: ['projection'],
    plant: (store) => {
      const isTurn = every(25)
      return wrapStore(store, {
        models: { put: async (next, ...args) => (isTurn() ? undefined : next.put(...args)) },
      })
    },
  },
  {
    what: 'accepts the checkpoint of a former owner',
    needs: ['transactional', 'projection', 'process'],
    plant: writing((change) => [
      change.kind === 'partition' && change.expected !== 0
        ? { ...change, expected: 'any' }
        : change,
    ]),
  },
  {
    what: 'delivers a page backwards',
    needs: ['single'],
    plant: (store) => {
      const isTurn = every(10)
      return wrapStore(store, {
        readLog: async function* (next, query, options) {
          for await (const page of next.readLog(query, options)) {
            yield page.length > 1 && isTurn() ? [...page].reverse() : page
          }
        },
      })
    },
  },
  {
    what: 'skips an event in a filtered read',
    needs: ['group'],
    plant: (store) => {
      const isTurn = every(20)
      return wrapStore(store, {
        readLog: async function* (next, query, options) {
          for await (const page of next.readLog(query, options)) {
            const skips = query.types !== undefined && page.length > 2 && isTurn()
            yield skips ? page.toSpliced(1, 1) : page
          }
        },
      })
    },
  },
  {
    what: 'fires a deadline twice, with another id',
    needs: ['process'],
    plant: writing((change) => {
      const text = JSON.stringify(change.value ?? null)
      const isReminder = change.kind === 'command' && change.expected === 0
      if (!isReminder || !text.includes('"Reminded"')) return [change]
      const again = JSON.parse(
        text.replaceAll(/"id":"([0-9a-f-]{36})"/g, (_, id) => `"id":"${uuidV5('again', id)}"`),
      )
      const key = change.key.replace(/[^/]*$/, (id) => uuidV5('again', id))
      return [change, { ...change, key, value: again }]
    }),
  },
  {
    what: 'answers no more, now and then',
    needs: ['process'],
    plant: (store) => {
      const isTurn = every(40)
      return wrapStore(store, {
        readStream: async function* (next, query, options) {
          if (isTurn()) await new Promise(() => {})
          yield* next.readStream(query, options)
        },
      })
    },
  },
  {
    what: 'reads a stream without its last event',
    needs: [],
    plant: (store) => {
      const isTurn = every(80)
      return wrapStore(store, {
        readStream: async function* (next, query, options) {
          for await (const page of next.readStream(query, options)) {
            yield page.length > 1 && isTurn() ? page.slice(0, -1) : page
          }
        },
      })
    },
  },
  {
    what: 'promises a safe position that is none yet',
    needs: ['single'],
    plant: (store) => {
      const isTurn = every(12)
      return wrapStore(store, {
        positions: async (next, options) => {
          const { safe, newest } = await next.positions(options)
          // Promises more than there is: readers pass what comes to lie there.
          return isTurn() ? { safe: safe + 3, newest: newest + 3 } : { safe, newest }
        },
      })
    },
  },
]
