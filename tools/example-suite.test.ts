import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { firstDifference, idleMasks, masked, parseMasks } from './example-output.ts'
import { exampleSuite } from './example-suite.ts'
import { asSeenByCi } from './tally.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'eventuali-example-suite-'))
  vi.spyOn(console, 'log').mockImplementation(() => {})
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
  vi.restoreAllMocks()
})

function example(name: string, files: Readonly<Record<string, string>>): void {
  mkdirSync(join(folder, name))
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, name, file), text)
}

const main = `console.log('account has 70 after', performance.now(), 'ms')
console.error('this is not compared')`

describe('the runner of the examples', () => {
  test('an example that prints what is expected passes', async () => {
    const expected = 'account has 70 after <ms> ms\n'
    example('01-good', {
      'main.ts': main,
      'masks.txt': 'ms [\\d.]+(?= ms)',
      'expected.txt': expected,
    })
    expect(await exampleSuite({ folder })).toMatchObject({ passed: 1, failures: [] })
  })

  test('a wrong output, a missing one, a bad end and an idle mask each fail', async () => {
    const print = "console.log('balance 70')\n"
    example('01-wrong', { 'main.ts': print, 'expected.txt': 'balance 71\n' })
    example('02-silent', { 'main.ts': '', 'expected.txt': 'balance 70\n' })
    example('03-missing', { 'main.ts': print })
    example('04-throws', {
      'main.ts': `${print}process.exitCode = 3`,
      'expected.txt': 'balance 70\n',
    })
    const files = { 'main.ts': print, 'expected.txt': 'balance 70\n' }
    example('05-idle', { ...files, 'masks.txt': 'seconds \\d+\\.\\d' })
    example('06-good', files)
    const { passed, failures } = await exampleSuite({ folder })
    expect(passed).toBe(1)
    expect(failures.toSorted().map((text) => text.slice(folder.length + 1))).toEqual([
      expect.stringContaining('line 1 should be\n    balance 71\n  and is\n    balance 70'),
      expect.stringContaining('02-silent'),
      expect.stringContaining('expected.txt is missing'),
      expect.stringContaining('ended with code 3'),
      expect.stringContaining('masks.txt hides nothing with seconds'),
    ])
  })

  test('an update writes what is printed, masked, and then it passes', async () => {
    example('01-new', { 'main.ts': main, 'masks.txt': 'ms after ([\\d.]+)' })
    await exampleSuite({ folder, update: true })
    expect(readFileSync(join(folder, '01-new/expected.txt'), 'utf8')).toBe(
      'account has 70 after <ms> ms\n',
    )
    expect(await exampleSuite({ folder })).toMatchObject({ passed: 1, failures: [] })
  })

  test('on Postgres each gets a database, and may have an output of its own', async () => {
    const print = 'console.log(process.env.STORE)'
    example('01-url', {
      'main.ts': print,
      'expected.txt': 'no\n',
      'expected.postgres.txt': 'pg:1\n',
    })
    example('start', { 'main.ts': print, 'expected.txt': 'not run here\n' })
    const database = async () => 'pg:1'
    expect(await exampleSuite({ folder, database })).toMatchObject({ passed: 1, failures: [] })
    expect((await exampleSuite({ folder })).failures).toHaveLength(2)
  })

  test('a page is tried by its check, and a counted skip where no browser is', async () => {
    example('01-page', {
      'main.ts': 'setInterval(() => {}, 1000)',
      'in-chromium.ts': "console.log('the page shows 70')",
      'expected.txt': 'the page shows 70\n',
    })
    const chromium = () => '/usr/bin/chromium'
    expect(await exampleSuite({ folder, chromium })).toMatchObject({ passed: 1, skips: [] })
    const without = await exampleSuite({ folder, chromium: () => undefined })
    const name = join(folder, '01-page/in-chromium.ts')
    expect(without).toMatchObject({ passed: 0, failures: [], skips: [{ name }] })
    expect(without.skips[0]?.why).toContain('apt-get install chromium')
    expect(asSeenByCi(without)).toMatchObject({ skips: [], failures: [expect.any(String)] })
  })

  test('a name that fits no example is a failure', async () => {
    expect((await exampleSuite({ folder, only: ['07'] })).failures).toHaveLength(1)
  })
})

test('masks hide what their groups match, or all of the match', () => {
  const masks = parseMasks('# how long it took\nseconds \\d+\\.\\d+(?= s)\n\nid ^order-(\\w+)\n')
  const text = 'order-a1 took 0.25 s\norder-b2 took 1.5 s\n'
  const hidden = 'order-<id> took <seconds> s\norder-<id> took <seconds> s\n'
  expect(masked(text, masks)).toBe(hidden)
  expect(idleMasks(text, masks)).toEqual([])
  expect(idleMasks('order-a1', masks)).toEqual(['seconds'])
  expect(() => parseMasks('NoPattern')).toThrow('this is not: NoPattern')
})

test('the first difference is named by its line', () => {
  expect(firstDifference('a\nb\n', 'a\nb\n')).toBeUndefined()
  expect(firstDifference('a\n', 'a\nb\n')).toContain('line 2')
  expect(firstDifference('a\nb', 'a')).toContain('(the end)')
})
