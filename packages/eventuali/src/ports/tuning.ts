/** One setting, or one piece of upkeep, that would do a store good. */
export interface TuningAdvice {
  /** Stays the same, so that it can be asked for: `vacuum`, `streams.fillfactor`. */
  readonly name: string
  /** `store`: its own file or tables, so it can be applied. `server`: others are met as well. */
  readonly scope: 'store' | 'server'
  /** As it is. */
  readonly now: string
  readonly suggested: string
  readonly why: string
  /** What would be run, in the store's own language. */
  readonly statement: string
  /** True once it was run. */
  readonly applied: boolean
}

/** What to look for, and what of it to do. */
export interface TuneRequest {
  /** Names of advice to carry out; `all`: everything whose scope is the store. */
  readonly apply: readonly string[] | 'all'
}
