import type { CallOptions, RecordReads } from '../ports/index.ts'
import { isNewest, SNAPSHOT } from './entry.ts'

/** Of which streams to list kept states. */
export interface KeptQuery {
  /** Only streams whose names begin so. */
  readonly prefix?: string | undefined
  /** Streams after this one only (exclusive): the last one of the page before. */
  readonly after?: string | undefined
  /** Streams in one page; 100. */
  readonly limit?: number | undefined
}

const PAGE_COUNT = 500
const LIMIT = 100

/** Names of streams of which states are kept, in order. */
export async function streamsKept(
  records: RecordReads,
  { prefix, after, limit = LIMIT }: KeptQuery,
  options?: CallOptions,
): Promise<readonly string[]> {
  const streams: string[] = []
  for (let from = after; streams.length < limit; ) {
    const query = { kind: SNAPSHOT, prefix, after: from, limit: PAGE_COUNT }
    const rows = await records.list(query, options)
    from = rows.at(-1)?.key
    if (from === undefined) break
    streams.push(...rows.filter(isNewest).map(({ key }) => key))
  }
  return streams.slice(0, limit)
}
