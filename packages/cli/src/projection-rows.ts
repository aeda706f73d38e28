import {
  type ProjectionStatus,
  type RegisteredProjection,
  registeredProjections,
  type Store,
} from 'eventuali'
import { type MeasuredLag, measureLag, stateOf } from './lag-rates.ts'

/** A projection as the store has it, beside what the configuration defines. */
export interface ProjectionRow {
  readonly name: string
  /** Of the definition in the configuration; undefined for one that it does not have. */
  readonly version: number | undefined
  readonly mode: string | undefined
  /**
   * `unregistered`: nobody has started it. `building`: nothing is live yet. `outdated`: another
   * version is live. `inline`: runs in appends. Otherwise as its subscription is.
   */
  readonly state: string
  readonly live: RegisteredProjection['live']
  readonly paused: boolean
  readonly position: number | undefined
  readonly lag: number | undefined
  readonly behindMs: number | undefined
  readonly ratePerSecond: number | undefined
  readonly etaMs: number | undefined
  readonly generations: RegisteredProjection['generations']
  /** Builds under way, with what is left and how long that takes at the speed of the look. */
  readonly builds: readonly (RegisteredProjection['builds'][number] & {
    readonly lag: number
    readonly etaMs: number | undefined
  })[]
}

function rowState(
  row: RegisteredProjection | undefined,
  defined: ProjectionStatus | undefined,
  lag: MeasuredLag | undefined,
): string {
  if (row === undefined) return 'unregistered'
  if (row.live === undefined) return 'building'
  if (defined !== undefined && row.live.version !== defined.version) return 'outdated'
  if (row.live.mode === 'inline') return 'inline'
  if (row.paused) return 'paused'
  return lag === undefined ? 'idle' : stateOf(lag)
}

function buildsOf(
  before: RegisteredProjection | undefined,
  now: RegisteredProjection,
  safe: number,
  elapsedMs: number,
): ProjectionRow['builds'] {
  return now.builds.map((build) => {
    const lag = Math.max(0, safe - build.position)
    const was = before?.builds.find(({ generation }) => generation === build.generation)
    const perMs = was === undefined ? 0 : (build.position - was.position) / elapsedMs
    return { ...build, lag, etaMs: lag === 0 ? 0 : perMs > 0 ? lag / perMs : undefined }
  })
}

/** All projections of a store and of the configuration; looked at twice, `sampleMs` apart. */
export async function projectionRows(
  store: Store,
  { sampleMs, signal }: { readonly sampleMs: number; readonly signal: AbortSignal },
): Promise<readonly ProjectionRow[]> {
  const call = { signal }
  const before = await registeredProjections(store, call)
  const names = before.flatMap(({ subscription }) => subscription ?? [])
  const begun = performance.now()
  const lags = new Map(
    (await measureLag(store, { sampleMs, names, signal })).map((lag) => [lag.name, lag]),
  )
  const elapsedMs = performance.now() - begun
  const registered = await registeredProjections(store, call)
  const { safe, newest } = await store.positions(call)
  const defined = new Map((await store.projections.status(call)).map((one) => [one.name, one]))
  const all = new Set([...registered.map(({ name }) => name), ...defined.keys()])
  return [...all].sort().map((name) => {
    const row = registered.find((one) => one.name === name)
    const definition = defined.get(name)
    const lag = lags.get(row?.subscription ?? '')
    const isInline = row?.live?.mode === 'inline'
    const position = isInline ? newest : (lag?.position ?? row?.live?.position)
    return {
      ...{ name, version: definition?.version, mode: row?.live?.mode ?? definition?.mode },
      ...{ state: rowState(row, definition, lag), live: row?.live, paused: row?.paused ?? false },
      position,
      lag: position === undefined || isInline ? position && 0 : Math.max(0, safe - position),
      behindMs: isInline ? 0 : lag?.behindMs,
      ...{ ratePerSecond: lag?.ratePerSecond, etaMs: lag?.etaMs },
      generations: row?.generations ?? [],
      builds:
        row === undefined
          ? []
          : buildsOf(
              before.find((one) => one.name === name),
              row,
              safe,
              elapsedMs,
            ),
    }
  })
}
