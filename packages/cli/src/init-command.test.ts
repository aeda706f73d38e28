import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Writable } from 'node:stream'
import { openStore } from 'eventuali'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { main } from './main.ts'
import { run } from './run.test-support.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'eventuali-init-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const init = (argv: readonly string[], env: Record<string, string> = {}) =>
  run(['init', ...argv], { cwd: folder, env })

const files = () => readdirSync(folder, { recursive: true }).map(String).sort()
const everything = [
  ...['eventuali.config.ts', 'eventuali.db', 'package.json', 'src'],
  ...[join('src', 'order.test.ts'), join('src', 'order.ts'), 'tsconfig.json'],
]

/** Runs init at a terminal; each answer is typed once its question is shown. */
async function talk(answers: readonly (readonly [question: string, keys: string])[]) {
  const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => {} })
  const left = [...answers]
  let said = ''
  let out = ''
  const stderr = new Writable({
    write(chunk, _encoding, done) {
      said += chunk
      const [question, keys] = left[0] ?? []
      if (question !== undefined && keys !== undefined && said.includes(question)) {
        left.shift()
        // Not before the prompt has begun to listen.
        setImmediate(() => stdin.write(keys))
      }
      done()
    },
  })
  const stdout = new Writable({
    write(chunk, _encoding, done) {
      out += chunk
      done()
    },
  })
  const code = await main(['init'], { stdin, stdout, stderr, env: {}, cwd: folder })
  return { code, said, out, left }
}

describe('init --yes', () => {
  it('writes a configuration, an aggregate, a test and a store, and none of it twice', async () => {
    const { code } = await init(['--yes'])
    expect(code).toBe(0)
    expect(files()).toEqual(everything)
    const store = await openStore(`sqlite:${join(folder, 'eventuali.db')}`, { readOnly: true })
    expect(await store.readAll().toArray()).toEqual([])
    await store.close()
    const before = files().map((file) => {
      const path = join(folder, file)
      return file === 'src' ? '' : readFileSync(path, 'base64')
    })
    const again = await init(['--yes'])
    expect(again).toMatchObject({ code: 1, out: '' })
    expect(again.err).toContain('init touches nothing that exists')
    const after = files().map((file) =>
      file === 'src' ? '' : readFileSync(join(folder, file), 'base64'),
    )
    expect(after).toEqual(before)
  })

  it.each([
    ['src/order.test.ts', 'mine'],
    ['eventuali.db', 'mine'],
    ['eventuali.db-wal', 'mine'],
    ['eventuali.config.ts', 'mine'],
  ])('leaves everything as it is when %s is there', async (file, content) => {
    mkdirSync(join(folder, 'src'))
    writeFileSync(join(folder, file), content)
    const before = files()
    const { code, err } = await init(['--yes'])
    expect(code).toBe(1)
    expect(err).toContain(file)
    expect(files()).toEqual(before)
    expect(readFileSync(join(folder, file), 'utf8')).toBe(content)
  })

  it('takes back what it made when it does not come to its end', async () => {
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
    // A folder where the database is to be: found by nothing but the attempt to open it.
    const inFile = await init([
      'new/deep',
      '--yes',
      '-s',
      `sqlite:${join(folder, 'package.json')}/x`,
    ])
    expect(inFile.code).toBe(1)
    expect(files()).toEqual(['package.json'])
    const away = await init(['--yes', '-s', 'postgres://a:b@127.0.0.1:1/none'])
    expect(away.code).toBe(1)
    expect(files()).toEqual(['package.json'])
  })

  it('fits into a package that is there, CommonJS too', async () => {
    writeFileSync(join(folder, 'package.json'), '{ "type": "commonjs" }')
    const { code, out } = await init(['app', '--yes', '--json', '-s', 'sqlite:data/a.db'])
    expect(code).toBe(0)
    const app = join(folder, 'app')
    expect(JSON.parse(out)).toEqual({
      folder: app,
      files: ['eventuali.config.mts', 'src/order.mts', 'src/order.test.mts'].map((file) =>
        join(app, file),
      ),
      store: `sqlite:${join(app, 'data/a.db')}`,
    })
    expect(existsSync(join(app, 'data/a.db'))).toBe(true)
    const config = readFileSync(join(app, 'eventuali.config.mts'), 'utf8')
    expect(config).toContain(`from './src/order.mts'`)
    expect(config).toContain(`store: 'sqlite:data/a.db',`)
  })

  it('refuses bad input', async () => {
    expect((await init(['--yes', '--aggregate', 'line-item'])).code).toBe(2)
    expect((await init(['--yes', '-s', 'memory:'])).code).toBe(2)
    expect((await init(['--yes', '-s', 'mysql://x'])).code).toBe(2)
    expect((await init(['--yes', '-s', 'postgres://a@b/c?password=x'])).code).toBe(2)
    expect((await init(['--yes', '-s', `postgres://a:\${env:NO}@b/c`])).err).toContain(
      'SECRET_MISSING',
    )
    const piped = await init([])
    expect(piped).toMatchObject({ code: 1, out: '' })
    expect(piped.err).toContain('give --yes')
    expect(files()).toEqual([])
  })
})

describe('init at a terminal', () => {
  it('asks, lists what it will write, and writes it', async () => {
    const { code, said, left } = await talk([
      ['Where are the events?', '\r'],
      ['Which file?', '\x15shop.db\r'],
      ['what has a history?', '\x15lineItem\r'],
      ['Write this?', 'y'],
    ])
    expect(left).toEqual([])
    expect(code).toBe(0)
    expect(said).toContain('src/line-item.test.ts')
    expect(files()).toContain('shop.db')
    expect(files()).toContain(join('src', 'line-item.ts'))
  })

  it.each([
    ['Ctrl-C', 'Which file?', '\x03', 130],
    ['Ctrl-C at the end', 'Write this?', '\x03', 130],
    ['no', 'Write this?', 'n', 1],
  ])('leaves nothing behind after %s', async (_how, question, keys, expected) => {
    const answers = [
      ['Where are the events?', '\r'],
      ['Which file?', '\r'],
      ['what has a history?', '\r'],
      ['Write this?', 'y'],
    ] as const
    const at = answers.findIndex(([one]) => one === question)
    const { code } = await talk([...answers.slice(0, at), [question, keys]])
    expect(code).toBe(expected)
    expect(files()).toEqual([])
  })
})
