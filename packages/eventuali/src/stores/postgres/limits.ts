import type { GroupLimits } from '../sql/index.ts'

/** Bounds and sizes, all of them optional. */
export interface PostgresLimits {
  /** Calls without a `timeoutMs` of their own end within this. */
  readonly timeoutMs: number
  /** An append that gets no answer for this long counts as lost, and is looked up. */
  readonly statementTimeoutMs: number
  readonly connectTimeoutMs: number
  /** Appends that may each wait for another transaction at the same time. */
  readonly laneCountMax: number
  /** Groups of appends under way at the same time. */
  readonly groupCountMax: number
  readonly group: Partial<GroupLimits>
}

/** What holds where an operator says nothing. */
export const limitsDefault: PostgresLimits = {
  timeoutMs: 30_000,
  statementTimeoutMs: 10_000,
  connectTimeoutMs: 5_000,
  laneCountMax: 4,
  groupCountMax: 1,
  group: {},
}
