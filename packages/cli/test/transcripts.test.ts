import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { run } from '../src/run.test-support.ts'
import { seedStore } from './seeded-store.ts'

const root = join(import.meta.dirname, '../../..')
const guide = join(root, 'docs/guide')
const shop = join(import.meta.dirname, 'shop')
/** `EVENTUALI_WRITE_DOCS=1` writes what the commands print into the pages. */
const isWriting = process.env.EVENTUALI_WRITE_DOCS === '1'

let folder: string
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'eventuali-transcripts-'))
  await seedStore(`sqlite:${join(folder, 'shop.db')}`)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** The words of a command line as a shell reads them: quotes keep them together. */
function wordsOf(line: string): readonly string[] {
  const words = line.match(/"[^"]*"|'[^']*'|[^\s"']+/g) ?? []
  return words.map((word) => word.replace(/^(["'])(.*)\1$/, '$2'))
}

/** What a command prints, as it would stand in a terminal. */
async function shown(command: string): Promise<string> {
  const argv = wordsOf(command).map((word) =>
    word.replace('sqlite:', `sqlite:${folder}/`).replace(/^\.\//, `${folder}/`),
  )
  const env = { EVENTUALI_STORE: `sqlite:${join(folder, 'shop.db')}` }
  const { code, out, err } = await run(argv, { cwd: shop, env })
  const text = `${out}${err}${code === 0 ? '' : `# ends with ${code}\n`}`
  const named = text.replaceAll(`file://${root}`, '').replaceAll(root, '')
  // Of a stack the page has the first frame.
  return named.replaceAll(`${folder}/`, '').replace(/^( +at .*\n)(?: +at .*\n)+/gm, '$1')
}

// What is different on another machine or day: each kind of it becomes one word.
const varying: readonly (readonly [RegExp, string])[] = [
  [/^ +at .*\n/gm, ''],
  [/\b20(?!26-01-05)\d\d-\d\d-\d\dT[\d:.]+Z/g, 'TIME'],
  [/"recordedAt":"[^"]*"/g, '"recordedAt":TIME'],
  [/\b[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}\b/g, 'ID'],
  [/\b[\da-f]{12}\b/g, 'CODE'],
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
  if (/^(?:benchmark|monitor)\b/.test(command)) rest = rest.replace(/\d[\d,.]*/g, 'N')
  return rest.replace(/ +/g, ' ').replace(/ $/gm, '')
}

it.each([
  ['operating.md', 10],
  ['backup.md', 2],
  ['command-line.md', 5],
])('commands print what %s says', async (name, blockCountMin) => {
  const page = join(guide, name)
  const before = readFileSync(page, 'utf8')
  const blocks = [...before.matchAll(/```console\n(.*?)```/gs)].map(([, body = '']) => body)
  expect(blocks.length).toBeGreaterThanOrEqual(blockCountMin)
  let after = before
  for (const block of blocks) {
    let written = ''
    for (const part of block.split(/^(?=\$ )/m)) {
      const [line = '', ...rest] = part.split('\n')
      const command = line.replace(/^\$ eventuali /, '')
      const [wanted, found] = [rest.join('\n'), await shown(command)]
      const isSame = masked(command, found) === masked(command, wanted)
      written += `${line}\n${isSame ? wanted : found}`
      if (!isWriting) expect(masked(command, found), command).toBe(masked(command, wanted))
    }
    after = after.replace(block, () => written)
  }
  if (isWriting) writeFileSync(page, after)
})
