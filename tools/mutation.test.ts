import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Mutant, MutantResult } from '@stryker-mutator/api/core'
import { describe, expect, test } from 'vitest'
import { equivalents } from './mutation-equivalents.ts'
import { groups } from './mutation-groups.ts'
import { sampleOf } from './mutation-sampler.ts'
import { scoreOf } from './mutation-score.ts'

const mutant = (id: number, line: number): Mutant => ({
  id: String(id),
  fileName: 'src/a.ts',
  location: { start: { line, column: 1 }, end: { line, column: 9 } },
  mutatorName: 'BooleanLiteral',
  replacement: 'false',
})

describe('the sample', () => {
  const all = Array.from({ length: 200 }, (_, n) => mutant(n, n))

  test('is of the size that is asked for, the same for a seed, another for another', () => {
    const picked = sampleOf(all, 50, '7')
    expect(picked.size).toBe(50)
    expect(sampleOf(all, 50, '7')).toEqual(picked)
    expect(sampleOf(all, 50, '8')).not.toEqual(picked)
    expect(sampleOf(all, 500, '7').size).toBe(200)
  })

  test('does not depend on the order or the numbers of mutants', () => {
    const linesOf = (mutants: readonly Mutant[]) => {
      const picked = sampleOf(mutants, 20, '7')
      return mutants
        .filter(({ id }) => picked.has(id))
        .map(({ location }) => location.start.line)
        .sort((a, b) => a - b)
    }
    const other = all.toReversed().map((one, n) => ({ ...one, id: `x${n}` }))
    expect(linesOf(other)).toEqual(linesOf(all))
  })
})

test('the score counts what was noticed, of what was tried and can be noticed', () => {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-score-'))
  const fileName = join(folder, 'a.ts')
  writeFileSync(fileName, 'const a = one &&\n  two\n')
  const at = { start: { line: 1, column: 11 }, end: { line: 2, column: 6 } }
  const result = (status: MutantResult['status']) =>
    ({ ...mutant(1, 1), fileName, location: at, status }) as MutantResult
  const states = [
    'Killed',
    'Killed',
    'Timeout',
    'Survived',
    'NoCoverage',
    'CompileError',
    'Ignored',
  ]
  try {
    const score = scoreOf(states.map((state) => result(state as MutantResult['status'])))
    expect(score).toMatchObject({ tried: 5, killed: 2, timedOut: 1, survived: 1, uncovered: 1 })
    expect(score.percent).toBe(60)
    expect(score.alive[0]).toMatchObject({ line: 1, from: 'one && two', to: 'false' })
    expect(scoreOf([]).percent).toBe(0)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('every group has files and tests, every mutant of no effect a place and a reason', () => {
  for (const { mutate, tests } of Object.values(groups)) {
    for (const pattern of [...mutate, ...tests]) expect(globSync(pattern)).not.toEqual([])
  }
  for (const { file, from, reason } of equivalents) {
    expect(existsSync(file)).toBe(true)
    expect(readFileSync(file, 'utf8').replace(/\s+/g, ' ')).toContain(from)
    expect(reason.length).toBeGreaterThan(20)
  }
})
