/** How the states of one aggregate are kept. */
export interface SnapshotRules<S> {
  /**
   * Raise it when handlers change in a way that their own source does not show; 1 when left out.
   */
  readonly version?: number
  /** From the state to what JSON carries, where it does not carry the state itself. Pure. */
  encode?(state: S): unknown
  /** Back again. Pure. */
  decode?(stored: unknown): S
}
