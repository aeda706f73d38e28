import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { checkArrows } from './arrows.ts'

const library = 'packages/eventuali/src'
const trees: string[] = []

afterEach(() => {
  for (const tree of trees.splice(0)) rmSync(tree, { recursive: true, force: true })
})

/** A small healthy tree, and the planted files over it. */
function plant(files: Record<string, string>): string {
  const tree = mkdtempSync(join(tmpdir(), 'eventuali-arrows-'))
  trees.push(tree)
  const healthy = {
    'kernel/index.ts': `export { now } from './clock.ts'`,
    'kernel/clock.ts': 'export const now = 1\nexport type Now = number',
    'model/index.ts': `import { now } from '../kernel/index.ts'\nexport const event = now`,
    'ports/index.ts': `export type { event } from '../model/index.ts'`,
    'commands/index.ts': `import '../ports/index.ts'\nexport const run = 1`,
    'subscriptions/index.ts': 'export const follow = 1',
    'stores/sql/index.ts': `import '../../ports/index.ts'\nexport const hash = 1`,
    'stores/sqlite/index.ts': `import { hash } from '../sql/index.ts'\nexport const sqlite = hash`,
    'stores/memory/index.ts': `import '../../ports/index.ts'\nexport const memory = 1`,
    'store/index.ts': `import('../stores/memory/index.ts')\nexport const open = 1`,
    'testing/index.ts': `import '../store/index.ts'\nexport const given = 1`,
    'index.ts': `export { open } from './store/index.ts'`,
  }
  const all = Object.entries(healthy).map(([path, text]) => [`${library}/${path}`, text] as const)
  for (const [path, text] of [...all, ...Object.entries(files)]) {
    mkdirSync(dirname(join(tree, path)), { recursive: true })
    writeFileSync(join(tree, path), `${text}\n`)
  }
  return tree
}

async function rulesBrokenBy(files: Record<string, string>): Promise<string[]> {
  const { broken } = await checkArrows(plant(files))
  return [...new Set(broken.map((b) => b.rule))].sort()
}

test('a healthy tree has no wrong arrow, and its arrows are seen', async () => {
  const report = await checkArrows(plant({}))
  expect(report.broken).toEqual([])
  expect(report.arrowsCount).toBeGreaterThan(9)
})

const planted: [what: string, rule: string, files: Record<string, string>][] = [
  ['a value import upwards', 'rank:kernel', { 'kernel/a.ts': `import '../model/index.ts'` }],
  [
    'a type import upwards',
    'rank:model',
    { 'model/a.ts': `import type { run } from '../ports/index.ts'` },
  ],
  [
    'an inline type import upwards',
    'rank:model',
    { 'model/a.ts': `import { type run } from '../commands/index.ts'` },
  ],
  [
    'a type re-export upwards',
    'rank:ports',
    { 'ports/a.ts': `export type { run } from '../commands/index.ts'` },
  ],
  ['a lazy import upwards', 'rank:commands', { 'commands/a.ts': `import('../store/index.ts')` }],
  [
    'an import of the same rank',
    'rank:commands',
    { 'commands/a.ts': `import '../subscriptions/index.ts'` },
  ],
  ['an import of the entry', 'rank:store', { 'store/a.ts': `import '../index.ts'` }],
  ['a folder without a rank', 'unranked', { 'extras/a.ts': `import '../kernel/index.ts'` }],
  ['a side door', 'door:kernel', { 'model/a.ts': `import type { Now } from '../kernel/clock.ts'` }],
  [
    'a side door in a test',
    'door:kernel',
    { 'model/a.test.ts': `import { now } from '../kernel/clock.ts'` },
  ],
  [
    'a store that imports another',
    'adapters-apart',
    { 'stores/memory/a.ts': `import type { sqlite } from '../sqlite/index.ts'` },
  ],
  [
    'a feature that knows an adapter',
    'adapters-hidden',
    { 'pipelines/a.ts': `import { memory } from '../stores/memory/index.ts'` },
  ],
  [
    'shared SQL outside the stores',
    'shared-sql-private',
    { 'store/a.ts': `import '../stores/sql/index.ts'` },
  ],
  [
    'a cycle of types',
    'cycle',
    {
      'model/a.ts': `import type { B } from './b.ts'\nexport type A = B`,
      'model/b.ts': `import type { A } from './a.ts'\nexport type B = A | 1`,
    },
  ],
  ['an import that leads nowhere', 'unresolved', { 'model/a.ts': `import './gone.ts'` }],
  [
    'a drawer',
    'name',
    { 'model/utils.ts': 'export const x = 1', 'model/a.ts': `import './utils.ts'` },
  ],
]

test.each(planted)('%s is caught by %s', async (_what, rule, files) => {
  const paths = Object.entries(files).map(([path, text]) => [`${library}/${path}`, text])
  expect(await rulesBrokenBy(Object.fromEntries(paths))).toContain(rule)
})

test('arrows are seen beside an await using', async () => {
  const text = `await using a = await import('../store/index.ts')\nexport const x = a`
  expect(await rulesBrokenBy({ [`${library}/commands/a.ts`]: text })).toContain('rank:commands')
})

test('a path into the sources of the library is caught', async () => {
  const files = { 'packages/cli/src/a.ts': `import '../../eventuali/src/index.ts'` }
  expect(await rulesBrokenBy(files)).toContain('package-name')
})

test('a library file that imports a program is caught', async () => {
  const files = {
    [`${library}/store/a.ts`]: `import '../../../cli/src/a.ts'`,
    'packages/cli/src/a.ts': 'export const a = 1',
  }
  expect(await rulesBrokenBy(files)).toContain('programs-above')
})

test("a store's own test may run the contract", async () => {
  const test = `import { given } from '../../testing/index.ts'\nexport const t = given`
  const files = { [`${library}/stores/memory/memory.contract.test.ts`]: test }
  expect(await rulesBrokenBy(files)).toEqual([])
})
