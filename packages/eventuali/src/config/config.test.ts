import { chownSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  type ConfigInvalidError,
  defineConfig,
  isEventualiError,
  type LoadConfigOptions,
  loadConfig,
  secret,
} from '../index.ts'
import { findFile } from './file.ts'

const library = fileURLToPath(new URL('../index.ts', import.meta.url))
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'eventuali-config-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function file(content: string, name = 'eventuali.config.ts'): string {
  const path = join(folder, name)
  writeFileSync(path, `import * as eventuali from '${library}'\nexport default ${content}\n`)
  return path
}

const load = (options: LoadConfigOptions = {}) => loadConfig({ cwd: folder, env: {}, ...options })

async function problems(options: LoadConfigOptions = {}) {
  const error = await load(options).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!isEventualiError(error, 'CONFIG_INVALID')) throw error
  return (error as ConfigInvalidError).problems
}

describe('which setting holds', () => {
  it('a flag before the environment, the profile, the file, a default', async () => {
    file(`{ server: { host: 'a', port: 1 }, log: { level: 'warn' },
      profiles: { production: { server: { host: 'b', port: 2 } } } }`)
    const held = async (options: LoadConfigOptions) => {
      const config = await load(options)
      return [config.server().port, config.sourceOf('server.port')?.kind]
    }
    const env = { EVENTUALI_SERVER_PORT: '3' }
    const flags = { 'server.port': 4 }
    expect(await held({ file: false })).toEqual([4400, 'default'])
    expect(await held({})).toEqual([1, 'file'])
    expect(await held({ profile: 'production' })).toEqual([2, 'profile'])
    expect(await held({ env: { EVENTUALI_PROFILE: 'production' } })).toEqual([2, 'profile'])
    expect(await held({ profile: 'production', env })).toEqual([3, 'environment'])
    expect(await held({ profile: 'production', env, flags })).toEqual([4, 'flag'])
    const mixed = await load({ profile: 'production', env })
    expect(mixed.server().host).toBe('b')
    expect(mixed.log).toEqual({ level: 'warn', format: 'text' })
    expect(mixed.sourceOf('server.port')).toEqual({
      kind: 'environment',
      name: 'EVENTUALI_SERVER_PORT',
    })
  })

  it('objects are mixed key by key, a text takes the place of an object and back', async () => {
    file(`{ store: { url: 'sqlite:a.db', driver: 'node:sqlite' }, open: { poolSize: { reads: 3 } },
      profiles: {
        text: { store: 'memory:', open: { poolSize: 9 } },
        more: { store: { driver: 'better-sqlite3' }, open: { poolSize: { appends: 2 } } },
      } }`)
    expect((await load()).place()).toMatchObject({
      options: { driver: 'node:sqlite', poolSize: { reads: 3 } },
    })
    const text = (await load({ profile: 'text' })).place()
    expect(text).toMatchObject({ url: 'memory:', options: { poolSize: 9 } })
    expect(text?.options.driver).toBeUndefined()
    expect((await load({ profile: 'more' })).place()?.options).toEqual({
      driver: 'better-sqlite3',
      poolSize: { reads: 3, appends: 2 },
    })
  })

  it('the environment says numbers, truth, lists and the urls of named stores', async () => {
    file(`{ stores: { readSide: { url: 'memory:', timeoutMs: 5 } } }`)
    const config = await load({
      env: {
        EVENTUALI_STORE: 'readSide',
        EVENTUALI_STORES_READ_SIDE: 'sqlite::memory:',
        EVENTUALI_STORES_AUDIT: 'memory:',
        EVENTUALI_OPEN_SCHEMAS: 'false',
        EVENTUALI_OPEN_POOL_SIZE: '7',
        EVENTUALI_OPEN_CACHE_BYTES: '1000',
        EVENTUALI_OPEN_REPLICAS: 'postgres://a/x, postgres://b/x',
        EVENTUALI_LOG_LEVEL: '',
        EVENTUALI_SERVR_PORT: '1',
      },
    })
    expect(config.place()).toMatchObject({ name: 'readSide', url: 'sqlite::memory:' })
    expect(config.place()?.options).toEqual({
      ...{ timeoutMs: 5, schemas: false, poolSize: 7, cache: { bytes: 1000 } },
      replicas: ['postgres://a/x', 'postgres://b/x'],
    })
    expect(config.storeNames).toEqual(['readSide', 'audit'])
    expect(config.sourceOf('log.level')?.kind).toBe('default')
    expect(config.warnings).toEqual(['the environment variable EVENTUALI_SERVR_PORT sets nothing'])
  })
})

describe('the file', () => {
  it('is the nearest one above, and a relative store is beside it', async () => {
    const outer = file(`{ store: 'sqlite:outer.db' }`, 'eventuali.config.mjs')
    const inner = join(folder, 'a', 'b')
    mkdirSync(inner, { recursive: true })
    const found = await load({ cwd: inner })
    expect(found.file).toBe(outer)
    expect(found.place()?.url).toBe(`sqlite:${join(folder, 'outer.db')}`)
    writeFileSync(join(folder, 'a', 'eventuali.config.js'), 'export default { store: "memory:" }')
    expect((await load({ cwd: inner })).place()?.url).toBe('memory:')
    expect((await load({ cwd: inner, file: false })).place()).toBeUndefined()
    const env = { EVENTUALI_CONFIG: outer }
    expect((await load({ cwd: inner, env })).file).toBe(outer)
    expect((await load({ cwd: inner, env, file: '../eventuali.config.js' })).place()?.url).toBe(
      'memory:',
    )
  })

  it('of another user is run only when it is named', () => {
    const path = file(`{ store: 'memory:' }`)
    // Whoever runs this owns the file, and root may give it away.
    if (process.getuid?.() === 0) chownSync(path, 12_345, 12_345)
    expect(() => findFile(folder, 54_321)).toThrow(/belongs to another user/)
    expect(findFile(folder, statSync(path).uid)).toBe(path)
    expect(findFile(folder, undefined)).toBe(path)
  })

  it('that is not there, broken or empty is named', async () => {
    const failure = { code: 'CONFIG_FILE' }
    await expect(load({ file: 'gone.ts' })).rejects.toMatchObject({
      ...failure,
      message: expect.stringContaining('gone.ts is not there; check --config'),
    })
    writeFileSync(join(folder, 'broken.mjs'), 'export default {')
    await expect(load({ file: 'broken.mjs' })).rejects.toMatchObject({
      ...failure,
      message: expect.stringMatching(/broken\.mjs cannot be loaded: /),
    })
    writeFileSync(join(folder, 'none.mjs'), 'export const store = 1')
    await expect(load({ file: 'none.mjs' })).rejects.toMatchObject({
      ...failure,
      message: expect.stringContaining('export default defineConfig({ … })'),
    })
  })
})

describe('what is wrong', () => {
  it('is named with its key and its place, all of it at once', async () => {
    const path = file(`{ stor: 'memory:', open: { timeoutMs: 'soon', cache: { bytes: -1 } },
      stores: { '9': 'memory:', main: { url: 7 } }, projections: [{}], events: {},
      server: { apiKeys: { ci: { role: 'root' } } },
      profiles: { production: { log: { level: 'loud' }, profiles: {} } } }`)
    const found = await problems()
    expect(found.map(({ key }) => key)).toEqual([
      ...['stor', 'open.timeoutMs', 'open.cache.bytes', 'stores.9', 'stores.main.url'],
      ...['projections[0]', 'events', 'server.apiKeys.ci.role'],
      ...['profiles.production.log.level', 'profiles.production.profiles'],
    ])
    expect(found.every(({ where }) => where === path)).toBe(true)
    expect(found[0]?.what).toBe('is not known; did you mean store?')
    expect(found[1]?.what).toBe('must be a whole number of 1 or more, and is a string')
  })

  it('in the environment, in flags and between them is named, too', async () => {
    file(`{ store: { driver: 'node:sqlite' }, server: { apiKeys: { ci: { role: 'read' } } } }`)
    expect(await problems({ env: { EVENTUALI_SERVER_PORT: 'x' } })).toEqual([
      {
        key: 'server.port',
        what: 'must be a whole number of 0 or more, and is a string',
        where: 'environment EVENTUALI_SERVER_PORT',
      },
    ])
    expect(await problems({ flags: { 'log.level': 'loud' } })).toMatchObject([
      { key: 'log.level', where: 'flag --level' },
    ])
    expect((await problems()).map(({ key, what }) => `${key} ${what}`)).toEqual([
      'server.apiKeys.ci.key is missing',
      'store.url is missing',
    ])
    expect(await problems({ profile: 'prod' })).toMatchObject([{ where: 'flag --profile' }])
    const env = { EVENTUALI_PROFILE: 'prod' }
    expect(await problems({ env, file: false })).toMatchObject([
      { key: 'profiles.prod', where: 'environment EVENTUALI_PROFILE' },
    ])
    const store = { EVENTUALI_STORE: 'audit' }
    expect(await problems({ env: store, file: false })).toMatchObject([
      { key: 'store', what: expect.stringContaining('stores is empty') },
    ])
  })

  it('an unknown name of a store is refused with the names that there are', async () => {
    file(`{ stores: { main: 'memory:', audit: 'memory:' } }`)
    const config = await load()
    expect(() => config.place('adit')).toThrow(/names no store: "adit"; did you mean audit\?/)
    await expect(config.open()).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
  })
})

describe('secrets', () => {
  it('are looked up when a store is opened, and never shown', async () => {
    writeFileSync(join(folder, 'pw'), 'from file\n')
    file(`{
      stores: {
        env: \`postgres://app:\${eventuali.secret('env:DB_PASSWORD')}@db/shop\`,
        file: 'postgres://app:\${file:pw}@db/shop',
        plain: 'postgres://app:hunter2@db/shop?password=hunter2',
      },
      server: { apiKeys: {
        ci: { role: 'read', key: eventuali.secret('env:KEY') },
        dev: { role: 'admin', key: 'hunter2hunter2xx' },
      } },
      open: { listenUrl: 'postgres://app:hunter2@direct/shop', replicas: ['postgres://a:hunter2@b/c'] },
    }`)
    const config = await load({ env: { DB_PASSWORD: 'p@ss/word', KEY: 'p@ss/word' } })
    expect(config.place('env')?.url).toBe('postgres://app:p%40ss%2Fword@db/shop')
    expect(config.place('env')?.shownUrl).toBe(`postgres://app:\${env:DB_PASSWORD}@db/shop`)
    expect(config.place('file')?.url).toBe('postgres://app:from%20file@db/shop')
    expect(config.server().apiKeys?.ci?.key).toBe('p@ss/word')
    const shown = JSON.stringify(config.entries())
    expect(shown).not.toMatch(/hunter2|p@ss|from file/)
    expect(shown).toContain('postgres://app:***@db/shop?password=***')
    const values = Object.fromEntries(config.entries().map(({ key, value }) => [key, value]))
    expect(values['server.apiKeys.ci.key']).toBe(secret('env:KEY'))
    expect(values['server.apiKeys.dev.key']).toBe('***')
  })

  it('that are missing are named with the setting that needs them', async () => {
    file(
      `{ store: 'postgres://a:\${env:NOT_SET}@b/c', stores: { f: 'postgres://a:\${file:no}@b/c' } }`,
    )
    const config = await load()
    expect(() => config.place()).toThrow(
      'the secret env:NOT_SET of store is not set; set the variable NOT_SET',
    )
    expect(() => config.place('f')).toThrow(/the secret file:no of stores.f cannot be read: ENOENT/)
    expect(() => secret('DB_PASSWORD')).toThrow(TypeError)
  })
})

it('webhooks are read with their secrets, which are never shown', async () => {
  file(`{ server: { webhooks: {
    billing: { url: 'https://billing.example.com', secrets: [eventuali.secret('env:HOOK'), 'hunter2'],
      types: ['OrderPlaced'], after: 0, retry: { retryCountMax: 3 } },
    audit: { url: 'http://audit', secrets: ['hunter2'], after: 'end', allowPrivate: true },
  } } }`)
  const config = await load({ env: { HOOK: 'whsec_x' } })
  expect(config.server().webhooks).toMatchObject({
    billing: { secrets: ['whsec_x', 'hunter2'], after: 0, retry: { retryCountMax: 3 } },
    audit: { after: 'end', allowPrivate: true },
  })
  const values = Object.fromEntries(config.entries().map(({ key, value }) => [key, value]))
  expect(values['server.webhooks.billing.secrets']).toEqual([secret('env:HOOK'), '***'])
  expect(JSON.stringify(values)).not.toContain('hunter2')
  file(
    `{ server: { webhooks: { a: { url: 'https://a', after: -1 }, b: { secrets: [] },
    c: { url: 'https://c', secrets: 'x', retry: { count: 1 }, onPoison: 'shrug' } } } }`,
    'b.mts',
  )
  expect((await problems({ file: 'b.mts' })).map(({ key, what }) => `${key} ${what}`)).toEqual([
    "server.webhooks.a.after must be a whole number of 0 or more or 'end', and is a number",
    'server.webhooks.c.secrets must be a list, each a text, and is a string',
    'server.webhooks.c.retry.count is not known; there is retryCountMax, firstDelayMs, delayMaxMs',
    "server.webhooks.c.onPoison must be 'park-key', 'park', 'stop', and is a string",
  ])
  file(`{ server: { webhooks: { a: { url: 'https://a' }, b: { secrets: [] } } } }`, 'c.mts')
  expect((await problems({ file: 'c.mts' })).map(({ key, what }) => `${key} ${what}`)).toEqual([
    'server.webhooks.a.secrets is missing',
    'server.webhooks.b.url is missing',
  ])
})

it('opens a store with what it defines', async () => {
  file(`(() => {
    const events = eventuali.defineEvents({ Sold: eventuali.type() })
    const sums = eventuali.defineProjection({ name: 'sums', version: 1, mode: 'inline', events: [events],
      collections: { sums: eventuali.collection() },
      handlers: { Sold: ({ data }, ctx) => ctx.collection('sums').set(data.shop, { cents: data.cents }) } })
    const sale = eventuali.defineAggregate('sale', { events, initial: () => 0,
      evolve: { Sold: (sum, { data }) => sum + data.cents }, commands: {} })
    return { store: 'memory:', events: [events], projections: [sums], aggregates: [sale],
      open: { snapshots: { every: 1 } } }
  })()`)
  const config = await load()
  await using store = await config.open()
  await store.append('sale-1', { type: 'Sold', data: { shop: 'a', cents: 3 } })
  await expect(store.append('sale-1', { type: 'Other', data: 1 })).rejects.toMatchObject({
    code: 'EVENT_TYPE_UNKNOWN',
  })
  expect(store.projections.names).toEqual(['sums'])
  const values = Object.fromEntries(config.entries().map(({ key, value }) => [key, value]))
  expect(values).toMatchObject({
    ...{ store: 'memory:', events: ['Sold'], projections: ['sums'], aggregates: ['sale'] },
    'open.snapshots.every': 1,
  })
  await using raw = await config.open(undefined, { definitions: false })
  await raw.append('sale-1', { type: 'Other', data: 1 })
  expect(raw.projections.names).toEqual([])
})

it('a configuration is what was handed in', () => {
  const config = { store: 'memory:' }
  expect(defineConfig(config)).toEqual(config)
})
