import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { ratioInterval, studentT95 } from './interval.ts'
import { spreadOf } from './paired.ts'
import type { RunResult } from './report.ts'

const main = fileURLToPath(new URL('main.ts', import.meta.url))

test('the middle of the rounds', () => {
  expect(spreadOf([3, 1, 2])).toEqual({ min: 1, median: 2, max: 3 })
  expect(spreadOf([4, 1, 3, 2])).toEqual({ min: 1, median: 2.5, max: 4 })
})

test('the interval is as wide as its number of rounds demands', () => {
  for (const [degrees, t] of [
    [4, 2.776],
    [9, 2.262],
    [29, 2.045],
    [99, 1.984],
  ] as const) {
    expect(Math.abs(studentT95(degrees) / t - 1), `${degrees} degrees`).toBeLessThan(0.003)
  }
  const [least, mean, most] = ratioInterval([1, 1.1, 0.9, 1.05, 0.95])
  expect(mean).toBeCloseTo(0.9975, 3)
  // 2.776 times the standard error of the logarithms, 0.0794 / sqrt(5), on either side.
  expect(Math.log(most / mean)).toBeCloseTo(0.0986, 2)
  expect(most / mean).toBeCloseTo(mean / least, 9)
})

test('a quick run measures what it is asked for', () => {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-bench-test-'))
  try {
    const json = join(folder, 'result.json')
    const cases = 'node:sqlite (append|load|full)|import'
    execFileSync(process.execPath, [main, '--quick', '--only', cases, '--json', json])
    const result = JSON.parse(readFileSync(json, 'utf8')) as RunResult
    expect(result.cases.map(({ name }) => name)).toEqual([
      'node:sqlite append 1',
      'node:sqlite append 100',
      'node:sqlite load 1,000',
      'node:sqlite full scan',
      'import of the January log',
    ])
    for (const { ratios } of result.cases) {
      for (const { median } of ratios) expect(median).toBeGreaterThan(0)
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
})
