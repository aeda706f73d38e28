import type { CallOptions, EventStore } from '../ports/index.ts'
import type { ConsumerState } from '../subscriptions/index.ts'
import type { BuildProgress } from './build.ts'
import type { AnyProjection, ProjectionMode } from './define.ts'
import type { Keeper } from './keeper.ts'
import { livePosition } from './projected.ts'
import { type GenerationStatus, liveOf, type Registered, readRegistered } from './registry.ts'

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

/** The sets of tables that are there. */
export function generationsOf({ generations }: Registered): readonly GenerationInfo[] {
  return Object.entries(generations).map(([key, { version, mode, status, tables }]) => ({
    generation: Number(key),
    ...{ version, mode, status, tables },
  }))
}

function stateOf(
  { version }: AnyProjection,
  registered: Registered | undefined,
  consumer: ConsumerState | undefined,
): ProjectionState {
  if (registered === undefined) return 'unregistered'
  const live = liveOf(registered)
  if (live === undefined) return 'building'
  if (live.version !== version) return 'outdated'
  return live.mode === 'inline' ? 'inline' : (consumer ?? 'stopped')
}

/** How a projection is, seen from this process. */
export async function statusOf(
  port: EventStore,
  keeper: Keeper,
  definition: AnyProjection,
  safe: number,
  options: CallOptions,
): Promise<ProjectionStatus> {
  const { name, version, mode } = definition
  const registered = (await readRegistered(port.records, name))?.value
  const live = liveOf(registered)
  const consumer = keeper.liveConsumer(name)
  const stored = await livePosition(port, name, options)
  const position = stored === undefined ? undefined : Math.max(stored, consumer?.position ?? stored)
  return {
    ...{ name, version, mode, position },
    state: stateOf(definition, registered, consumer?.state),
    live: live && { generation: live.generation, version: live.version },
    lag: position === undefined ? undefined : Math.max(0, safe - position),
    paused: registered?.paused ?? false,
    generations: registered === undefined ? [] : generationsOf(registered),
    build: keeper.builds.running(name)?.progress,
    error: keeper.errorOf(name),
  }
}
