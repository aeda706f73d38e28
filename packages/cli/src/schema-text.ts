import type { SchemaProblem, SchemaReport } from 'eventuali'
import { count, counted } from './numbers.ts'
import { harmless } from './text-width.ts'

function evidence({ events }: SchemaProblem): string {
  if (events === undefined) return ''
  const { stream, version, position } = events.first
  return `  ${counted(events.count, 'event')}, first at position ${position} (${stream}, version ${version})`
}

function lines(problem: SchemaProblem): string {
  const { severity, type, version, kind, reason, details = [] } = problem
  const text = [
    `${severity}  ${type} version ${version}  ${kind}${evidence(problem)}`,
    `  ${reason}`,
    ...details.map(({ path, reason: why, certain }) => `  ${path} ${why}${certain ? '' : ' (?)'}`),
  ]
  return text.map((line) => `${harmless(line)}\n`).join('')
}

/** Only what is missing is written for the user: a stub for a warning would be noise. */
function stubs(problems: readonly SchemaProblem[]): string {
  const wanted = problems.filter(({ severity, stub }) => severity === 'error' && stub)
  if (wanted.length === 0) return ''
  const texts = wanted.map(
    ({ stub }) => `${(stub as string).split('\n').map(harmless).join('\n')}\n`,
  )
  return `\nFor the "upcast" of the definition:\n\n${texts.join('\n')}`
}

/** A report for people. */
export function reportText(report: SchemaReport): string {
  const { problems, schemas, events, unchecked } = report
  const errors = problems.filter(({ severity }) => severity === 'error').length
  const open = unchecked > 0 ? ` (${count(unchecked)} without a validator to ask)` : ''
  const read = events > 0 ? `, ${counted(events, 'event')} read${open}` : ''
  const found =
    problems.length === 0
      ? 'no problems'
      : `${counted(errors, 'error')}, ${counted(problems.length - errors, 'warning')}`
  return `${problems.map(lines).join('')}${counted(schemas, 'schema')} compared${read}: ${found}\n${stubs(problems)}`
}
