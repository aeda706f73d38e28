import { globSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { CampaignRecord } from '../packages/eventuali/test/harness/campaign.ts'
import { type Lane, laneFile, laneName, laneTable } from '../packages/eventuali/test/lane-table.ts'
import { lanesOf, laneWorkers, secondsOf } from './lanes.ts'
import { type LaneRun, rowsHeld, scorecard, scorecardPage } from './scorecard.ts'

test('the table has each lane of the folders once', () => {
  const files = globSync('packages/*/test/{lanes,process}/**/*.test.ts').sort()
  expect(laneTable.map(laneFile).sort()).toEqual(files)
})

test('the budgets of all lanes fit into fifteen minutes on two cores', () => {
  const seconds = (project: string): number =>
    laneTable
      .filter(({ file }) => file.startsWith(`${project}/`))
      .reduce((sum, { budgetSeconds }) => sum + budgetSeconds, 0)
  expect(seconds('lanes') / laneWorkers + seconds('process')).toBeLessThanOrEqual(900)
})

test('the page of the last run names every lane', () => {
  const page = readFileSync('docs/reliability.md', 'utf8')
  const named = [...page.matchAll(/^\| `([^`]+)` \| /gm)].map(([, file]) => file)
  expect(named.sort()).toEqual(laneTable.map(laneName).sort())
})

test('every row of the scorecard has a lane or says why it has none', () => {
  const rows = new Set(
    laneTable.flatMap(({ rows }) => rows.map((row) => row.replace(/[a-z]$/, ''))),
  )
  const missing = scorecard.filter(
    ({ id, open, shown }) => open === undefined && shown === undefined && !rows.has(id),
  )
  expect(missing.map(({ id }) => id)).toEqual([])
})

const lane: Lane = {
  file: 'lanes/made-up',
  rows: ['R8a', 'R9'],
  does: 'nothing',
  budgetSeconds: 1,
  soakScale: 2,
}

function runWith(...campaigns: readonly Partial<CampaignRecord>[]): LaneRun[] {
  const whole = campaigns.map((campaign) => ({
    ...{
      name: '',
      file: '',
      seed: 7,
      scale: 1,
      seconds: 1,
      endedAtMs: 0,
      notes: ['4 kills'],
      held: true,
    },
    ...campaign,
  }))
  return [{ lane, day: '2026-01-02', commit: 'abc', campaigns: whole, seconds: 1 }]
}

test('rows are chosen by their number, with and without a letter', () => {
  expect(lanesOf(['R8'], [lane])).toEqual([lane])
  expect(lanesOf(['r8a'], [lane])).toEqual([lane])
  expect(lanesOf(['R8b', 'R1'], [lane])).toEqual([])
  expect(lanesOf(['lanes/made-up'], [lane])).toEqual([lane])
  expect(lanesOf([], [lane])).toEqual([lane])
})

test('a lane takes as long as any of its campaigns is under way', () => {
  const campaigns = [
    { seconds: 10, endedAtMs: 30_000 },
    { seconds: 10, endedAtMs: 25_000 },
    { seconds: 2, endedAtMs: 24_000 },
    { seconds: 5, endedAtMs: 50_000 },
  ]
  expect(secondsOf(campaigns)).toBeCloseTo(20)
  expect(secondsOf([])).toBe(0)
})

test('a row holds when something was run for it and nothing failed, planted bugs included', () => {
  const without = rowsHeld(runWith())
  const held = (...campaigns: readonly Partial<CampaignRecord>[]) =>
    rowsHeld(runWith(...campaigns)) - without
  expect(held({ name: 'R8a schedules' })).toBe(1)
  expect(held({ name: 'races' })).toBe(2)
  expect(held({ name: 'races', held: false })).toBe(0)
  expect(held({ name: 'R9 kills' }, { name: 'R9 planted: x', held: false })).toBe(0)
  expect(held({ name: 'R9 planted: x' })).toBe(0)
})

test('the page shows counts, seeds and failures', () => {
  const page = scorecardPage(
    runWith({ name: 'R9 kills' }, { name: 'R9 planted: early' }, { name: 'R8a x', held: false }),
  )
  expect(page).toContain('| holds | 1 of 1 | kills: 4 kills |')
  expect(page).toContain('| FAILS | 0 of 0 |')
  const row =
    '| `lanes/made-up` | R8a, R9 | nothing | 1 | 1 | beside others | 2 times | 2026-01-02, abc | 7 |'
  expect(page).toContain(row)
})
