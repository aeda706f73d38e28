import type { Clock } from '../../kernel/index.ts'
import type { StorageState } from '../../ports/index.ts'
import type { BoundedCall } from '../read-options.ts'
import type { ConsumerLag } from './consumer-lag.ts'

/** `degraded`: it works, and somebody should look. `failed`: it does not do what it is for. */
export type HealthStatus = 'healthy' | 'degraded' | 'failed'

/** What was looked at. */
export type HealthCheckName =
  | 'read'
  | 'write'
  | 'durability'
  | 'migrations'
  | 'safe-position'
  | 'consumers'
  | 'dead-letters'
  | 'processes'
  | 'disk'
  | 'pool'
  | 'replicas'

/** One thing that was looked at. */
export interface HealthCheck {
  readonly name: HealthCheckName
  readonly status: HealthStatus
  /** What was found, and where it is not healthy also what to do. */
  readonly message: string
}

/** Where it is no longer healthy. */
export interface HealthThresholds {
  /** Milliseconds of one probe, read or written; 1,000. */
  readonly latencyMsMax: number
  /** Positions between a subscription and the safe position; 10,000. */
  readonly lagMax: number
  /** Milliseconds for which the first event that a subscription has not done is there; 60,000. */
  readonly behindMsMax: number
  /** Dead letters that wait for somebody; 0. */
  readonly deadLettersMax: number
  /** Milliseconds for which one transaction may hold the safe position; 60,000. */
  readonly blockedMsMax: number
  /** Bytes that the disk should have left: below is degraded, below an eighth failed; 1 GiB. */
  readonly freeBytesMin: number
}

/** Options of `checkHealth`. */
export interface HealthOptions extends BoundedCall {
  /** Milliseconds for each of the checks; 10,000. One that takes longer has failed. */
  readonly timeoutMs?: number | undefined
  readonly thresholds?: Partial<HealthThresholds> | undefined
  /**
   * Whether to write as well: a record that is committed and removed again; no event. True when
   * left out.
   */
  readonly write?: boolean | undefined
  /** For repeatable runs: the source of time. */
  readonly clock?: Clock | undefined
}

/** How a store is. */
export interface HealthReport {
  /** The worst of the checks. */
  readonly status: HealthStatus
  readonly at: Date
  readonly adapter: string
  readonly incarnation: string
  readonly checks: readonly HealthCheck[]
  /** How far the log goes; undefined when it could not be read. */
  readonly positions: { readonly safe: number; readonly newest: number } | undefined
  /** Milliseconds that the probes took; undefined for one that failed or was left out. */
  readonly readMs: number | undefined
  readonly writeMs: number | undefined
  /** Settings as read back from the storage. */
  readonly settings: Readonly<Record<string, string>>
  /** Undefined for stores in memory. */
  readonly storage: StorageState | undefined
  readonly consumers: readonly ConsumerLag[]
  /** Parked dead letters of each subscription that has some. */
  readonly deadLetters: Readonly<Record<string, number>>
}

export const thresholdsDefault: HealthThresholds = {
  latencyMsMax: 1000,
  lagMax: 10_000,
  behindMsMax: 60_000,
  deadLettersMax: 0,
  blockedMsMax: 60_000,
  freeBytesMin: 1024 ** 3,
}
