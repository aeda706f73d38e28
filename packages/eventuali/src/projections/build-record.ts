import { type Json, ProjectionBuildLostError } from '../model/index.ts'
import type { RecordAccess, RecordReads } from '../ports/index.ts'

const KIND = 'projection-build'

/** How a build goes about its work; kept, so that whoever resumes it does the same. */
export interface BuildSettings {
  /** Whether the new generation is compared with the old one before the switch. */
  readonly compare: boolean
  /** Whether a difference keeps the old one live. */
  readonly requireEqual: boolean
  /** What happens at an event whose handler fails, after some tries. */
  readonly onError: 'fail' | 'skip'
  /** Who asked for it, for the audit. */
  readonly actor: string
}

/** A build under way: who does it, and how far it has come. */
export interface BuildValue extends BuildSettings {
  /** Grows with every builder: what an earlier one writes is refused. */
  readonly epoch: number
  readonly owner: string
  /** Everything at or below it is in the tables. */
  readonly position: number
  /** Events handled. */
  readonly events: number
  /** Positions of events that were passed over, the first 1,000. */
  readonly skipped: readonly number[]
  /** Why it was given up, until somebody asks for it again; null while it goes on. */
  readonly failed: string | null
}

/** A build with the revision that its builder's next write expects. */
export interface BuildRow {
  readonly revision: number
  readonly value: BuildValue
}

function keyOf(name: string, generation: number): string {
  return `${name}/g${generation}`
}

/** The build of a generation, if there is one. */
export async function readBuild(
  records: RecordReads,
  name: string,
  generation: number,
): Promise<BuildRow | undefined> {
  const [found] = await records.get(KIND, [keyOf(name, generation)])
  if (found === undefined) return undefined
  return { revision: found.revision, value: found.value as unknown as BuildValue }
}

/** The same, kept from changing. Throws ProjectionBuildLostError when it is not the builder's. */
export async function lockBuild(
  records: RecordAccess,
  name: string,
  generation: number,
  { owner, epoch }: { readonly owner: string; readonly epoch: number },
): Promise<BuildRow> {
  const [found] = await records.lock(KIND, [keyOf(name, generation)])
  const value = found?.value as unknown as BuildValue | undefined
  if (found === undefined || value?.owner !== owner || value.epoch !== epoch) {
    throw new ProjectionBuildLostError(name)
  }
  return { revision: found.revision, value }
}

/** Writes a build, or without a value removes it. */
export async function writeBuild(
  records: RecordAccess,
  name: string,
  generation: number,
  revision: number | 'any',
  value: BuildValue | undefined,
): Promise<void> {
  const key = keyOf(name, generation)
  const change = { kind: KIND, key, expected: revision }
  await records.write([
    value === undefined ? change : { ...change, value: value as unknown as Json },
  ])
}
