import { existsSync, readFileSync, rmSync } from 'node:fs'
import { expect, test } from 'vitest'
import { codeBlocks } from './markdown.ts'
import { followTutorial, tutorialPrograms, tutorialSteps } from './tutorial.ts'

const page = [
  '```sh',
  'npm install',
  '```',
  '```ts file=src/say.ts',
  "console.log('hello', process.argv[2])",
  '```',
  '```sh run',
  'node src/say.ts "ada and bob"',
  '```',
  '```text output',
  'hello ada and bob',
  '```',
].join('\n')
const steps = tutorialSteps('docs/tutorial/1.md', codeBlocks(page))

test('files, commands and what they print are taken from a page, in order', () => {
  expect(steps).toEqual([
    {
      ...{ kind: 'file', at: 'docs/tutorial/1.md:5', path: 'src/say.ts' },
      text: "console.log('hello', process.argv[2])\n",
    },
    {
      ...{ kind: 'run', at: 'docs/tutorial/1.md:8', commands: ['node src/say.ts "ada and bob"'] },
      onPostgres: false,
      output: 'hello ada and bob',
    },
  ])
})

test('each page is checked with the files of the pages before it', () => {
  const later = tutorialSteps('docs/tutorial/2.md', codeBlocks('```ts file=a.ts\n1\n```\n'))
  const programs = tutorialPrograms([
    ['docs/tutorial/1.md', steps],
    ['docs/tutorial/2.md', later],
  ])
  expect(programs.map(({ name }) => name)).toEqual([
    'docs__tutorial__1.md/src/say.ts',
    'docs__tutorial__2.md/src/say.ts',
    'docs__tutorial__2.md/a.ts',
  ])
})

test('following it compares what is printed, and finds what fails', async () => {
  const folder = '.tmp/tutorial-test'
  rmSync(folder, { recursive: true, force: true })
  expect(await followTutorial(steps, folder)).toEqual([])
  expect(existsSync(`${folder}/src/say.ts`)).toBe(true)
  expect(readFileSync(`${folder}/src/say.ts`, 'utf8')).toContain('hello')
  const wrong = page.replace('hello ada and bob', 'hello eve')
  expect(await followTutorial(tutorialSteps('p', codeBlocks(wrong)), folder)).toEqual([
    'p:8 printed\nhello ada and bob\ninstead of\nhello eve',
  ])
  const gone = '```sh run\nnode gone.ts\nrm -rf .\n```\n'
  const faults = await followTutorial(tutorialSteps('p', codeBlocks(gone)), folder)
  expect(faults.map((fault) => fault.split('\n')[0])).toEqual([
    'p:2 node gone.ts ended with code 1',
    'p:2 rm -rf . ended with code 1',
  ])
})

test('what needs Postgres gets its url, and is left out where there is none', async () => {
  const asked = [
    '```ts file=where.ts',
    'console.log(process.env.STORE, process.argv[2])',
    '```',
    '```sh run postgres',
    'node where.ts "$STORE"',
    '```',
    '```text output',
    'postgres://db/desk postgres://db/desk',
    '```',
  ].join('\n')
  const steps = tutorialSteps('p', codeBlocks(asked))
  const folder = '.tmp/tutorial-test'
  const postgres = 'postgres://db/desk'
  expect(await followTutorial(steps, folder, { postgres })).toEqual([])
  expect(await followTutorial(steps, folder, { postgres: 'postgres://other' })).toHaveLength(1)
  expect(await followTutorial(steps, folder)).toEqual([])
})
