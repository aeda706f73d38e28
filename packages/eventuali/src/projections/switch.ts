import type { Clock, IdSource } from '../kernel/index.ts'
import { ProjectionBuildLostError, ProjectionDiffersError } from '../model/index.ts'
import type { StoreTransaction } from '../ports/index.ts'
import { auditChange, lockSubscription } from '../subscriptions/index.ts'
import { lockBuild, writeBuild } from './build-record.ts'
import { type CompareReport, compareGenerations } from './compare.ts'
import { type AnyProjection, targetName } from './define.ts'
import {
  consumerName,
  generationOf,
  liveOf,
  lockRegistered,
  type Registered,
  withGeneration,
  writeRegistered,
} from './registry.ts'

/**
 * The checkpoint of a generation's consumer, kept from moving until the transaction ends: what the
 * consumer does in the meantime cannot commit. Undefined while it has none.
 */
export async function freezeConsumer(
  tx: StoreTransaction,
  name: string,
  generation: number,
): Promise<number | undefined> {
  const seen = await lockSubscription(tx, consumerName(name, generation))
  const positions = seen?.partitions.map(
    ({ value }) => (value as { readonly position: number }).position,
  )
  return positions === undefined || positions.length === 0 ? undefined : Math.min(...positions)
}

/** Makes readers see a generation's tables, and none that only another one had. */
export async function publishTables(
  tx: StoreTransaction,
  tables: { readonly [target: string]: string },
  before: { readonly [target: string]: string } = {},
): Promise<void> {
  for (const [target, table] of Object.entries(tables)) {
    await tx.models.publish(targetName(target), table)
  }
  for (const target of Object.keys(before)) {
    if (!Object.hasOwn(tables, target)) await tx.models.unpublish(targetName(target))
  }
}

/** What a switch needs of the build that leads to it. */
export interface SwitchWork {
  readonly projection: AnyProjection
  readonly generation: number
  readonly builder: { readonly owner: string; readonly epoch: number }
  readonly runtime: { readonly clock: Clock; readonly ids: IdSource }
  /** Handles the events after one position up to another in the transaction. */
  readonly handle: (tx: StoreTransaction, after: number, upTo: number) => Promise<void>
}

/** What came of a switch. */
export interface SwitchResult {
  readonly position: number
  readonly report: CompareReport | undefined
}

/**
 * The end of a build, in one transaction: the old generation is held where it stands, the new one
 * is brought to the same position and compared, the views turn, the record says so. With an inline
 * generation on either side appends are held back meanwhile.
 */
export async function switchOver(tx: StoreTransaction, work: SwitchWork): Promise<SwitchResult> {
  const { projection, generation } = work
  const { name, version } = projection
  const first = await lockRegistered(tx.records, name)
  const added = generationOf(first.value, generation)
  if (added === undefined) throw new ProjectionBuildLostError(name)
  const old = liveOf(first.value)
  const isInline = added.mode === 'inline'
  if (isInline || old?.mode === 'inline') await tx.barrier()
  const build = await lockBuild(tx.records, name, generation, work.builder)
  let { position } = build.value
  const advance = async (upTo: number): Promise<void> => {
    if (upTo <= position) return
    await work.handle(tx, position, upTo)
    position = upTo
  }
  let report: CompareReport | undefined
  if (old !== undefined) {
    const oldPosition =
      old.mode === 'inline'
        ? await tx.newestPosition()
        : ((await freezeConsumer(tx, name, old.generation)) ?? old.position)
    await advance(oldPosition)
    if (build.value.compare) {
      const before = { ...old, position: oldPosition }
      const after = { ...added, generation, position }
      report = await compareGenerations(tx.models, before, after, position === oldPosition)
      if (build.value.requireEqual && !report.equal) {
        const count = report.onlyOld + report.onlyNew + report.different
        throw new ProjectionDiffersError(name, count, report)
      }
    }
  }
  if (isInline) await advance(await tx.newestPosition())
  await publishTables(tx, added.tables, old?.tables)
  if (isInline) await tx.inline.register({ name, version, types: projection.storedTypes })
  else if (old?.mode === 'inline') await tx.inline.unregister(name)
  const value = switched(first.value, generation, position)
  const details = { from: old?.generation ?? null, to: generation, position }
  const { actor } = build.value
  const entry = { actor, action: 'projection.switch', subject: name, details }
  const audit = auditChange(work.runtime, entry)
  await writeRegistered(tx.records, name, { revision: first.revision, value }, audit)
  await writeBuild(tx.records, name, generation, build.revision, undefined)
  return { position, report }
}

/** The record after a generation went live at a position. */
export function switched(value: Registered, generation: number, position: number): Registered {
  const old = liveOf(value)
  let next = withGeneration(value, generation, { status: 'live', position })
  if (old !== undefined && old.generation !== generation) {
    // An inline one is fed by nobody from here on; a consumer's checkpoint tells for others.
    const change = old.mode === 'inline' ? { position } : {}
    next = withGeneration(next, old.generation, { status: 'standby', ...change })
  }
  return {
    ...next,
    live: generation,
    previous: old === undefined || old.generation === generation ? next.previous : old.generation,
    effectsFrom: value.effectsFrom ?? position,
  }
}
