import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { ratioInterval, studentT95 } from './interval.ts'
import { openLoop, percentile } from './open-loop.ts'
import { type Contender, runPaired, spreadOf } from './paired.ts'
import { installedPeers } from './peers/install.ts'
import type { PeerOrder } from './peers/orders.ts'
import { PeerProcess } from './peers/process.ts'
import { withRun } from './recorded.ts'
import { missed, type RunResult, tableText } from './report.ts'

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

test('who arrives in a stall waits from when it was planned', async () => {
  let now = 1000
  const clock = {
    now: () => now,
    pause: async (ms: number) => {
      now += ms
    },
  }
  let calls = 0
  const call = async (): Promise<void> => {
    now += calls++ === 0 ? 35 : 1
  }
  // Planned at 0, 10, 20, 30 and 40; the first holds up those that come until 35.
  expect(await openLoop(100, 5, call, clock)).toEqual([1, 8, 17, 26, 35])
})

test('a percentile is a value that was measured', () => {
  const thousand = Array.from({ length: 1000 }, (_, i) => i + 1)
  expect([0.5, 0.99, 0.999, 1].map((part) => percentile(thousand, part))).toEqual([
    500, 990, 999, 1000,
  ])
  expect(percentile([7], 0.999)).toBe(7)
  expect(percentile([1, 2], 0.99)).toBe(2)
})

const planted = `
  import { writeSync } from 'node:fs'
  import { createInterface } from 'node:readline'
  const how = process.argv[2]
  const say = (answer) => writeSync(3, JSON.stringify(answer) + '\\n')
  console.log('what a library prints is no answer')
  for await (const line of createInterface({ input: process.stdin })) {
    const order = JSON.parse(line)
    if (how === 'well') say({ ok: order.calls })
    else if (how === 'refusing') say({ error: 'BUSY: locked | by another\\n    at somewhere' })
    else if (how === 'dying') throw new Error('out of luck')
  }
`

test('a peer that fails is a row with its error, and the others go on', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-bench-test-'))
  const script = join(folder, 'planted.mjs')
  writeFileSync(script, planted)
  const order = (calls: number): PeerOrder => ({ do: 'scan', calls, count: 1 })
  const processes = new Map(
    ['well', 'refusing', 'dying', 'silent'].map((how) => [
      how,
      new PeerProcess({ command: process.execPath, args: [script, how] }, 2000),
    ]),
  )
  processes.set('missing', new PeerProcess({ command: join(folder, 'none'), args: [] }, 2000))
  const peers = [...processes].map(
    ([name, peer]): Contender => ({
      ...{ name, what: name, eventsPerCall: 1, mayFail: true },
      run: async (calls) => {
        await peer.ask(order(calls))
      },
    }),
  )
  const run = () => new Promise<void>((resolve) => setTimeout(resolve, 1))
  const store: Contender = { name: 'store', what: 'ours', eventsPerCall: 1, run }
  const ratios = peers.map(({ name }) => ({ of: 'store', to: name, goal: 1e12 }))
  const open = async () => ({ contenders: [store, ...peers], ratios, close: () => {} })
  try {
    const pace = { rounds: 2, turns: 2, turnMs: 2 }
    const result = await runPaired({ name: 'planted', open }, pace)
    expect(result.rates.map(({ name }) => name)).toEqual(['store', 'well'])
    expect(result.ratios.map(({ to }) => to)).toEqual(['well'])
    const failed = new Map(result.failed?.map(({ name, error }) => [name, error]))
    expect(failed.get('refusing')).toBe('BUSY: locked / by another')
    expect(failed.get('dying')).toMatch(/its process ended \(1\): Error: out of luck/)
    expect(failed.get('silent')).toBe('no answer to "scan" within 2 s')
    expect(failed.get('missing')).toMatch(/ENOENT/)
    expect(tableText([result])).toMatch(/refusing +failed +BUSY: locked \/ by another/)
    // Not having run is no goal missed; too slow is one.
    expect(missed([result])).toEqual([expect.stringMatching(/^planted, store \/ well: /)])
  } finally {
    await Promise.all([...processes.values()].map((peer) => peer.close()))
    rmSync(folder, { recursive: true })
  }
})

test('an error of the store itself is no row', async () => {
  const run = () => {
    throw new Error('a defect')
  }
  const store: Contender = { name: 'store', what: 'ours', eventsPerCall: 1, run }
  const open = async () => ({ contenders: [store], ratios: [], close: () => {} })
  const pace = { rounds: 1, turns: 1, turnMs: 1 }
  await expect(runPaired({ name: 'broken', open }, pace)).rejects.toThrow('a defect')
})

test('a part that is measured again replaces itself in the record and nothing else', () => {
  const machine = {} as RunResult['machine']
  const run = (at: string, names: readonly string[]): RunResult => ({
    ...{ at, commit: `c-${at}`, rounds: 5, machine, durability: [] },
    cases: names.map((name) => ({ name, rounds: 5, rates: [], ratios: [] })),
    facts: [{ name: `fact ${at}`, value: 1, unit: 'ms' }],
  })
  const order = ['a', 'b', 'c']
  const empty = { runs: [], cases: [], facts: [] }
  const first = withRun(empty, run('1', ['c', 'a']), order)
  const second = withRun(first, { ...run('2', ['b', 'c']), facts: [] }, order)
  expect(second.cases.map(({ name, at }) => [name, at])).toEqual([
    ['a', '1'],
    ['b', '2'],
    ['c', '2'],
  ])
  expect(second.runs.map(({ at }) => at)).toEqual(['1', '2'])
  const third = withRun(second, { ...run('3', ['a']), facts: [] }, order)
  // A fact of the first run is still there; of the second the cases are.
  expect(third.runs.map(({ at }) => at)).toEqual(['1', '2', '3'])
  const fourth = withRun(third, { ...run('4', ['b', 'c']), facts: [] }, order)
  expect(fourth.runs.map(({ at }) => at)).toEqual(['1', '3', '4'])
})

const peersAreThere = installedPeers() !== undefined
if (!peersAreThere) console.warn('no peers here; "npm run bench -- --peers" installs them')

// Not a skip: what is not installed is not part of the tests, and the planted peers above are.
if (peersAreThere) {
  test('the peers that are installed take their turns', () => {
    const folder = mkdtempSync(join(tmpdir(), 'eventuali-bench-test-'))
    try {
      const json = join(folder, 'result.json')
      const cases = 'memory beside peers: append 1$'
      execFileSync(process.execPath, [main, '--quick', '--peers', '--only', cases, '--json', json])
      const result = JSON.parse(readFileSync(json, 'utf8')) as RunResult
      expect(result.cases[0]?.failed).toBeUndefined()
      expect(result.cases[0]?.ratios.map(({ to }) => to)).toEqual(['Castore'])
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
}
