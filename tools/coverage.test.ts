import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { exclusions } from './coverage-exclusions.ts'
import { coverageReport, type FileCoverage, linesOf } from './coverage-report.ts'

const text = 'if (a) {\n  b()\n}\nc ?? d\ne ?? f\n'
const branch = (line: number, type: string) => ({ type, loc: { start: { line, column: 0 } } })
const file: FileCoverage = {
  path: '/x/src/one/a.ts',
  branchMap: { 0: branch(1, 'if'), 1: branch(4, 'binary-expr'), 2: branch(5, 'binary-expr') },
  b: { 0: [3, 1], 1: [4, 0], 2: [2, 0] },
}
const files = new Map([['src/one/a.ts', file]])
const reason = 'the right side is there for the compiler alone'
const report = (list: readonly { file: string; code: string; reason: string }[]) =>
  coverageReport(files, ['src/one', 'src/two'], list, () => text)

describe('branch coverage', () => {
  test('counts ways, names those that no test took, and calls an empty folder whole', () => {
    const { folders, gaps, complaints } = report([])
    expect(complaints).toEqual([])
    expect(gaps).toEqual([
      { file: 'src/one/a.ts', line: 4, type: 'binary-expr', missed: 1 },
      { file: 'src/one/a.ts', line: 5, type: 'binary-expr', missed: 1 },
    ])
    expect(folders[0]).toMatchObject({ branches: 6, taken: 4, excluded: 0 })
    expect(folders[0]?.percent).toBeCloseTo(66.67, 1)
    expect(folders[1]).toMatchObject({ branches: 0, percent: 100 })
  })

  test('leaves out what the list names, and nothing beside it', () => {
    const { folders, gaps, complaints } = report([{ file: 'src/one/a.ts', code: 'c ?? d', reason }])
    expect(complaints).toEqual([])
    expect(gaps.map(({ line }) => line)).toEqual([5])
    expect(folders[0]).toMatchObject({ taken: 4, excluded: 1, percent: 80 })
  })

  test('complains of an exclusion that no branch needs any more', () => {
    const { complaints } = report([{ file: 'src/one/a.ts', code: 'if (a)', reason }])
    expect(complaints).toEqual(['src/one/a.ts: every branch is taken at: if (a)'])
  })

  test('complains of an exclusion without a place or a reason', () => {
    const at = { file: 'src/one/a.ts', code: 'c ?? d', reason }
    expect(linesOf(at, text)).toEqual([4, 4])
    expect(linesOf({ ...at, code: 'b()\n}' }, text)).toEqual([2, 3])
    expect(linesOf({ ...at, code: 'gone' }, text)).toContain('is not there')
    expect(linesOf({ ...at, code: ' ?? ' }, text)).toContain('stands twice')
    expect(linesOf({ ...at, reason: ' ' }, text)).toContain('without a reason')
    expect(linesOf(at, undefined)).toContain('a file that is not there')
  })

  test('the exclusions of this tree each name one place', () => {
    const complaints = exclusions
      .map((entry) =>
        linesOf(entry, existsSync(entry.file) ? readFileSync(entry.file, 'utf8') : undefined),
      )
      .filter((found) => typeof found === 'string')
    expect(complaints).toEqual([])
  })
})
