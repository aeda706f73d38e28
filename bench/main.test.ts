import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { spreadOf } from './paired.ts'
import type { RunResult } from './report.ts'

const main = fileURLToPath(new URL('main.ts', import.meta.url))

test('the middle of the rounds', () => {
  expect(spreadOf([3, 1, 2])).toEqual({ min: 1, median: 2, max: 3 })
  expect(spreadOf([4, 1, 3, 2])).toEqual({ min: 1, median: 2.5, max: 4 })
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
