import { isEventualiError } from '../../kernel/index.ts'
import { diffStates, systemEventTypes } from '../../model/index.ts'
import {
  type AnyProjection,
  type CompareReport,
  type Refolded,
  type RowDifference,
  refold,
} from '../../projections/index.ts'
import type { VerifiedProjection, VerifyContext, VerifySources } from './report.ts'
import { isBroken } from './storage.ts'

const PATHS_SHOWN_MAX = 3

/** Read models of the given projections, each compared with a refold of its events. */
export async function verifyReadModels(
  context: VerifyContext,
  projections: readonly AnyProjection[],
  sources: VerifySources,
): Promise<readonly VerifiedProjection[]> {
  const verified: VerifiedProjection[] = []
  for (const projection of projections) {
    const { name } = projection
    try {
      const found = await foldAgain(context, projection, sources)
      const done = told(context, name, found, await hasRemoved(context))
      if (done !== undefined) verified.push(done)
    } catch (error) {
      // An event, or a row of the read model itself: the rest of the report is worth having.
      if (isBroken(error)) {
        const reason = `it cannot be compared with its events: ${error.message}`
        context.findings.add({ kind: 'read-model', projection: name, reason })
        continue
      }
      // SQL tables in a store without SQL; or another verification has begun the same.
      const codes = ['CAPABILITY_MISSING', 'PROJECTION_BUILD_LOST']
      if (!codes.some((code) => isEventualiError(error, code))) throw error
      context.findings.leave(`the read models of ${name}: ${(error as Error).message}`)
    }
  }
  return verified
}

/**
 * Folds as a rebuild of today would, without archived streams; and where that differs, with them:
 * they may have been archived after the read model had handled them. What differs in both ways
 * is wrong.
 */
async function foldAgain(
  context: VerifyContext,
  projection: AnyProjection,
  sources: VerifySources,
): Promise<Refolded> {
  const { signal } = context.call
  const fold = (includeArchived: boolean) =>
    refold(context.port, projection, {
      ...{ ...sources, signal, includeArchived },
      onProgress: (done, total) => context.step({ check: 'read-models', done, total }),
    })
  const first = await fold(false)
  if (first.kind !== 'compared' || first.report.equal) return first
  const hasAll = projection.from.includeArchived === true
  if (hasAll || !(await hasEvent(context, [systemEventTypes.archived]))) return first
  const second = await fold(true)
  if (second.kind !== 'compared' || second.report.equal || hidden(second.report) > 0) return second
  const both = first.report.rows.filter((row) => second.report.rows.some(isAt(row)))
  const isAll = hidden(first.report) === 0
  return isAll ? { ...second, report: { ...second.report, ...tallied(both) } } : second
}

function isAt({ target, key }: RowDifference): (row: RowDifference) => boolean {
  return (row) => row.target === target && row.key === key
}

function tallied(rows: readonly RowDifference[]) {
  const onlyOld = rows.filter((row) => row.new === undefined).length
  const onlyNew = rows.filter((row) => row.old === undefined).length
  return { rows, onlyOld, onlyNew, different: rows.length - onlyOld - onlyNew }
}

/** Differences that the report counts and does not show. */
function hidden({ onlyOld, onlyNew, different, rows }: CompareReport): number {
  return onlyOld + onlyNew + different - rows.length
}

async function hasEvent({ port, call }: VerifyContext, types: readonly string[]): Promise<boolean> {
  const { newest } = await port.positions(call)
  const query = { types, upTo: newest, direction: 'forward', limit: 1 } as const
  for await (const _ of port.readLog({ ...query, includeArchived: true }, call)) return true
  return false
}

function hasRemoved(context: VerifyContext): Promise<boolean> {
  return hasEvent(context, [systemEventTypes.truncated, systemEventTypes.deleted])
}

function told(
  { findings }: VerifyContext,
  projection: string,
  found: Refolded,
  removed: boolean,
): VerifiedProjection | undefined {
  const kind = 'read-model'
  const add = (
    reason: string,
    advice?: string,
    place: { position?: number; key?: string } = {},
  ) => {
    findings.add({ kind, projection, ...place, reason, advice })
    return undefined
  }
  switch (found.kind) {
    case 'moved':
      findings.leave(`the read models of ${projection}: they were switched or reset meanwhile`)
      return undefined
    case 'none':
      return add(
        'nothing of this projection is live in this store',
        'check the name; store.projections.start() builds it',
      )
    case 'other-version':
      return add(
        `what is live was filled by version ${found.version} of its code`,
        'verify with that version, or rebuild with this one',
      )
    case 'failed': {
      const { position, error } = found
      const why = error instanceof Error ? error.message : String(error)
      const advice = 'mend the handler; store.deadLetters lists events that were put aside'
      return add(`it cannot be folded again: ${why}`, advice, { position })
    }
    case 'compared':
  }
  const { report, parked } = found
  const { position } = report.new
  const advice = `rebuild it: store.projections.rebuild(${JSON.stringify(projection)})`
  const why = excuses(parked, removed)
  for (const row of report.rows) {
    add(`${row.target}: ${different(row)}${why}`, advice, { position, key: row.key })
  }
  const more = hidden(report)
  if (more > 0) {
    add(`and ${more} more rows${report.complete ? '' : ' or more'} that differ`, advice, {
      position,
    })
  }
  for (const target of report.uncompared) {
    add(`${target} is on one side only`, advice, { position, key: target })
  }
  return { projection, position, same: report.same }
}

/** What else than a fault may be behind it. */
function excuses(parked: number, removed: boolean): string {
  const parts = [
    ...(parked === 0 ? [] : [`${parked} of its events are parked as dead letters`]),
    ...(removed ? ['events were removed from the log, which it may remember'] : []),
  ]
  return parts.length === 0 ? '' : ` (${parts.join('; ')})`
}

/** How a row differs: where, and not what it holds, since reports travel. */
function different({ old, new: folded }: RowDifference): string {
  if (folded === undefined) return 'its events give no such row'
  if (old === undefined) return 'a row that its events give is missing'
  const paths = diffStates(old, folded).map(({ path }) => (path === '' ? 'as a whole' : path))
  return `the row differs from what its events give: ${paths.slice(0, PATHS_SHOWN_MAX).join(', ')}`
}
