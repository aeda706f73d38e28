import { expect, test } from 'vitest'
import { missingPlatforms } from './lock.ts'
import { checkLock, checkPeers } from './tidy.ts'
import { checkSource, checkText } from './tidy-source.ts'

const file = 'packages/eventuali/src/model/order.ts'
const lines = (count: number, line = 'f()'): string => `${line}\n`.repeat(count)
const rules = (text: string, name = file): string[] => [
  ...new Set(checkSource(name, text).map((complaint) => complaint.rule)),
]

test('a healthy file has nothing to mend', () => {
  expect(checkSource(file, '/** Adds. */\nexport const add = (a: number) => a + 1\n')).toEqual([])
})

test('a file over the habit is noted, one over the limit is an error', () => {
  expect(checkSource(file, lines(300))).toEqual([])
  expect(checkSource(file, lines(301))[0]).toMatchObject({ rule: 'file-length', note: true })
  expect(checkSource(file, lines(501))[0]).toMatchObject({ rule: 'file-length', note: false })
})

test('a long function is found in each of its shapes', () => {
  for (const head of ['function a()', 'const a = () =>', 'class A { a()']) {
    const tail = head.startsWith('class') ? '}}' : '}'
    expect(rules(`${head} {\n${lines(68)}${tail}\n`), head).toEqual([])
    expect(rules(`${head} {\n${lines(69)}${tail}\n`), head).toEqual(['function-length'])
  }
  for (const chapter of ['describe', 'describe.each([1])', 'describe.skipIf(true)']) {
    expect(rules(`${chapter}('x', () => {\n${lines(90)}})\n`), chapter).toEqual([])
  }
  expect(rules(`test('x', () => {\n${lines(90)}})\n`)).toEqual(['function-length'])
  expect(rules(`const sql = () => \`\n${lines(90)}\`\n`)).toEqual([])
})

test('a wide line is found, unless a text cannot be broken', () => {
  const wide = 'x'.repeat(101)
  expect(rules(`// ${wide}\n`)).toEqual(['line-width'])
  expect(rules(`f(${wide})\n`)).toEqual(['line-width'])
  expect(rules(`f('${wide}')\n`)).toEqual([])
  expect(rules(`// https://${wide}\n`)).toEqual([])
})

test.each(['utils.ts', 'util.test.ts', 'helpers.ts', 'common.mjs', 'types.ts', 'orderLine.ts'])(
  '%s is no name for a file',
  (name) => {
    expect(rules('f()\n', `packages/cli/src/${name}`)).toEqual(['file-name'])
  },
)

test('open ends need an issue number', () => {
  const word = ['FIX', 'ME'].join('')
  expect(checkText(file, `// ${word}: later`)).toMatchObject([{ rule: 'marker', line: 1 }])
  expect(checkText(file, `// ${word} #12: later`)).toEqual([])
})

test('paths of one machine are found', () => {
  for (const top of ['home/ada', 'root/x', 'Users/ada']) {
    expect(checkText('README.md', `see /${top}/data`)).toMatchObject([{ rule: 'machine-path' }])
  }
  expect(checkText('README.md', 'see docs/work/flow.md')).toEqual([])
})

test('imports hidden in types and doors without names are found', () => {
  expect(rules(`type A = import('./a.ts').A\n`)).toEqual(['import-type'])
  expect(rules(`export * from './a.ts'\n`)).toEqual(['export-all'])
})

test('time and chance that were not handed in are found, outside the kernel and tests', () => {
  for (const text of ['Date.now()\n', 'new Date()\n', 'Math.random()\n']) {
    expect(rules(text)).toEqual(['seed'])
    expect(rules(text, 'packages/eventuali/src/kernel/clock.ts')).toEqual([])
    expect(rules(text, 'packages/eventuali/src/model/order.test.ts')).toEqual([])
  }
  expect(rules('new Date(5)\n')).toEqual([])
})

test('peers are what the manifests name: ranges, both ways, optional', () => {
  const optional = { peerDependenciesMeta: { pg: { optional: true } } }
  const wanted = { pg: '^8.0.0' }
  const check = (peerDependencies: Record<string, string>, meta = optional): string[] =>
    checkPeers('package.json', { peerDependencies, ...meta }, wanted).map((c) => c.what)
  expect(check({ pg: '^8.0.0' })).toEqual([])
  expect(check({ pg: '^7.0.0' })).toEqual(['pg should be ^8.0.0, is ^7.0.0'])
  expect(check({})).toEqual(['pg should be ^8.0.0, is missing'])
  expect(check({ pg: '^8.0.0', redis: '1' })).toContain('no manifest names redis')
  expect(
    checkPeers('package.json', { peerDependencies: wanted }, wanted).map((c) => c.what),
  ).toEqual(['pg is not optional'])
})

test('the lock file names no host', () => {
  const lock = (resolved: string): string =>
    JSON.stringify({ packages: { 'node_modules/x': { version: '1.0.0', resolved } } }, null, 2)
  expect(checkLock('package-lock.json', lock('https://registry.example/x.tgz'))).toMatchObject([
    { rule: 'registry-host' },
  ])
  expect(checkLock('package-lock.json', lock('packages/cli'))).toEqual([])
})

test('the lock file holds the packages of other machines too', () => {
  const tool = {
    version: '1.0.0',
    dev: true,
    optionalDependencies: { '@x/linux-x64-musl': '1.0.0', '@x/darwin-arm64': '1.0.0' },
  }
  const lock = { packages: { 'node_modules/x': tool, 'node_modules/@x/darwin-arm64': {} } }
  expect([...missingPlatforms(lock)]).toEqual([
    [
      'node_modules/@x/linux-x64-musl',
      { version: '1.0.0', cpu: ['x64'], os: ['linux'], libc: ['musl'], dev: true, optional: true },
    ],
  ])
  expect(checkLock('package-lock.json', JSON.stringify(lock))).toMatchObject([
    { rule: 'lock-platform' },
  ])
})
