import type { RecordedEvent, StreamInfo } from '../model/index.ts'
import type { LogQuery, StreamQuery, StreamsQuery } from '../ports/index.ts'
import type { Continued } from './reading.ts'

/** The query without what has been delivered; nothing when its limit is reached. */
function left<Query extends { readonly limit?: number | undefined }>(
  query: Query,
  page: readonly unknown[],
  bounds: Partial<Query>,
): Query | undefined {
  const limit = query.limit === undefined ? undefined : query.limit - page.length
  return limit !== undefined && limit <= 0 ? undefined : { ...query, ...bounds, limit }
}

/** The log goes on after (or before) the position of the last event. */
export const logRead: Continued<LogQuery, RecordedEvent> = {
  read: (store, query, options) => store.readLog(query, options),
  rest: (query, page) => {
    const position = page.at(-1)?.position
    if (position === undefined) return query
    const isForward = query.direction === 'forward'
    return left(query, page, isForward ? { after: position } : { before: position })
  },
}

/** A stream goes on after (or before) the version of the last event. */
export const streamRead: Continued<StreamQuery, RecordedEvent> = {
  read: (store, query, options) => store.readStream(query, options),
  rest: (query, page) => {
    const version = page.at(-1)?.version
    if (version === undefined) return query
    const isForward = query.direction === 'forward'
    return left(query, page, isForward ? { from: version + 1 } : { to: version - 1 })
  },
}

/** A list of streams goes on after the last name. */
export const streamsRead: Continued<StreamsQuery, StreamInfo> = {
  read: (store, query, options) => store.streams(query, options),
  rest: (query, page) => {
    const name = page.at(-1)?.stream
    return name === undefined ? query : left(query, page, { after: name })
  },
}
