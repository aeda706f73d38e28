/** What a copy of the store up to a position is to hold. */
export interface ForkRequest {
  /** Where to: a file's path for SQLite, a schema of the same database for PostgreSQL. */
  readonly into: string
  /** Inclusive, at most the safe position. */
  readonly upTo: number
  /** Called between two parts with the position that has been copied. */
  readonly onProgress?: ((position: number) => void) | undefined
}

/** A copy that is complete. */
export interface ForkOutcome {
  readonly incarnation: string
  readonly events: number
  readonly streams: number
  /**
   * Streams that were truncated or deleted after the position: the store has no longer what they
   * lost, and neither has the copy. The first 100 by name.
   */
  readonly reduced: readonly string[]
  readonly reducedCount: number
}
