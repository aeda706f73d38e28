import type { CommandRuntime } from '../commands/index.ts'
import {
  type EventRegistry,
  type RecordedEvent,
  StreamTruncatedError,
  validateData,
} from '../model/index.ts'
import type { LogPositions, StreamAccess, StreamQuery } from '../ports/index.ts'
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

/** Stored events as readers see them: decoded by their codec, checked when asked for. */
async function* readable(
  pages: AsyncIterable<readonly RecordedEvent[]>,
  { registry }: CommandRuntime,
  validate: boolean | undefined,
): AsyncGenerator<readonly RecordedEvent[], void, void> {
  for await (const page of pages) {
    const decoded = registry.size === 0 ? page : page.map((event) => registry.decode(event))
    yield validate === true
      ? await Promise.all(decoded.map((event) => checked(registry, event)))
      : decoded
  }
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
  const query = streamQuery(stream, options)
  const isForward = query.direction === 'forward'
  const { from } = query
  return () => {
    const pages =
      isForward && from !== undefined
        ? fromKept(access, query, from, options)
        : access.readStream(query, options)
    if (runtime.registry.size === 0 && options.validate !== true) return pages
    return readable(pages, runtime, options.validate)
  }
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
    yield* access.readLog(queryFor(await positions()), options)
  }
  return () =>
    runtime.registry.size === 0 && options.validate !== true
      ? read()
      : readable(read(), runtime, options.validate)
}
