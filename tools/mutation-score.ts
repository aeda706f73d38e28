import { readFileSync } from 'node:fs'
import { relative } from 'node:path'
import type { MutantResult } from '@stryker-mutator/api/core'
import { equivalents } from './mutation-equivalents.ts'

/** A mutant that no test noticed. */
export interface AliveMutant {
  readonly file: string
  readonly line: number
  readonly mutator: string
  readonly from: string
  readonly to: string
  readonly status: string
}

export interface MutationScore {
  readonly tried: number
  readonly killed: number
  readonly timedOut: number
  readonly survived: number
  readonly uncovered: number
  /** Alive, and known to change nothing that anybody could see. */
  readonly equivalent: number
  readonly percent: number
  readonly alive: readonly AliveMutant[]
}

const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim().slice(0, 120)

/** The text between two places of a file; lines and columns from 1 here. */
function textAt(text: string, { start, end }: MutantResult['location']): string {
  const lines = text.split('\n').slice(start.line - 1, end.line)
  const last = lines.length - 1
  return lines
    .map((line, index) =>
      line.slice(index === 0 ? start.column - 1 : 0, index === last ? end.column - 1 : undefined),
    )
    .join('\n')
}

function aliveOf(result: MutantResult): AliveMutant {
  const { fileName, location, mutatorName, replacement = '', status } = result
  const from = textAt(readFileSync(fileName, 'utf8'), location)
  return {
    file: relative('.', fileName).replaceAll('\\', '/'),
    line: location.start.line,
    mutator: mutatorName,
    from: oneLine(from),
    to: oneLine(replacement),
    status,
  }
}

/** Killed and timed out, of all that were tried and that somebody could notice. */
export function scoreOf(results: readonly MutantResult[]): MutationScore {
  const count = (status: string): number => results.filter((r) => r.status === status).length
  const noticed = count('Killed') + count('Timeout')
  const known = (mutant: AliveMutant): boolean =>
    equivalents.some(
      ({ file, from, to }) => file === mutant.file && from === mutant.from && to === mutant.to,
    )
  const found = results
    .filter(({ status }) => status === 'Survived' || status === 'NoCoverage')
    .map(aliveOf)
  const alive = found.filter((mutant) => !known(mutant))
  const tried = noticed + alive.length
  return {
    tried,
    killed: count('Killed'),
    timedOut: count('Timeout'),
    survived: alive.filter(({ status }) => status === 'Survived').length,
    uncovered: alive.filter(({ status }) => status === 'NoCoverage').length,
    equivalent: found.length - alive.length,
    percent: tried === 0 ? 0 : (100 * noticed) / tried,
    alive,
  }
}
