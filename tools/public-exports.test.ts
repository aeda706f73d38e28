import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checkPublicExports, entriesOf, publicEntries } from './public-exports.ts'

function publicFaults(files: Readonly<Record<string, readonly string[]>>, page = ''): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-tidy-'))
  try {
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(folder, name), text.join('\n'))
    }
    return checkPublicExports([join(folder, 'index.ts')], page).map((c) => c.what)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const doc = (code: string): string =>
  `/**\n * Told.\n *\n * @example\n * \`\`\`ts\n * ${code}\n * \`\`\`\n */`

test('a public name needs a doc comment, a callable one an example that uses it', () => {
  const all = [
    'export function bare() {}',
    '/** Told. */\nexport const told = 1',
    `${doc('shown()')}\nexport const shown = 2`,
    `${doc('shown()')}\nexport class Other {}`,
    `${doc('using(given)')}\nexport class Given {}`,
    '/** Refused. */\nexport class ListedError extends Error {}',
    '/** Refused. */\nexport class HiddenError extends Error {}',
    'export const notPublic = 3',
  ]
  const index = [
    `export { bare, told, shown, Other, Given, ListedError, HiddenError } from './all.ts'`,
    `export { gone } from './all.ts'`,
  ]
  const page = '| refused | `LISTED` | `ListedError` | no | ask |'
  expect(publicFaults({ 'index.ts': index, 'all.ts': all }, page)).toEqual([
    'public gone leads nowhere',
    'public bare has no doc comment',
    'public told has no @example',
    'public Other has an @example that does not use it',
    'public HiddenError has no @example, nor a row in docs/errors.md',
  ])
})

test('a public type stands in the signature of a value with an example, or in one', () => {
  const types = ['Options', 'Inner', 'Answer', 'Named', 'Own', 'Body', 'Secret', 'Lost', 'Kept']
  const index = [
    `export { open, Box } from './open.ts'`,
    `export type { ${types.join(', ')} } from './shapes.ts'`,
  ]
  const open = [
    `import type { Answer, Body, Kept, Options, Secret } from './shapes.ts'`,
    'type Answers = readonly Answer[]',
    `${doc('open({} as Named)')}`,
    'export async function open(o: Options): Promise<Answers> {\n  const b: Body = o\n  return [b]\n}',
    `${doc('new Box()')}`,
    'export class Box<T extends Kept> {\n  readonly #secret: Secret\n  private s?: Secret\n}',
  ]
  const shapes = types.map((name) =>
    name === 'Options'
      ? '/** A shape. */\nexport interface Options { readonly inner: Inner }'
      : `${name === 'Own' ? doc('let own: Own') : '/** A shape. */'}\nexport type ${name} = {}`,
  )
  expect(publicFaults({ 'index.ts': index, 'open.ts': open, 'shapes.ts': shapes })).toEqual(
    ['Body', 'Secret', 'Lost'].map((name) => `no example shows the type ${name}`),
  )
})

test('entries of a package are found behind its exports', () => {
  const exports = {
    '.': { types: './dist/index.d.ts', default: './dist/index.js' },
    './package.json': './package.json',
  }
  expect(entriesOf('packages/x', { exports })).toEqual(['packages/x/src/index.ts'])
})

test('the reference is made from the entries of all packages', () => {
  const { entryPoints } = JSON.parse(readFileSync('docs/typedoc.json', 'utf8')) as {
    entryPoints: string[]
  }
  const inReference = entryPoints.map((path) => join('docs', path)).sort()
  expect(inReference).toEqual(publicEntries().sort())
  expect(inReference).toContain('packages/server/src/index.ts')
})
