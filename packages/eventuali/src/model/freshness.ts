import { InvalidArgumentError } from './errors.ts'

/** What a read that a replica may serve has to see. What is left out is the store's own bound. */
export interface FreshnessBound {
  /**
   * Everything up to this position: a token, such as the `position` of an append or a session.
   * `readAll` waits for it while an older transaction that is still open holds the log back there.
   */
  readonly position?: number | undefined
  /** Everything that there was this many milliseconds ago. `Infinity`: however old. */
  readonly withinMs?: number | undefined
}

/** How fresh a read has to be: as the primary, or within a bound that a replica may serve. */
export type Freshness = 'primary' | FreshnessBound

/** Throws InvalidArgumentError for what is no freshness. */
export function assertFreshness(fresh: unknown): asserts fresh is Freshness | undefined {
  if (fresh === undefined || fresh === 'primary') return
  if (typeof fresh !== 'object' || fresh === null) {
    throw new InvalidArgumentError('fresh', "must be 'primary' or { position, withinMs }")
  }
  const { position, withinMs } = fresh as FreshnessBound
  if (position !== undefined && (!Number.isSafeInteger(position) || position < 0)) {
    throw new InvalidArgumentError('fresh.position', 'must be a position: 0 or a positive integer')
  }
  if (withinMs !== undefined && !(typeof withinMs === 'number' && withinMs >= 0)) {
    throw new InvalidArgumentError('fresh.withinMs', 'must be milliseconds: 0 or more')
  }
}

/** The bound, made to see this position too; what reads the primary sees it anyway. */
export function freshAt(fresh: Freshness, position: number): Freshness {
  if (fresh === 'primary' || (fresh.position ?? 0) >= position) return fresh
  return { ...fresh, position }
}
