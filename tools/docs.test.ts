import { expect, test } from 'vitest'
import { checkPrograms, executePrograms, onPage, programsOf } from './docs.ts'
import { errorClasses, errorPageFaults } from './error-table.ts'
import { brokenLinks, codeBlocks, exampleBlocks } from './markdown.ts'

const classes = [
  { name: 'BusyError', code: 'BUSY', retryable: true },
  { name: 'GoneError', code: 'GONE', retryable: false },
]
const page = [
  '| symptom | code | class | retry | what to do |',
  '|---|---|---|---|---|',
  '| Slow | [`BUSY`](#busy) | `BusyError` | yes | wait |',
  '| Lost | `GONE` | `GoneError` | no | look elsewhere |',
  '### `BUSY`',
  '### `GONE`',
].join('\n')

test('a class with a code is found, with its retryable', () => {
  const source = `export class BusyError extends Base { readonly code = 'BUSY'
    override readonly retryable = true }
    class Other {}
    export class GoneError extends Base { readonly code = 'GONE' }`
  expect(errorClasses('a.ts', source)).toEqual(classes)
})

test('a page that says what the code says has no fault', () => {
  expect(errorPageFaults(classes, page)).toEqual([])
})

test('each difference between page and code is found, both ways', () => {
  const faults = (from: string, to: string): string[] =>
    errorPageFaults(classes, page.replace(from, to))
  expect(faults('| Lost | `GONE` | `GoneError` | no | look elsewhere |\n', '')).toEqual([
    'GONE (GoneError) has 0 rows in the table, should have 1',
  ])
  expect(faults('yes', 'no')).toEqual(['BUSY: retry should say yes'])
  expect(faults('`BusyError`', '`SlowError`')).toEqual(['BUSY: the class is BusyError'])
  expect(faults('wait', '')).toEqual(['BUSY: what to do is empty'])
  expect(faults('### `GONE`', '')).toEqual(['GONE has 0 paragraphs, should have 1'])
  expect(faults('### `GONE`', '### `GONE`\n### `LATE`')).toEqual([
    'LATE is on the page, but no class has it',
  ])
  expect(
    errorPageFaults([...classes, { ...classes[0], name: 'B2', code: 'BUSY' } as never], page),
  ).toContain('BUSY is the code of two classes')
})

test('code blocks keep their lines, and a continued one has what came before', () => {
  const markdown = 'x\n```ts run\nconst a = 1\n```\ny\n```ts continue\na + 1\n```\n```sh\nls\n```\n'
  const programs = programsOf('docs/a.md', codeBlocks(markdown))
  expect(programs).toEqual([
    { name: 'docs__a.md.3.ts', text: '\n\nconst a = 1\nexport {}\n', run: true },
    { name: 'docs__a.md.7.ts', text: '\n\nconst a = 1\n\n\n\na + 1\nexport {}\n', run: false },
  ])
  expect(onPage('.tmp/docs/docs__a.md.7.ts(7,3): error TS1: no')).toBe('docs/a.md:7: error TS1: no')
})

test('examples are taken out of doc comments', () => {
  const source = '/**\n * Adds.\n *\n * @example\n * ```ts\n * add(1)\n * ```\n */\n'
  expect(exampleBlocks(source)).toEqual([{ info: ['ts'], line: 6, code: ['add(1)'] }])
})

test('links to files and headings that are not there are found', () => {
  const text = [
    '# A title',
    '[ok](../package.json) [ok](#a-title) [out](https://example.org/x)',
    '[gone](gone.md) `[code](gone.md)`',
    '[lost](#no-title)',
  ].join('\n')
  expect(brokenLinks('tools/page.md', text, () => '')).toEqual([
    { line: 3, link: 'gone.md' },
    { line: 4, link: '#no-title' },
  ])
})

test('a block that does not compile, and one that fails when it runs, are found', async () => {
  const markdown = '```ts\nconst a: number = "1"\n```\n```ts run\nthrow new Error("no")\n```\n'
  const programs = programsOf('docs/a.md', codeBlocks(markdown))
  const scratch = '.tmp/docs-test'
  expect(await checkPrograms(programs, scratch)).toEqual([
    "docs/a.md:2: error TS2322: Type 'string' is not assignable to type 'number'.",
  ])
  const [fault, ...others] = await executePrograms(programs, scratch)
  expect(fault).toMatch(/^docs__a\.md\.5\.ts ended with code 1/)
  expect(others).toEqual([])
})
