import type { BenchEvent } from '../workload.ts'
import type { Consume } from './orders.ts'

/** Brings a package of the folder into which the peers were installed. */
export type Bring = <T>(name: string) => Promise<T>

/** A peer's store, ready to be measured; what it does not offer is missing. */
export interface PeerStore {
  append(stream: string, events: readonly BenchEvent[]): Promise<unknown>
  /** As its aggregates do it: reads and folds; gives the number of events folded. */
  load(stream: string): Promise<number>
  /** The whole log, in order of its positions; gives the number of events. */
  scan?(): Promise<number>
  consume?(how: Consume): Promise<number>
  /** Its durability, read back through its own connection. */
  settings(): Promise<string>
  close(): Promise<void> | void
}

/** Opens it on a file or a database that has no tables yet. */
export type OpenPeer = (bring: Bring, url: string) => Promise<PeerStore>

/** What an aggregate of the bench holds. */
export interface Totals {
  readonly count: number
  readonly total: number
}

export const noTotals: Totals = { count: 0, total: 0 }

export function addTo(state: Totals, data: object): Totals {
  const { total } = data as { readonly total: number }
  return { count: state.count + 1, total: state.total + total }
}
