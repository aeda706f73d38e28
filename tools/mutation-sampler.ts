import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { type CheckResult, CheckStatus } from '@stryker-mutator/api/check'
import type { Mutant } from '@stryker-mutator/api/core'
import { declareFactoryPlugin, PluginKind } from '@stryker-mutator/api/plugin'

/** Said of a mutant that was not tried; it counts for nothing then. */
const notInSample = 'not in the sample'

/** A number for a mutant that depends on the seed and on what it changes, not on its neighbours. */
function lot(seed: string, { fileName, location, mutatorName, replacement }: Mutant): string {
  const { start, end } = location
  const place = [start.line, start.column, end.line, end.column]
  const what = [
    seed,
    relative('.', fileName).replaceAll('\\', '/'),
    place,
    mutatorName,
    replacement,
  ]
  return createHash('sha256').update(JSON.stringify(what)).digest('hex')
}

/** The mutants that a seed picks. */
export function sampleOf(mutants: readonly Mutant[], size: number, seed: string): Set<string> {
  const drawn = mutants.map((mutant) => ({ id: mutant.id, lot: lot(seed, mutant) }))
  drawn.sort((a, b) => (a.lot < b.lot ? -1 : 1))
  return new Set(drawn.slice(0, size).map(({ id }) => id))
}

/**
 * Bounds the time of a run: Stryker asks its checkers before it tries a mutant, and what a checker
 * turns down is not tried. All mutants come in one call of `group`, so the size is exact; what it
 * picks goes into a file, for checkers are processes and any of them may be asked next.
 */
class Sampler {
  readonly #file = join(tmpdir(), 'sample.json')

  async init(): Promise<void> {}

  async group(mutants: Mutant[]): Promise<string[][]> {
    const size = Number(process.env.EVENTUALI_MUTANTS)
    const picked = sampleOf(mutants, size, process.env.EVENTUALI_SEED ?? '1')
    writeFileSync(this.#file, JSON.stringify([...picked]))
    return [mutants.map(({ id }) => id)]
  }

  async check(mutants: Mutant[]): Promise<Record<string, CheckResult>> {
    const picked = new Set(JSON.parse(readFileSync(this.#file, 'utf8')) as string[])
    const passed: CheckResult = { status: CheckStatus.Passed }
    const refused: CheckResult = { status: CheckStatus.CompileError, reason: notInSample }
    return Object.fromEntries(mutants.map(({ id }) => [id, picked.has(id) ? passed : refused]))
  }
}

/** How Stryker finds it. */
export const strykerPlugins = [
  declareFactoryPlugin(PluginKind.Checker, 'sample', () => new Sampler()),
]
