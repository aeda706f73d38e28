import type { CommandRuntime } from '../commands/index.ts'
import {
  type EventRegistry,
  type Freshness,
  type RecordedEvent,
  StreamTruncatedError,
  validateData,
} from '../model/index.ts'
import type { EventStore, LogPositions, StreamAccess, StreamQuery } from '../ports/index.ts'
import { type FilterWords, filterOf, waitForPosition } from '../subscriptions/index.ts'
import {
  logQuery,
  type ReadAllOptions,
  type ReadStreamOptions,
  streamQuery,
} from './read-options.ts'

async function checked(registry: EventRegistry, event: RecordedEvent): Promise<RecordedEvent> {
  const definition = registry.get(event.type)
  if (definition === undefined) return event
  return { ...event, data: await validateData(definition, event.data) }
}

interface ReadableOptions {
  readonly validate?: boolean | undefined
  readonly types?: readonly string[] | undefined
  readonly limit?: number | undefined
  readonly direction?: 'forward' | 'backward' | undefined
}

/** Stored events as they are read today, in the order of the read. */
function seen(
  registry: EventRegistry,
  page: readonly RecordedEvent[],
  { types, direction }: ReadableOptions,
): readonly RecordedEvent[] {
  if (direction !== 'backward' || !registry.evolves) return registry.read(page, types)
  // What stands in the place of one event has an order of its own.
  return registry.read(page.toReversed(), types).toReversed()
}

/** Stored events as readers see them: upcast, decoded by their codec, checked when asked for. */
async function* readable(
  pages: AsyncIterable<readonly RecordedEvent[]>,
  { registry }: CommandRuntime,
  options: ReadableOptions,
): AsyncGenerator<readonly RecordedEvent[], void, void> {
  let left = options.limit ?? Number.POSITIVE_INFINITY
  for await (const page of pages) {
    const all = seen(registry, page, options)
    const events = all.length <= left ? all : all.slice(0, left)
    left -= events.length
    if (events.length > 0) {
      yield options.validate === true
        ? await Promise.all(events.map((event) => checked(registry, event)))
        : events
    }
    if (left <= 0) return
  }
}

/** Events read at once where the store's own limit cannot count what a reader sees. */
const EVOLVED_PAGE_SIZE_MAX = 1000

/**
 * The query as the store has to be asked: by the stored types, without a limit where one stored
 * event may be several or none.
 */
function storedQuery<Q extends { readonly limit?: number | undefined }>(
  registry: EventRegistry,
  query: Q,
): Q {
  if (!registry.evolves) return query
  const { types } = query as { readonly types?: readonly string[] | undefined }
  const stored = types === undefined ? {} : { types: registry.storedTypes(types) }
  if (query.limit === undefined || query.limit === 0) return { ...query, ...stored }
  const pageSize = Math.min(query.limit, EVOLVED_PAGE_SIZE_MAX)
  return { ...query, ...stored, limit: undefined, pageSize }
}

/** A subscription's options with the types under which what it asks for may be stored. */
export function storedFilter<
  O extends FilterWords & { readonly types?: readonly string[] | undefined },
>(registry: EventRegistry, options: O): O {
  const { types } = filterOf(options)
  if (!registry.evolves || types === undefined) return options
  return { ...options, type: undefined, types: registry.storedTypes(types) }
}

/** Throws StreamTruncatedError when the version asked for first is one that was removed. */
async function* fromKept(
  access: StreamAccess,
  query: StreamQuery,
  from: number,
  options: ReadStreamOptions,
): AsyncGenerator<readonly RecordedEvent[], void, void> {
  let isFirst = true
  for await (const page of access.readStream(query, options)) {
    if (isFirst && page[0]?.version !== from) await assertKept(access, query.stream, from, options)
    isFirst = false
    yield page
  }
  if (isFirst) await assertKept(access, query.stream, from, options)
}

async function assertKept(
  access: StreamAccess,
  stream: string,
  from: number,
  options: ReadStreamOptions,
): Promise<void> {
  const head = await access.stream(stream, options)
  if (head !== undefined && from < head.firstVersion) {
    throw new StreamTruncatedError(stream, head.firstVersion)
  }
}

/** Pages of one stream. The options are checked at once, not at the first page. */
export function streamPages(
  access: StreamAccess,
  runtime: CommandRuntime,
  stream: string,
  options: ReadStreamOptions,
): () => AsyncIterable<readonly RecordedEvent[]> {
  const query = storedQuery(runtime.registry, streamQuery(stream, options))
  const isForward = query.direction === 'forward'
  const { from } = query
  return () => {
    const pages =
      isForward && from !== undefined
        ? fromKept(access, query, from, options)
        : access.readStream(query, options)
    if (runtime.registry.size === 0 && options.validate !== true) return pages
    return readable(pages, runtime, options)
  }
}

/** How far a read of the log goes: as far as the caller's freshness asks for, at least. */
export async function freshPositions(
  port: EventStore,
  runtime: CommandRuntime,
  options: ReadAllOptions,
  fresh: Freshness | undefined,
): Promise<LogPositions> {
  // What is newest, and still open below, only the primary knows.
  const isNewest = options.upTo === 'newest'
  const positions = await port.positions(isNewest ? { ...options, fresh: 'primary' } : options)
  const wanted = typeof fresh === 'object' ? (fresh.position ?? 0) : 0
  // A position that no event has yet is not one to wait for: it came from elsewhere.
  if (isNewest || wanted <= positions.safe || wanted > positions.newest) return positions
  const safe = await waitForPosition(port, wanted, runtime.clock, options)
  return { safe, newest: Math.max(safe, positions.newest) }
}

/** Pages of the log up to the bound that is asked for when the read begins. */
export function logPages(
  access: StreamAccess,
  positions: () => Promise<LogPositions>,
  runtime: CommandRuntime,
  options: ReadAllOptions,
): () => AsyncIterable<readonly RecordedEvent[]> {
  const queryFor = logQuery(options)
  async function* read(): AsyncGenerator<readonly RecordedEvent[], void, void> {
    const query = storedQuery(runtime.registry, queryFor(await positions()))
    yield* access.readLog(query, options)
  }
  return () =>
    runtime.registry.size === 0 && options.validate !== true
      ? read()
      : readable(read(), runtime, options)
}
