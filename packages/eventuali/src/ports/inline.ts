/** A projection that runs in the append's own transaction. */
export interface InlineProjection {
  readonly name: string
  /** Its definition's version: code of another one does not count. */
  readonly version: number
  /** Event types that it handles. */
  readonly types: readonly string[]
}

/**
 * The list of inline projections that every writer must run. The database itself refuses an append
 * of a handled type by a writer that does not say that it runs the projection, whatever program
 * or library version it is: refusal `projection-missing`.
 */
export interface InlineAccess {
  list(): Promise<readonly InlineProjection[]>
  /** Adds the projection, or takes the place of one with the same name. */
  register(projection: InlineProjection): Promise<void>
  unregister(name: string): Promise<void>
}
