import type { RecordedEvent, StreamInfo } from '../../model/index.ts'
import type {
  AppendOutcome,
  AppendRequest,
  CallOptions,
  LogQuery,
  ModelReads,
  ModelRow,
  ReadOptions,
  RecordReads,
  StoredDocument,
  StoredRecord,
  StreamAccess,
  StreamQuery,
} from '../../ports/index.ts'
import type { CallKind } from './failures.ts'
import {
  appendText,
  eventFrom,
  infoFrom,
  orUndefined,
  outcomeFrom,
  recordFrom,
  type WireEvent,
  type WireInfo,
  type WirePage,
} from './wire.ts'

/** Makes one call of the port by its name, of a store or of an open transaction. */
export type Call = (
  name: string,
  input: unknown,
  kind: CallKind,
  options?: ReadOptions,
  /** The input as text, where it is text already. */
  text?: string,
) => Promise<unknown>

/** Pages of one read: each is asked for with what was seen before it. */
async function* pagesOf<Q extends { readonly limit?: number | undefined }>(
  call: Call,
  name: string,
  first: Q,
  next: (query: Q, last: RecordedEvent) => Q,
  options: ReadOptions | undefined,
): AsyncGenerator<readonly RecordedEvent[], void, void> {
  let query = first
  for (;;) {
    options?.signal?.throwIfAborted()
    const { events, more } = (await call(name, query, 'read', options)) as WirePage
    if (events.length === 0) return
    const page = events.map(eventFrom)
    yield page
    if (!more) return
    const limit = query.limit === undefined ? undefined : query.limit - page.length
    query = { ...next(query, page.at(-1) as RecordedEvent), limit }
  }
}

/** The calls that a store and a transaction have in common. */
export function streamAccess(call: Call): StreamAccess {
  return {
    append: async (request: AppendRequest, options?: CallOptions): Promise<AppendOutcome> => {
      const text = appendText(request)
      return outcomeFrom(await call('append', undefined, 'write', options, text))
    },
    readStream: (query, options) =>
      pagesOf(
        call,
        'read-stream',
        query,
        (asked: StreamQuery, { version }) =>
          asked.direction === 'forward'
            ? { ...asked, from: version + 1 }
            : { ...asked, to: version - 1 },
        options,
      ),
    readLog: (query, options) =>
      pagesOf(
        call,
        'read-log',
        query,
        (asked: LogQuery, { position }) =>
          asked.direction === 'forward'
            ? { ...asked, after: position }
            : { ...asked, before: position },
        options,
      ),
    eventById: async (stream, id, options) => {
      const answer = await call('event-by-id', { stream, id }, 'read', options)
      const { event } = answer as { readonly event?: WireEvent }
      return event === undefined ? undefined : eventFrom(event)
    },
    stream: async (name, options): Promise<StreamInfo | undefined> => {
      const answer = await call('stream', { stream: name }, 'read', options)
      const { info } = answer as { readonly info?: WireInfo }
      return info === undefined ? undefined : infoFrom(info)
    },
  }
}

/** Reads of records. */
export function recordReads(call: Call): RecordReads {
  return {
    get: async (kind, keys, options) => {
      const answer = await call('records.get', { kind, keys }, 'read', options)
      return recordsFrom(answer)
    },
    list: async (query, options) => {
      const found = (await call('records.list', query, 'read', options)) as readonly StoredRecord[]
      return found.map(recordFrom)
    },
  }
}

/** Records for keys, each or none. */
export function recordsFrom(answer: unknown): readonly (StoredRecord | undefined)[] {
  const found = orUndefined(answer as readonly (StoredRecord | null)[])
  return found.map((record) => (record === undefined ? undefined : recordFrom(record)))
}

/** Reads of read models. */
export function modelReads(call: Call): ModelReads {
  return {
    get: async (table, keys, options) => {
      const found = await call('models.get', { table, keys }, 'read', options)
      return orUndefined(found as readonly (StoredDocument | null)[])
    },
    find: async (table, query, options) =>
      (await call('models.find', { table, query }, 'read', options)) as readonly StoredDocument[],
    count: async (table, filters, options) =>
      (await call('models.count', { table, filters }, 'read', options)) as number,
    rows: async (table, page, options) =>
      (await call('models.rows', { table, ...page }, 'read', options)) as readonly ModelRow[],
  }
}
