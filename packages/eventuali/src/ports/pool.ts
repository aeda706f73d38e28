/** The kinds of work that a store with a pool keeps apart. */
export type PoolLaneName = 'appends' | 'reads' | 'subscriptions' | 'transactions'

/** What one lane of a pool does, and has done since the store was opened. */
export interface PoolLaneStatistics {
  /** Connections at most. They are opened when they are first needed. */
  readonly size: number
  /** Connections in use now. */
  readonly inUse: number
  /** Calls that wait for one now. */
  readonly waiting: number
  /** How many times one was taken. */
  readonly acquired: number
  /** How many calls found all of them taken. */
  readonly waits: number
  /** Milliseconds that those waited together, and the longest wait. */
  readonly waitedMs: number
  readonly waitedMsMax: number
  /** How many of those gave up: their own time, or `acquireTimeoutMs`, was over. */
  readonly timeouts: number
}

/** The connections of a store, lane by lane. Lanes of a pool that was handed in may be one. */
export type PoolStatistics = Readonly<Record<PoolLaneName, PoolLaneStatistics>>
