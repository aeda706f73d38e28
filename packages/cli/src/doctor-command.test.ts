import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore, systemClock } from 'eventuali'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Check, ok, skipped } from './doctor-check.ts'
import { textOf } from './doctor-command.ts'
import { checkNode, isInRange } from './doctor-runtime.ts'
import { checkFree, checkServerSettings } from './doctor-store.ts'
import { run } from './run.test-support.ts'

let folder: string
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'eventuali-doctor-')))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function config(content: string): void {
  writeFileSync(join(folder, 'eventuali.config.mjs'), `export default ${content}\n`)
}

async function doctor(argv: readonly string[] = [], env: Record<string, string> = {}) {
  const { code, out } = await run(['doctor', '--json', ...argv], { cwd: folder, env })
  const { ok, checks } = JSON.parse(out) as { ok: boolean; checks: Check[] }
  expect(code).toBe(ok ? 0 : 1)
  const named = (name: string) => checks.filter((check) => check.name === name)
  return { code, checks, named, one: (name: string) => named(name)[0] }
}

describe('doctor', () => {
  it('finds nothing wrong with a store that is well, and makes none', async () => {
    config(`{ store: 'main', stores: { main: 'sqlite:main.db', next: 'sqlite:next.db' } }`)
    const store = await openStore(`sqlite:${join(folder, 'main.db')}`)
    await store.append('a-1', { type: 'A', data: 1 })
    await store.close()
    const before = readdirSync(folder)
    const { code, checks, one } = await doctor()
    expect(code).toBe(0)
    const bad = checks.filter(({ state }) => state === 'warning' || state === 'problem')
    expect(bad.map(({ name }) => name)).toEqual(['store next'])
    expect(bad[0]?.advice).toContain('eventuali init')
    expect(one('sqlite (node:sqlite)')?.found).toMatch(/^\d+\.\d+\.\d+, writes and reads$/)
    expect(one('store main')?.found).toMatch(/^opens, SQLite [\d.]+, wal$/)
    expect(one('store main: permissions')?.state).toBe('ok')
    expect(readdirSync(folder).filter((file) => !before.includes(file))).not.toContain('next.db')
    const text = await run(['doctor'], { cwd: folder })
    expect(text.out).toMatch(/\n0 problems, 1 warning\n$/)
    expect(text.out).toContain(`warning  store next: there is no file ${join(folder, 'next.db')}`)
  })

  it('says what is wrong with stores, each with what to do', async () => {
    config(`{ stores: { folder: 'sqlite:gone/a.db', secret: 'postgres://a:\${env:NO_PW}@h/d',
      away: 'postgres://a:hunter2@127.0.0.1:1/d', text: 'sqlite:eventuali.config.mjs' } }`)
    const { code, checks, one } = await doctor()
    expect(code).toBe(1)
    expect(one('store folder')).toMatchObject({
      state: 'problem',
      advice: `make it: mkdir -p ${join(folder, 'gone')}`,
    })
    expect(one('store secret')?.found).toContain('set the variable NO_PW')
    expect(one('store away')?.found).toContain('ECONNREFUSED')
    expect(one('store text')).toMatchObject({ state: 'problem' })
    expect(checks.every(({ state, advice }) => state !== 'problem' || advice !== '')).toBe(true)
    expect(JSON.stringify(checks)).not.toContain('hunter2')
  })

  it('tells of a clock that was set back', async () => {
    const clock = { ...systemClock, now: () => Date.now() + 3_600_000 }
    const store = await openStore(`sqlite:${join(folder, 'late.db')}`, { clock })
    await store.append('a-1', { type: 'A', data: 1 })
    await store.close()
    const { code, named } = await doctor(['-s', `sqlite:${join(folder, 'late.db')}`])
    expect(code).toBe(0)
    const [check] = named(`store sqlite:${join(folder, 'late.db')}: clock`)
    expect(check).toMatchObject({ state: 'warning' })
    expect(check?.found).toMatch(/recorded 3(600|599)\.\d s from now/)
  })

  it('tells of a configuration that is not valid, and of variables that set nothing', async () => {
    config(`{ stor: 'memory:' }`)
    const wrong = await doctor()
    expect(wrong.code).toBe(1)
    expect(wrong.one('configuration')?.found).toContain('did you mean store?')
    config(`{}`)
    const other = await doctor(['--no-config'], { EVENTUALI_STOR: 'memory:' })
    expect(other.code).toBe(0)
    expect(other.named('configuration')).toMatchObject([
      { state: 'ok' },
      { state: 'warning', found: 'the environment variable EVENTUALI_STOR sets nothing' },
    ])
    expect(other.one('store')?.state).toBe('warning')
  })

  it('tells of a second copy of the library', async () => {
    config(`{ store: 'memory:' }`)
    const copy = join(folder, 'node_modules', 'eventuali')
    mkdirSync(copy, { recursive: true })
    writeFileSync(join(copy, 'package.json'), '{ "name": "eventuali", "version": "0.0.1" }')
    const { code, one } = await doctor()
    expect(code).toBe(1)
    expect(one('copies of eventuali')?.found).toContain(`the configuration uses ${copy},`)
  })
})

it('the guide shows what doctor prints', () => {
  const guide = readFileSync(
    join(import.meta.dirname, '../../../docs/guide/command-line.md'),
    'utf8',
  )
  const shown = /## doctor.*?```text\n(.*?)```/s.exec(guide)?.[1] ?? ''
  const checks: Check[] = [
    ok('node', '24.21.0'),
    ok('sqlite (node:sqlite)', '3.53.4, writes and reads'),
    skipped('package better-sqlite3', 'not installed, and not needed here'),
    ok('package pg', '8.23.1'),
    ok('configuration', '/srv/shop/eventuali.config.ts'),
    ok('copies of eventuali', 'the configuration and this program use the same one'),
    ok('store main: permissions', '/srv/shop takes files'),
    checkFree('store main: disk', 61 * 1024 * 1024),
    ok('store main', 'opens, SQLite 3.53.4, wal'),
    ok('store main: clock', 'the newest event is in the past'),
    ...checkServerSettings({ fsync: 'off' }, 'store audit'),
  ]
  expect(textOf(checks)).toBe(shown)
})

it('knows which Node and which drivers will do', () => {
  const good = ['22.22.3', '22.30.0', '24.15.0', '24.21.0', '25.0.0']
  const old = ['20.19.0', '22.22.2', '23.11.0', '24.14.9']
  expect(good.map((version) => checkNode(version).state)).toEqual(good.map(() => 'ok'))
  expect(old.map((version) => checkNode(version).state)).toEqual(old.map(() => 'warning'))
  expect(isInRange('8.16.0', '^8.16.0')).toBe(true)
  expect(isInRange('8.23.1', '^8.16.0')).toBe(true)
  expect(isInRange('8.15.9', '^8.16.0')).toBe(false)
  expect(isInRange('9.0.0', '^8.16.0')).toBe(false)
})
