import { isEventualiError } from '../../kernel/index.ts'
import { diffStates } from '../../model/index.ts'
import {
  type AnyProjection,
  type Refolded,
  type RowDifference,
  refold,
} from '../../projections/index.ts'
import type { VerifiedProjection, VerifyContext, VerifySources } from './report.ts'

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
    const { signal } = context.call
    try {
      const found = await refold(context.port, projection, {
        ...{ ...sources, signal },
        onProgress: (done, total) => context.step({ check: 'read-models', done, total }),
      })
      const done = told(context, name, found)
      if (done !== undefined) verified.push(done)
    } catch (error) {
      if (isEventualiError(error, 'EVENT_CORRUPT')) {
        const reason = `it cannot be folded again: ${error.message}`
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

function told(
  { findings }: VerifyContext,
  projection: string,
  found: Refolded,
): VerifiedProjection | undefined {
  const kind = 'read-model'
  if (found.kind === 'moved') {
    findings.leave(`the read models of ${projection}: they were switched or reset meanwhile`)
    return undefined
  }
  if (found.kind === 'none') {
    const reason = 'nothing of this projection is live in this store'
    const advice = 'check the name; store.projections.start() builds it'
    findings.add({ kind, projection, reason, advice })
    return undefined
  }
  if (found.kind === 'other-version') {
    const reason = `what is live was filled by version ${found.version} of its code`
    const advice = 'verify with that version, or rebuild with this one'
    findings.add({ kind, projection, reason, advice })
    return undefined
  }
  if (found.kind === 'failed') {
    const { position, error } = found
    const why = error instanceof Error ? error.message : String(error)
    const advice = 'mend the handler, or see store.deadLetters: the read model may lack the event'
    findings.add({
      kind,
      projection,
      position,
      reason: `it cannot be folded again: ${why}`,
      advice,
    })
    return undefined
  }
  const { report, parked } = found
  const { position } = report.new
  for (const row of report.rows) {
    const { target, key } = row
    findings.add({
      kind,
      projection,
      position,
      key,
      reason: `${target}: ${different(row, parked)}`,
    })
  }
  const hidden = report.onlyOld + report.onlyNew + report.different - report.rows.length
  if (hidden > 0) {
    const reason = `and ${hidden} more rows${report.complete ? '' : ' or more'} that differ`
    findings.add({ kind, projection, position, reason })
  }
  for (const target of report.uncompared) {
    findings.add({
      kind,
      projection,
      position,
      key: target,
      reason: `${target} is on one side only`,
    })
  }
  return { projection, position, same: report.same }
}

/** How a row differs: where, and not what it holds, since reports travel. */
function different({ old, new: folded }: RowDifference, parked: number): string {
  const letters = parked === 0 ? '' : ` (${parked} of its events are parked as dead letters)`
  if (folded === undefined) return `its events give no such row${letters}`
  if (old === undefined) return `a row that its events give is missing${letters}`
  const paths = diffStates(old, folded).map(({ path }) => (path === '' ? 'as a whole' : path))
  const shown = paths.slice(0, PATHS_SHOWN_MAX).join(', ')
  return `the row differs from what its events give: ${shown}${letters}`
}
