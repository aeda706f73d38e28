/** What a copy of the store up to a position is to hold. */
export interface ForkRequest {
  /** Where to: a file's path for SQLite, a schema of the same database for PostgreSQL. */
  readonly into: string
  /** Inclusive, at most the safe position. */
  readonly upTo: number
  /**
   * The store as it stands, with records, inline projections and read models: `upTo` is left out.
   * Consumers go on in the copy where they were. CapabilityError where a store cannot.
   */
  readonly whole?: boolean | undefined
  /** Called between two parts with the position that has been copied. */
  readonly onProgress?: ((position: number) => void) | undefined
}

/** A copy that is complete. */
export interface ForkOutcome {
  readonly incarnation: string
  /** The last position that is in it, where that is not the one asked for. */
  readonly position?: number
  readonly events: number
  readonly streams: number
  /**
   * Streams that were truncated or deleted after the position: the store has no longer what they
   * lost, and neither has the copy. The first 100 by name.
   */
  readonly reduced: readonly string[]
  readonly reducedCount: number
}
