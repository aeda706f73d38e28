import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Writable } from 'node:stream'
import { Command } from 'commander'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { confirmStore, yesOption } from './confirm.ts'
import { main } from './main.ts'
import { run } from './run.test-support.ts'
import type { Session } from './session.ts'

// The library that the commands run on: definitions of another copy are none to it.
const library = join(import.meta.dirname, '../../eventuali/src/index.ts')
let folder: string
let cwd: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'eventuali-config-'))
  cwd = join(folder, 'deep', 'er')
  mkdirSync(cwd, { recursive: true })
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function config(content: string, name = 'eventuali.config.ts'): string {
  const file = join(folder, name)
  writeFileSync(
    file,
    `import { collection, defineAggregate, defineConfig, defineEvents, defineProjection, secret, type } from '${library}'
     export default defineConfig(${content})\n`,
  )
  return file
}

describe('commands', () => {
  it('find their store in the configuration: by default, name, profile or variable', async () => {
    config(`{ store: 'main', stores: { main: 'sqlite:main.db', audit: 'sqlite:audit.db' },
      profiles: { test: { stores: { main: 'sqlite:test.db' } } } }`)
    const append = (...more: string[]) => run(['append', 'a-1', 'T', '1', ...more], { cwd })
    await append()
    await append('--store', 'audit')
    await append('--store', 'audit')
    await append('--profile', 'test')
    const streams = async (argv: string[], env: Record<string, string> = {}) => {
      const { out, code, err } = await run(['streams', '--json', ...argv], { cwd, env })
      return code === 0 ? (JSON.parse(out) as { version: number }).version : err
    }
    expect(await streams([])).toBe(1)
    expect(await streams(['--store', 'audit'])).toBe(2)
    expect(await streams([], { EVENTUALI_STORE: 'audit' })).toBe(2)
    expect(await streams([], { EVENTUALI_STORE: `sqlite:${join(folder, 'audit.db')}` })).toBe(2)
    expect(await streams(['--profile', 'test'])).toBe(1)
    expect(await streams(['--store', 'adit'])).toContain('did you mean audit?')
    const without = await run(['streams', '--no-config'], { cwd })
    expect(without.code).toBe(2)
    expect(without.err).toContain('which store?')
  })

  it('append by the configuration, and show what is stored as it is stored', async () => {
    config(`{ store: 'sqlite:shop.db', events: [defineEvents({ Placed: type() })] }`)
    expect(await run(['append', 'o-1', 'Placed', '{}'], { cwd })).toMatchObject({
      code: 0,
      err: '',
    })
    const unknown = await run(['append', 'o-1', 'Plcaed', '{}'], { cwd })
    expect(unknown.err).toContain('EVENT_TYPE_UNKNOWN')
    const forced = await run(['append', 'o-1', 'Other', '{}', '--no-config', '-s', place()], {
      cwd,
    })
    expect(forced.code).toBe(0)
    const { out } = await run(['query', '--json'], { cwd })
    expect(out.trim().split('\n')).toHaveLength(2)
  })

  it('compare schemas with those of the configuration', async () => {
    config(`{ store: 'sqlite:shop.db', events: [defineEvents({ Placed: type() })] }`)
    expect((await run(['append', 'o-1', 'Placed', '{}'], { cwd })).code).toBe(0)
    const { code, out } = await run(['schema', 'register'], { cwd })
    expect({ code, out }).toEqual({ code: 0, out: '0 new schemas registered\n' })
    expect((await run(['schema', 'check'], { cwd })).code).toBe(0)
    const none = await run(['schema', 'check', '--no-config', '-s', place()], { cwd })
    expect(none).toMatchObject({ code: 2, out: '' })
    expect(none.err).toContain('which events?')
  })

  it('verify what the configuration names', async () => {
    config(`{ store: 'sqlite:shop.db', aggregates: [defineAggregate('o', { initial: () => 0,
      events: defineEvents({ Placed: type() }), evolve: { Placed: () => 1 }, commands: {} })],
      projections: [defineProjection({ name: 'sums', version: 1, mode: 'inline',
        events: [defineEvents({ Placed: type() })], collections: { sums: collection() },
        handlers: { Placed: (event, ctx) => ctx.collection('sums').set(event.stream, {}) } })],
      open: { unknown: 'allow', snapshots: { every: 1 } } }`)
    expect((await run(['append', 'o-1', 'Placed', '{}'], { cwd })).code).toBe(0)
    expect(await run(['verify'], { cwd })).toMatchObject({ code: 0 })
    const named = await run(['verify', '--projections', 'sum'], { cwd })
    expect(named.err).toContain('no projection sum is in the configuration; there is sums')
    expect((await run(['verify', '--projections', 'sums', '--no-config'], { cwd })).code).toBe(2)
  })

  const place = () => `sqlite:${join(folder, 'shop.db')}`
})

describe('config', () => {
  it('shows what holds and who said it', async () => {
    const file = config(`{ store: \`postgres://app:\${secret('env:PW')}@db/shop\`,
      stores: { audit: 'postgres://app:hunter2@db/audit' },
      profiles: { production: { server: { port: 80 } } } }`)
    const env = { EVENTUALI_LOG_LEVEL: 'warn', EVENTUALI_NOTHING: '1' }
    const argv = ['config', '--profile', 'production']
    const { code, out, err } = await run(argv, { cwd, env })
    expect(code).toBe(0)
    expect(err).toBe(
      `eventuali: the environment variable EVENTUALI_NOTHING sets nothing\nfile ${file}\n` +
        'profiles production; production is chosen\n',
    )
    expect(out.split('\n').map((line) => line.trim().split(/ {2,}/))).toEqual([
      ['SETTING', 'VALUE', 'FROM'],
      ['log.format', 'text', 'default'],
      ['log.level', 'warn', 'environment EVENTUALI_LOG_LEVEL'],
      ['server.host', '127.0.0.1', 'default'],
      ['server.port', '80', 'profile production'],
      ['store', `postgres://app:\${env:PW}@db/shop`, 'file'],
      ['stores.audit', 'postgres://app:***@db/audit', 'file'],
      [''],
    ])
    const json = await run([...argv, '--store', 'audit', '--json'], { cwd, env })
    expect(JSON.parse(json.out)).toMatchObject({ file, profile: 'production' })
    expect(JSON.parse(json.out).settings).toContainEqual({
      ...{ key: 'store', value: 'audit' },
      source: { kind: 'flag', name: '--store' },
    })
    expect(json.out).not.toContain('hunter2')
  })

  it('prints what the guide says, of the file in the guide', async () => {
    const guide = readFileSync(join(import.meta.dirname, '../../../docs/guide/configuration.md'))
    const block = (kind: string) =>
      guide.toString().match(new RegExp(`\`\`\`${kind}\\n(.*?)\`\`\``, 's'))?.[1] ?? ''
    writeFileSync(
      join(folder, 'eventuali.config.ts'),
      block('ts').replace("'eventuali'", `'${library}'`),
    )
    const { code, out } = await run(['config', '--profile', 'production'], { cwd })
    expect(code).toBe(0)
    expect(out).toBe(block('text'))
  })

  it('names keys that are not known and values of the wrong type, and their file', async () => {
    const file = config(`{ storee: 'memory:', server: { port: 'x' } }`)
    const { code, out, err } = await run(['config'], { cwd })
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toContain(`storee is not known; did you mean store? (${file})`)
    expect(err).toContain('server.port must be a whole number')
    const gone = await run(['config', '--config', 'gone.ts'], { cwd })
    expect(gone).toMatchObject({ code: 1, out: '' })
    expect(gone.err).toContain('CONFIG_FILE')
    config(`{ log: { level: 'debug' } }`, 'debug.mjs')
    const told = await run(['query', '-s', 'none:', '-c', join(folder, 'debug.mjs')], { cwd })
    expect(told.err).toMatch(/STORE_URL_INVALID[\s\S]*\n {4}at /)
    const twice = await run(['config', '-c', file, '-c', file], { cwd })
    expect(twice.code).toBe(2)
  })

  it('no error shows a password of a url', async () => {
    const url = 'postgress://app:hunter2@db/shop'
    const wrong = await run(['streams', '--store', url], { cwd })
    expect(wrong.code).toBe(1)
    expect(wrong.err).toContain('postgress://app:***@db/shop')
    const away = await run(['streams', '-s', 'postgres://app:hunter2@127.0.0.1:1/x'], { cwd })
    expect(away.code).toBe(1)
    expect(away.err).not.toContain('hunter2')
  })
})

describe('asking before what cannot be taken back', () => {
  const destroyCommand = (session: Session) =>
    new Command('destroy')
      .option('--store <store>')
      .addOption(yesOption())
      .action(async ({ store, yes }: { store: string; yes?: boolean }) => {
        await confirmStore(session, store, { what: 'ends here', yes })
        await session.output.write('done\n')
      })
  const destroy = (argv: string[], more: Parameters<typeof run>[1] = {}) =>
    run(['destroy', '--store', 'audit', ...argv], { cwd, ...more }, [destroyCommand])

  it('takes the typed name of the store, or --yes', async () => {
    config(`{ stores: { audit: 'postgres://app:hunter2@db/audit' } }`)
    expect(await destroy(['--yes'])).toMatchObject({ code: 0, out: 'done\n' })
    const typed = await destroy([], { typed: true, stdin: 'audit\n' })
    expect(typed).toEqual({
      code: 0,
      out: 'done\n',
      err:
        'This concerns postgres://app:***@db/audit, which ends here.\n' + 'Type audit to go on: ',
    })
  })

  it('does nothing after Ctrl-C, and does not wait for an answer', async () => {
    config(`{ stores: { audit: 'sqlite:audit.db' } }`)
    const stdin = Object.assign(new PassThrough(), { isTTY: true })
    let said = ''
    const stderr = new Writable({
      write(chunk, _encoding, done) {
        said += chunk
        // Once it waits for the answer.
        if (said.endsWith('to go on: ')) setImmediate(() => process.emit('SIGINT'))
        done()
      },
    })
    const stdout = new PassThrough()
    const argv = ['destroy', '--store', 'audit']
    expect(await main(argv, { stdin, stdout, stderr, env: {}, cwd }, [destroyCommand])).toBe(130)
    expect(stdout.read()).toBeNull()
    expect(stdin.destroyed).toBe(true)
  })

  it('refuses anything else, and where nobody can be asked', async () => {
    config(`{ stores: { audit: 'sqlite:audit.db' } }`)
    for (const stdin of ['yes\n', '\n', '']) {
      const { code, out, err } = await destroy([], { typed: true, stdin })
      expect({ code, out }).toEqual({ code: 1, out: '' })
      expect(err).toContain('nothing was done')
    }
    const piped = await destroy([], { stdin: 'audit\n' })
    expect(piped).toMatchObject({ code: 1, out: '' })
    expect(piped.err).toContain('give --yes')
  })
})
