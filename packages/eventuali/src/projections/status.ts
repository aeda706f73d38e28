import type { ConsumerState } from '../subscriptions/index.ts'
import type { BuildProgress } from './build.ts'
import type { ProjectionMode } from './define.ts'
import type { GenerationStatus } from './registry.ts'

/**
 * `unregistered`: nobody has started it. `building`: nothing is live yet. `outdated`: what is live
 * belongs to another version, `rebuild` makes this one live. `inline`: runs in appends. Otherwise
 * as its consumer is in this process.
 */
export type ProjectionState = 'unregistered' | 'building' | 'outdated' | 'inline' | ConsumerState

/** One set of tables of a projection. */
export interface GenerationInfo {
  readonly generation: number
  readonly version: number
  readonly mode: ProjectionMode
  readonly status: GenerationStatus
  /** Physical names by collection or table. */
  readonly tables: { readonly [target: string]: string }
}

/** How a projection is. */
export interface ProjectionStatus {
  readonly name: string
  /** Of the definition in this program. */
  readonly version: number
  readonly mode: ProjectionMode
  readonly state: ProjectionState
  /** Number and version of what readers see. */
  readonly live: { readonly generation: number; readonly version: number } | undefined
  /** Log position that readers see; undefined while nothing is live. */
  readonly position: number | undefined
  /** Positions between it and the log's safe position. */
  readonly lag: number | undefined
  readonly paused: boolean
  readonly generations: readonly GenerationInfo[]
  /** The build that this process is at. */
  readonly build: BuildProgress | undefined
  /** Why it does not go on, where this process knows. */
  readonly error: unknown
}
