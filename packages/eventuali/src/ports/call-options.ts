import type { Freshness } from '../model/index.ts'

/** Bounds of one call. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined
  /** Milliseconds until the call must have ended, one way or the other. */
  readonly timeoutMs?: number | undefined
}

/** Bounds of one read. */
export interface ReadOptions extends CallOptions {
  /**
   * How fresh it has to be, where replicas may serve it; as the primary when left out. A store
   * without replicas is always as fresh as can be.
   */
  readonly fresh?: Freshness | undefined
}

/** Bounds of a look at the positions. */
export interface PositionsOptions extends ReadOptions {
  /**
   * Also leaves the safe position where the store's replicas find it, behind all events up to
   * there. That it could not be left is no failure: the next look does it.
   */
  readonly publish?: boolean | undefined
}
