import type { CodecOptions } from '../model/index.ts'

/** Which part of the log is written anew, and how. */
export interface RecodeRequest {
  /** What the data is to be stored with; `{}` is plain JSON text. */
  readonly codec: CodecOptions
  /** Exclusive. */
  readonly after: number
  /** Inclusive. */
  readonly upTo: number
  /** Events that are looked at, at most; an adapter takes fewer when they are large. */
  readonly countMax: number
}

/** What one such part came to. */
export interface RecodeStep {
  /** The last position that was looked at: the next part's `after`. `upTo` at the end. */
  readonly position: number
  /** Events that were looked at. */
  readonly seen: number
  /** Events that are stored in another way now. */
  readonly changed: number
  /** Bytes of the data that was looked at, as stored before and after. */
  readonly bytesBefore: number
  readonly bytesAfter: number
}
