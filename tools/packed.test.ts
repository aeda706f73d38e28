import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { codeBlocks } from './markdown.ts'
import { packed, type UserFolder, userFolder } from './packed.ts'
import { followTutorial, tutorialSteps } from './tutorial.ts'

// What a user gets is the archive, not the workspace: what is left out of it is missed only there.
let library: UserFolder

beforeAll(async () => {
  const archives = await packed(['packages/eventuali'])
  library = await userFolder(archives)
}, 300_000)

const program = `import { defineEvents, openStore, type } from 'eventuali'
const events = defineEvents({ OrderPlaced: type() })
const store = await openStore('sqlite:shop.db')
try {
  await store.append('order-1', events.OrderPlaced({ total: 30 }))
  for await (const { version, type, data } of store.readStream('order-1')) {
    console.log(version, type, data.total)
  }
} finally {
  await store.close()
}
`

describe('the packed library', () => {
  test('brings no driver and nothing else that is not needed', () => {
    expect(library.installed()).toEqual(['@standard-schema/spec', 'croner', 'eventuali'])
  })

  test.each([
    ['the newer line', process.execPath],
    ['the older line', resolve('node_modules/node-22/bin/node')],
  ])('works from plain JavaScript on %s', async (line, node) => {
    library.write('plain.js', program.replace('shop.db', `${line.replaceAll(' ', '-')}.db`))
    const { output, exitCode } = await library.node(['--no-warnings', 'plain.js'], node)
    expect([exitCode, output]).toEqual([0, '1 OrderPlaced 30\n'])
  })

  test('is loaded without a database or a network', async () => {
    library.write(
      'import.js',
      `import { registerHooks } from 'node:module'
const before = new Set(process.moduleLoadList)
const files = []
registerHooks({
  load: (url, context, next) => {
    if (url.startsWith('file:')) files.push(url)
    return next(url, context)
  },
})
const started = performance.now()
await import('eventuali')
const took = performance.now() - started
const loaded = process.moduleLoadList.filter((name) => !before.has(name))
console.log(JSON.stringify({ took, loaded, files }))
`,
    )
    const { output } = await library.node(['import.js'])
    const { took, loaded, files } = JSON.parse(output) as {
      readonly took: number
      readonly loaded: readonly string[]
      readonly files: readonly string[]
    }
    console.log(`import 'eventuali': ${took.toFixed(0)} ms`)
    const heavy = /sqlite|child_process|NativeModule (tls|http|https|http2|dns)$/
    expect(loaded.filter((name) => heavy.test(name))).toEqual([])
    // Each file costs the better part of a millisecond, see docs/adr/0022-published-files.md.
    expect(files.length).toBeLessThan(30)
  })

  test('starts threads of its own', async () => {
    library.write('double.js', 'export const handle = async () => {}\n')
    library.write(
      'threads.js',
      `import { openStore, processAll } from 'eventuali'
const store = await openStore('memory:')
await store.append('order-1', { type: 'OrderPlaced', data: {} })
const work = { module: new URL('./double.js', import.meta.url) }
const { events } = await processAll(store, { partitions: 2, work })
console.log(events)
await store.close()
`,
    )
    const { output, exitCode } = await library.node(['threads.js'])
    expect([exitCode, output]).toEqual([0, '1\n'])
  })

  test('type-checks strictly, with its own declarations checked too', async () => {
    const readme = codeBlocks(readFileSync('README.md', 'utf8')).find(
      ({ info }) => info[0] === 'ts',
    )
    const text = readme?.code.join('\n').replace(/^import \{ z \}.*$/m, '') ?? ''
    const typed = text.replace(
      /z\.object\(\{ customer.*?\}\)/,
      'type<{ customer: string; total: number }>()',
    )
    library.write('src/main.ts', `${typed}\nexport {}\n`)
    library.write(
      'tsconfig.json',
      JSON.stringify({
        compilerOptions: {
          ...{ strict: true, noEmit: true, skipLibCheck: false, exactOptionalPropertyTypes: true },
          ...{ module: 'NodeNext', target: 'ES2024', lib: ['ES2024', 'ESNext.Disposable', 'DOM'] },
          ...{ types: ['node'], typeRoots: [resolve('node_modules/@types')] },
        },
        include: ['src'],
      }),
    )
    for (const compiler of ['node_modules/typescript', 'docs/node_modules/typescript']) {
      const tsc = await library.node([resolve(compiler, 'bin/tsc'), '-p', '.', '--pretty', 'false'])
      expect([compiler, tsc.output]).toEqual([compiler, ''])
    }
  })

  test('goes through a bundler, and the bundle runs alone', async () => {
    library.write('bundled.js', program.replace('shop.db', 'bundled.db'))
    const { rolldown } = await import('rolldown')
    const logs: string[] = []
    const build = await rolldown({
      ...{ input: join(library.path, 'bundled.js'), platform: 'node' },
      external: ['pg', 'better-sqlite3', 'lz4-napi', 'msgpackr', 'snappy'],
      onLog: (level, { message }) => {
        if (level === 'warn') logs.push(message)
      },
    })
    const { output } = await build.generate({ format: 'esm' })
    const alone = await userFolder([])
    for (const part of output) {
      if (part.type === 'chunk') writeFileSync(join(alone.path, part.fileName), part.code)
    }
    const ran = await alone.node(['bundled.js'])
    expect([ran.exitCode, ran.output]).toEqual([0, '1 OrderPlaced 30\n'])
    expect(logs).toEqual([])
  })

  test('says how to get the command line, which is a package of its own', async () => {
    const { output } = await library.npm('exec', '--', 'eventuali', '--help')
    expect(output).toContain('npm install @eventuali/cli')
  })
})

test('the packed command line stores and shows events, and the quick start holds', async () => {
  const archives = await packed(['packages/eventuali', 'packages/server', 'packages/cli'])
  const folder = await userFolder([...archives, 'zod'])
  const cli = (...args: string[]) => folder.npm('exec', '--', 'eventuali', ...args)
  const url = ['--store', 'sqlite:orders.db']
  expect((await cli('append', 'order-1', 'OrderPlaced', '{"total":30}', ...url)).exitCode).toBe(0)
  const { output } = await cli('query', '--json', ...url)
  expect(JSON.parse(output)).toMatchObject({ stream: 'order-1', data: { total: 30 } })
  const quickStart = codeBlocks(readFileSync('docs/guide/quick-start.md', 'utf8'))
  const bin = join(folder.path, 'node_modules/eventuali/bin/eventuali.js')
  const steps = tutorialSteps('docs/guide/quick-start.md', quickStart)
  expect(await followTutorial(steps, folder.path, { cli: bin })).toEqual([])
  // The guide is in the archive.
  expect((await cli('docs', 'recode')).output).toContain('\n## recode\n')
}, 300_000)
