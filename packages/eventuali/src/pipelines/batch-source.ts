import {
  type BatchBounds,
  type ImportBatch,
  isSkipped,
  itemOf,
  LineReader,
  readBatches,
  splitSource,
} from './import-lines.ts'
import { type ImportSource, openSource } from './source.ts'

/** What an import reads. */
export interface BatchJob {
  readonly source: ImportSource
  readonly name: string
  readonly bounds: BatchBounds
  readonly now: () => number
  readonly signal: AbortSignal | undefined
}

/** The batches of a source, for one pass. */
export interface BatchSource {
  /** They fail with ImportSourceError, or with the signal's reason as soon as it is aborted. */
  readonly batches: AsyncIterable<ImportBatch>
  /** Bytes read so far, packed ones of a packed source. */
  bytesRead(): number
  /** Streams of the source, once `batches` has come to its end. */
  streamCount(): number
  /** Releases everything; safe to call more than once. */
  close(): Promise<void>
}

/** Reads and parses a source in this thread, between one batch and the next. */
export function readHere({ source, name, bounds, now, signal }: BatchJob): BatchSource {
  const { chunks, bytesRead, close } = openSource(source, name, signal)
  const reader = new LineReader(name)
  const batches = readBatches(
    splitSource(chunks, name),
    (line) => {
      const read = reader.read(line)
      return isSkipped(read) ? read : itemOf(read, now)
    },
    bounds,
  )
  return { batches, bytesRead, streamCount: () => reader.streamCount, close: async () => close() }
}
