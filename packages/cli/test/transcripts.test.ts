import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { run } from '../src/run.test-support.ts'
import { seedStore } from './seeded-store.ts'
import { Terminal } from './terminal.ts'

const guide = join(import.meta.dirname, '../../../docs/guide')
/** `EVENTUALI_WRITE_DOCS=1` writes what the commands print into the pages. */
const isWriting = process.env.EVENTUALI_WRITE_DOCS === '1'

let folder: string
let terminal: Terminal
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'eventuali-transcripts-'))
  terminal = new Terminal(folder)
  await seedStore(`sqlite:${join(folder, 'shop.db')}`)
})
afterEach(() => {
  terminal.close()
  rmSync(folder, { recursive: true, force: true })
})

// What is different on another machine or day: each kind of it becomes one word.
const varying: readonly (readonly [RegExp, string])[] = [
  [/^ +at .*\n/gm, ''],
  [/\bms=[\d.]+/g, 'duration=N'],
  [/\b20(?!26-01-05)\d\d-\d\d-\d\dT[\d:.]+Z/g, 'TIME'],
  [/"recordedAt":"[^"]*"/g, '"recordedAt":TIME'],
  [/\b[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}\b/g, 'ID'],
  [/\b[\da-f]{12}\b/g, 'CODE'],
  [/\b\d+\.\d+\.\d+\b(?!\.)/g, 'VERSION'],
  [/\d[\d,.]* (?:ms|min|s|h|d|B|[KMGT]iB)\b/g, 'QUANTITY'],
  [/[\d,]+ bytes/g, 'BYTES'],
  [/[\d,]+ events\/s/g, 'RATE'],
  [/"(?:seconds|eventsPerSecond|bytes)":[\d.]+/g, '"FIGURE":N'],
  [/\d+ % of a core|load [\d.]+/g, 'LOAD'],
  [/[▁-█]+/g, 'SPARKS'],
]

/** Output without what varies; of measurements no figure stays, nor the widths of columns. */
function masked(command: string, text: string): string {
  let rest = text
  for (const [pattern, word] of varying) rest = rest.replace(pattern, word)
  if (/^eventuali (?:benchmark|monitor)\b/.test(command)) rest = rest.replace(/\d[\d,.]*/g, 'N')
  return rest.replace(/ +/g, ' ').replace(/ $/gm, '')
}

/** The terminals that a page shows: each is lines that begin with `$ `, and what they print. */
const blocksOf = (page: string): readonly string[] =>
  [...page.matchAll(/```console\n(.*?)```/gs)].map(([, body = '']) => body)

const pages = readdirSync(guide)
  .filter((name) => name.endsWith('.md'))
  .map((name) => ({ name, blocks: blocksOf(readFileSync(join(guide, name), 'utf8')) }))
  .filter(({ blocks }) => blocks.length > 0)

it.each(pages)('commands print what $name says', async ({ name, blocks }) => {
  const page = join(guide, name)
  let after = readFileSync(page, 'utf8')
  for (const block of blocks) {
    let written = ''
    for (const part of block.split(/^(?=\$ )/m)) {
      const [line = '', ...rest] = part.split('\n')
      const command = line.slice('$ '.length)
      const [wanted, found] = [rest.join('\n'), await terminal.shown(command)]
      const isSame = masked(command, found) === masked(command, wanted)
      written += `${line}\n${isSame ? wanted : found}`
      if (!isWriting) expect(masked(command, found), command).toBe(masked(command, wanted))
    }
    after = after.replace(block, () => written)
  }
  if (isWriting) writeFileSync(page, after)
})

it('the guide shows what every command prints', async () => {
  const list = (await run(['docs'])).out.split('\nPages')[0] ?? ''
  const paths = [...list.matchAll(/^ {2}(\S+(?: \S+)*) {2,}/gm)].map(([, path = '']) => path)
  expect(paths).toEqual(expect.arrayContaining(['serve', 'schema diff', 'deadletters retry']))
  const lines = pages.flatMap(({ blocks }) =>
    blocks.flatMap((block) => block.match(/^\$ .*$/gm) ?? []).map((line) => `${line} `),
  )
  const missing = paths.filter((path) => !lines.some((line) => line.includes(`eventuali ${path} `)))
  expect(missing).toEqual([])
})
