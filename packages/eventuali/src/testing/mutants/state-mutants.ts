import type { RecordedEvent, StreamInfo } from '../../model/index.ts'
import type {
  AppendEntry,
  AppendedEntry,
  AppendOutcome,
  AppendRequest,
  EventStore,
  StreamAccess,
} from '../../ports/index.ts'
import { wrapStore } from '../wrap.ts'
import type { StoreMutant } from './mutant.ts'
import { unboundTransaction } from './unbound.ts'

/** Positions as a store gives them out that takes `max(position) + 1`. */
class ReusedPositions {
  /** From this true position on, shown positions are lower by `shift`. */
  readonly #parts: { readonly from: number; readonly shift: number }[] = [{ from: 0, shift: 0 }]

  shown(position: number): number {
    return position - (this.#parts.findLast((part) => part.from <= position)?.shift ?? 0)
  }

  real(shown: number): number {
    return shown + (this.#parts.findLast((part) => part.from - part.shift <= shown)?.shift ?? 0)
  }

  /** The row at `position` follows the highest kept one without a gap. */
  closeGap(position: number, newestKept: number): void {
    this.#parts.push({ from: position, shift: position - this.shown(newestKept) - 1 })
  }
}

async function newestBelow(next: StreamAccess, position: number): Promise<number> {
  const query = {
    direction: 'backward',
    upTo: position - 1,
    limit: 1,
    includeArchived: true,
  } as const
  for await (const page of next.readLog(query)) return page[0]?.position ?? 0
  return 0
}

function reusePositions(store: EventStore): EventStore {
  const map = new ReusedPositions()
  const show = (event: RecordedEvent) => ({ ...event, position: map.shown(event.position) })
  const real = (position: number | undefined) =>
    position === undefined || position === Number.MAX_SAFE_INTEGER ? position : map.real(position)
  return wrapStore(store, {
    append: async (next, request, options) => {
      const outcome = await next.append(request, options)
      if (!outcome.ok) return outcome
      const change = request.entries[0]?.change?.kind
      const position = outcome.entries[0]?.positions[0] ?? 0
      if (change === 'delete') map.closeGap(position, await newestBelow(next, position))
      const entries = outcome.entries.map((entry) => ({
        ...entry,
        positions: entry.positions.map((p) => map.shown(p)),
      }))
      return { ok: true, entries }
    },
    readStream: async function* (next, query, options) {
      for await (const page of next.readStream(query, options)) yield page.map(show)
    },
    readLog: async function* (next, query, options) {
      const upTo = real(query.upTo) as number
      const bounds = { upTo, after: real(query.after), before: real(query.before) }
      for await (const page of next.readLog({ ...query, ...bounds }, options)) yield page.map(show)
    },
    positions: async (next) => {
      const { safe, newest } = await next.positions()
      return { safe: map.shown(safe), newest: map.shown(newest) }
    },
  })
}

/** Begins a stream's versions anew when `kind` empties it: its rows go to another stream below. */
function reuseVersions(kind: 'truncate' | 'delete'): (store: EventStore) => EventStore {
  return (store) => {
    const below = new Map<string, string>()
    const above = new Map<string, string>()
    const inner = (name: string) => below.get(name) ?? name
    const outer = <T extends { readonly stream: string }>(value: T): T => ({
      ...value,
      stream: above.get(value.stream) ?? value.stream,
    })
    const renew = async (next: StreamAccess, entry: AppendEntry): Promise<AppendEntry> => {
      const { stream, change } = entry
      const head = await next.stream(inner(stream))
      const empties =
        change?.kind === kind &&
        (change.kind !== 'truncate' || change.before === (head?.version ?? 0) + 1)
      if (!empties) return { ...entry, stream: inner(stream) }
      const fresh = `${inner(stream)}+`
      below.set(stream, fresh)
      above.set(fresh, stream)
      return { ...entry, stream: fresh, expectedVersion: 'any' }
    }
    return wrapStore(store, {
      append: async (next, request, options) => {
        const entries = await Promise.all(request.entries.map((entry) => renew(next, entry)))
        const outcome = await next.append({ ...request, entries }, options)
        if (outcome.ok) return { ok: true, entries: outcome.entries.map(outer<AppendedEntry>) }
        return 'stream' in outcome ? outer(outcome) : outcome
      },
      readStream: async function* (next, query, options) {
        const pages = next.readStream({ ...query, stream: inner(query.stream) }, options)
        for await (const page of pages) yield page.map(outer<RecordedEvent>)
      },
      stream: async (next, name) => {
        const info = await next.stream(inner(name))
        return info === undefined ? undefined : outer<StreamInfo>(info)
      },
    })
  }
}

/** Tries again in a way that gets past a refusal for `reason`. */
function pastRefusal(
  reason: 'stream-archived' | 'stream-deleted',
  change: (entry: AppendEntry) => AppendEntry,
): (store: EventStore) => EventStore {
  return (store) =>
    wrapStore(store, {
      append: async (next, request, options) => {
        const outcome = await next.append(request, options)
        if (outcome.ok || outcome.reason !== reason) return outcome
        return next.append({ ...request, entries: request.entries.map(change) }, options)
      },
    })
}

interface Waiting {
  readonly next: StreamAccess
  readonly request: AppendRequest
  readonly settle: (outcome: AppendOutcome) => void
  readonly fail: (error: unknown) => void
}

/** A group commit in which the refusal of one caller is the refusal of all. */
function sharedFate(store: EventStore): EventStore {
  let group: Waiting[] = []
  const flush = async (): Promise<void> => {
    const callers = group
    group = []
    try {
      const outcomes: AppendOutcome[] = []
      for (const { next, request } of callers) outcomes.push(await next.append(request))
      const refusal = outcomes.find((outcome) => !outcome.ok)
      for (const [i, { settle }] of callers.entries()) {
        settle(refusal ?? (outcomes[i] as AppendOutcome))
      }
    } catch (error) {
      for (const { fail } of callers) fail(error)
    }
  }
  return wrapStore(store, {
    append: (next, request) =>
      new Promise((settle, fail) => {
        if (group.length === 0) queueMicrotask(() => void flush())
        group.push({ next, request, settle, fail })
      }),
  })
}

/** Stores that keep a wrong state. */
export const stateMutants: readonly StoreMutant[] = [
  {
    name: 'uses positions again after a deletion',
    caughtBy: 'positions: are not used again after the newest stream is deleted',
    wrap: reusePositions,
  },
  {
    name: 'uses versions again after a truncation',
    caughtBy: 'truncate: before the next version leaves only its system event',
    wrap: reuseVersions('truncate'),
  },
  {
    name: 'uses versions again after a deletion',
    caughtBy: 'delete: leaves a tombstone, at the next version',
    wrap: reuseVersions('delete'),
  },
  {
    name: 'takes appends to archived streams',
    caughtBy: 'archive: appends its system event and makes the stream read-only',
    wrap: pastRefusal('stream-archived', (entry) => ({
      ...entry,
      // A truncation that removes nothing is allowed on an archived stream.
      change: { kind: 'truncate', before: 1 },
    })),
  },
  {
    name: 'takes appends to deleted streams',
    caughtBy: 'delete: any append is refused, whatever version it expects',
    wrap: pastRefusal('stream-deleted', (entry) => ({
      ...entry,
      recreate: true,
      expectedVersion: 'any',
    })),
  },
  {
    name: 'does not roll transactions back',
    caughtBy: 'transaction: a throw rolls everything back and comes out as it was',
    wrap: (store) =>
      wrapStore(store, {
        transaction: (next, work) => work(unboundTransaction(next)),
      }),
  },
  {
    name: 'lets one failing caller fail its whole group',
    caughtBy: 'isolation: a version conflict touches its own call only',
    wrap: sharedFate,
  },
  {
    name: 'does not hear an aborted signal',
    caughtBy: 'signals: an aborted one ends each call with its reason',
    wrap: (store) =>
      wrapStore(store, {
        append: (next, request) => next.append(request),
      }),
  },
  {
    name: 'never calls its watchers back',
    caughtBy: 'watch: calls back after an append, until it is stopped',
    wrap: (store) => wrapStore(store, { watch: () => () => {} }),
  },
  {
    name: 'goes on calling watchers that have stopped',
    caughtBy: 'watch: each listener is called, and stops for itself',
    wrap: (store) =>
      wrapStore(store, {
        watch: (next, listener) => {
          next.watch(listener)
          return () => {}
        },
      }),
  },
]
