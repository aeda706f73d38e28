import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { adapterPage, adapterTableTally, conformance } from './adapters.ts'
import { run } from './run.ts'
import { asSeenByCi, report, sumLine, type Tally } from './tally.ts'

mkdirSync('.tmp', { recursive: true })
const folder = mkdtempSync(resolve('.tmp', 'tally-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const tally: Tally = {
  suite: 'unit',
  passed: 3,
  failures: ['a'],
  skips: [
    { name: 'b', why: 'It has no SQL.', denied: true },
    { name: 'c', why: 'no server' },
  ],
  seconds: 1,
}

test('the line for programs sums all suites', () => {
  expect(sumLine([tally, tally])).toBe('6 passed, 2 failed, 4 skipped')
})

test('skips are listed with their reasons', () => {
  expect(report([tally])).toContain('SKIPPED unit: c (no server)')
  expect(report([tally])).toContain('SKIPPED unit: 1 contract cases that need It has no SQL.')
})

test('in CI a skip that no denied capability explains is a failure', () => {
  const seen = asSeenByCi(tally)
  expect(seen.skips).toEqual([{ name: 'b', why: 'It has no SQL.', denied: true }])
  expect(seen.failures).toEqual(['a', 'c (skipped in CI: no server)'])
})

test('the reporter counts passes, failures, skips and files that do not load', async () => {
  const config = `export default { test: { include: ['**/*.test.js'], root: '${folder}' } }`
  writeFileSync(join(folder, 'vitest.config.js'), config)
  writeFileSync(
    join(folder, 'a.test.js'),
    `import { test, expect, describe, beforeAll } from 'vitest'
     test('good', () => {})
     test('bad', () => expect(1).toBe(2))
     test('not here', (ctx) => ctx.skip('no server'))
     describe('event store contract: one (slow)', () => {
       test('x', () => {})
       test.skip('y [needs sql: It has none.]', () => {})
     })
     describe('broken', () => { beforeAll(() => { throw new Error('hook') }); test('never', () => {}) })`,
  )
  writeFileSync(join(folder, 'b.test.js'), `throw new Error('does not load')`)
  const file = join(folder, 'tally.json')
  const { exitCode } = await run(
    process.execPath,
    [
      resolve('node_modules/vitest/vitest.mjs'),
      'run',
      '--root',
      folder,
      `--reporter=${resolve('tools/tally-reporter.ts')}`,
    ],
    { timeoutMs: 60_000, env: { EVENTUALI_TALLY: file, VITEST: '' } },
  )
  expect(exitCode).toBe(1)
  const counted = (await import(file, { with: { type: 'json' } })).default as Tally
  expect(counted.passed).toBe(2)
  expect(counted.contract).toEqual([
    { adapter: 'one (slow)', name: 'x', state: 'passed', why: '' },
    { adapter: 'one (slow)', name: 'y', state: 'denied', why: 'sql: It has none.' },
  ])
  const failures = counted.failures.join('\n')
  for (const part of ['does not load', 'hook', 'bad (expected 1 to be 2'])
    expect(failures).toContain(part)
  expect(counted.skips.map((skip) => skip.why)).toContain('no server')
})

test('a run that hangs is ended at its limit', async () => {
  const hang = await run(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], {
    timeoutMs: 300,
  })
  expect(hang.exitCode).not.toBe(0)
  expect(hang.output).toContain('ended by SIGTERM')
})

test('the adapter page says what ran, what failed and what a manifest denies', () => {
  const capabilities = {
    durable: false,
    within: false,
    sql: true,
    shared: false,
    fork: false,
    backup: true,
  }
  const manifest = {
    port: 'event-store' as const,
    name: 'one',
    schemes: ['one'],
    capabilities,
    denied: { durable: 'It forgets.' },
    peers: { driver: '^1.0.0' },
  }
  const page = adapterPage(
    [manifest],
    [
      { adapter: 'one', name: 'x', state: 'passed', why: '' },
      { adapter: 'one', name: 'y', state: 'denied', why: 'It forgets.' },
    ],
  )
  expect(page).toContain('| one | `one:` | no | no | yes | no | no | yes | `driver` ^1.0.0 |')
  expect(page).toContain('- one, no durable: It forgets.')
  expect(page).toContain('| x | holds |')
  expect(page).toContain('| y | n/a |')
})

test('the laws that ran are counted, and too few of them are a failure', async () => {
  const results = ['x: a', 'x: b', 'y: a'].flatMap((name) => [
    { adapter: 'one', name, state: 'passed' as const, why: '' },
    { adapter: 'two', name, state: 'denied' as const, why: 'It forgets.' },
  ])
  expect(conformance(results)).toEqual({ subjects: 2, laws: 3, held: 3, denied: 3 })
  const { failures } = await adapterTableTally(results)
  expect(failures).toEqual(['3 laws on 2 subjects ran, fewer than a release is held to'])
})
