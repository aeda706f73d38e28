import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { brotliCompressSync, crc32 } from 'node:zlib'
import { afterEach, expect, test } from 'vitest'
import { seededRandom } from '../kernel/index.ts'
import type { CodecOptions } from '../model/index.ts'
import { exportEvents, importEvents, recode } from '../pipelines/index.ts'
import { openStore, type Store } from './index.ts'

const msgpackZstd = { encoding: 'msgpack', compress: { with: 'zstd', above: 200 } } as const
const choices: readonly CodecOptions[] = [
  {},
  { encoding: 'msgpack' },
  { compress: { with: 'gzip', above: 100 } },
  { compress: { with: 'brotli', above: 100 } },
  msgpackZstd,
  { encoding: 'msgpack', compress: { with: 'lz4', above: 0 } },
  { compress: { with: 'snappy', above: 0 } },
]
const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})

function freshFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-codecs-'))
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'log.db')
}

async function opened(url: string, codec?: CodecOptions): Promise<Store> {
  const store = await openStore(url, { codec })
  cleanups.push(() => store.close())
  return store
}

function raw(file: string): DatabaseSync {
  const connection = new DatabaseSync(file)
  cleanups.push(() => connection.close())
  return connection
}

const dataOf = (i: number) => ({
  ...{ b: i, a: [null, true, -0, 1e300, 'Grüße 🚀'], 10: 'x', 2: 'y' },
  ...(i % 3 === 0 ? { text: `line ${i} `.repeat(60) } : {}),
  ...(i % 5 === 0 ? { odd: 'half \ud800 and \u0000', constructor: 'c' } : {}),
})

/** A part with each codec, one after another. */
async function mixedLog(url: string, count = 20): Promise<void> {
  for (const [n, codec] of choices.entries()) {
    const store = await openStore(url, { codec })
    for (let i = 0; i < count; i++) {
      const type = 'Saved'
      const given = { type, id: `${n}-${i}`, data: dataOf(i), tags: [`t:${i % 4}`] }
      await store.append(`page-${i % 5}`, given)
    }
    await store.close()
  }
}

async function contentOf(store: Store): Promise<string> {
  let text = ''
  for await (const event of store.readAll({ upTo: 'newest' })) text += `${JSON.stringify(event)}\n`
  return text
}

test('a mixed log is read the same by a store of any codec, and verified', async () => {
  const file = freshFile()
  await mixedLog(`sqlite:${file}`)
  const first = await contentOf(await opened(`sqlite:${file}`))
  expect(first.split('\n')).toHaveLength(choices.length * 20 + 1)
  for (const codec of choices) {
    const store = await opened(`sqlite:${file}`, codec)
    expect(await contentOf(store)).toBe(first)
    expect(await store.verify()).toMatchObject({ ok: true, events: choices.length * 20 })
    // The same append again, whatever the first one was stored with.
    for (const n of choices.keys()) {
      const again = { type: 'Saved', id: `${n}-0`, data: dataOf(0), tags: ['t:0'] }
      expect(await store.append('page-0', again)).toMatchObject({ duplicate: true })
      const other = { ...again, data: dataOf(1) }
      await expect(store.append('page-0', other)).rejects.toMatchObject({
        code: 'IDEMPOTENCY_CONFLICT',
      })
    }
    const query = [{ types: ['Saved'], tags: ['t:1'] }]
    const late = store.appendAll([{ stream: 'x', events: [{ type: 'A', data: 1 }] }], {
      condition: { query, position: 0 },
    })
    await expect(late).rejects.toMatchObject({ code: 'CONDITION_FAILED' })
  }
})

test('the view tells of the codec and shows no bytes as data', async () => {
  const file = freshFile()
  await mixedLog(`sqlite:${file}`)
  const rows = raw(file).prepare('SELECT codec, data, stream FROM eventuali_log').all()
  const codecs = new Set(rows.map(({ codec }) => codec))
  expect([...codecs].sort()).toEqual([
    ...['json', 'json+brotli', 'json+gzip', 'json+lz4', 'json+snappy'],
    ...['json+zstd', 'msgpack', 'msgpack+lz4', 'msgpack+zstd'],
  ])
  for (const { codec, data } of rows) {
    if (codec === 'json') expect(() => JSON.parse(data as string)).not.toThrow()
    else expect(data).toBeNull()
  }
})

test.each(['memory:', 'sqlite:'])('%s export and import carry a mixed log over', async (kind) => {
  const file = freshFile()
  await mixedLog(`sqlite:${file}`)
  const from = await opened(`sqlite:${file}`)
  let lines = ''
  for await (const text of exportEvents(from)) lines += text
  const to = await opened(kind === 'memory:' ? kind : `sqlite:${freshFile()}`, msgpackZstd)
  await importEvents(to, [Buffer.from(lines)])
  let back = ''
  for await (const text of exportEvents(to)) back += text
  expect(back).toBe(lines)
})

test('without the option an append runs what it always ran; JSON stays text', async () => {
  const seen: string[] = []
  const run = async (codec: CodecOptions | undefined, text: string) => {
    const connection = raw(freshFile())
    const prepare = connection.prepare.bind(connection)
    let counting = false
    connection.prepare = (sql) => {
      const statement = prepare(sql)
      for (const name of ['run', 'get', 'all'] as const) {
        const call = statement[name].bind(statement) as (...values: unknown[]) => unknown
        statement[name] = ((...values: unknown[]) => {
          if (counting) seen.push(sql.replace(/\s+/g, ' '))
          return call(...values)
        }) as never
      }
      return statement
    }
    const store = await openStore('sqlite:log.db', { connection, codec })
    await store.append('page-1', { type: 'Saved', data: { text } })
    counting = true
    await store.append('page-1', { type: 'Saved', data: { text } })
    counting = false
    await store.close()
    const types = connection.prepare('SELECT DISTINCT typeof(data) AS type FROM eventuali_events')
    return { statements: seen.splice(0), types: types.all().map(({ type }) => type) }
  }
  const plain = await run(undefined, 'x'.repeat(5000))
  expect(plain.types).toEqual(['text'])
  expect(plain.statements.map((sql) => sql.split(' ').slice(0, 3).join(' '))).toEqual([
    'BEGIN IMMEDIATE',
    'SELECT last_position FROM',
    'INSERT INTO eventuali_events',
    'UPDATE eventuali_streams SET',
    'UPDATE eventuali_head SET',
    'COMMIT',
  ])
  const compress = { with: 'zstd', above: 1000 } as const
  expect((await run({ compress }, 'short')).statements).toEqual(plain.statements)
  const large = await run({ compress }, 'x'.repeat(5000))
  expect(large.types).toEqual(['blob'])
  expect(large.statements).toHaveLength(plain.statements.length)
})

test('1,000 flipped bytes are noticed by verify, and readers say which event it is', async () => {
  const file = freshFile()
  await mixedLog(`sqlite:${file}`)
  const connection = raw(file)
  const bodies = connection
    .prepare("SELECT position, data FROM eventuali_events WHERE typeof(data) = 'blob'")
    .all() as { position: number; data: Uint8Array }[]
  const put = connection.prepare('UPDATE eventuali_events SET data = ? WHERE position = ?')
  const random = seededRandom(7)
  const below = (n: number) => Math.floor(random.next() * n)
  const store = await opened(`sqlite:${file}`)
  for (let round = 0; round < 20; round++) {
    const damaged = new Set<number>()
    connection.exec('BEGIN')
    for (let n = 0; n < 50; n++) {
      const { position, data } = bodies[below(bodies.length)] as (typeof bodies)[number]
      if (damaged.has(position)) {
        n--
        continue
      }
      const flipped = Uint8Array.from(data)
      const at = below(data.length)
      flipped[at] = (flipped[at] as number) ^ (1 << below(8))
      put.run(flipped, position)
      damaged.add(position)
    }
    connection.exec('COMMIT')
    const report = await store.verify()
    const named = report.problems.map(({ position }) => position)
    expect(new Set(named)).toEqual(damaged)
    expect(report.events).toBe(choices.length * 20)
    for (const position of damaged) {
      const read = store.readAll({ after: position - 1, limit: 1 }).toArray()
      await expect(read).rejects.toMatchObject({ code: 'EVENT_CORRUPT', position })
    }
    connection.exec('BEGIN')
    for (const { position, data } of bodies) put.run(data, position)
    connection.exec('COMMIT')
  }
  expect((await store.verify()).ok).toBe(true)
})

/** A body whose checksum is right and whose content is compressed once more than it says. */
function compressedTwice(body: Uint8Array): Uint8Array {
  const again = Buffer.concat([body.subarray(0, 9), brotliCompressSync(body.subarray(9))])
  again.writeUInt32LE(crc32(again.subarray(4)), 0)
  return again
}

test.each([
  ['forgets to write the codec', 'codec = 0', undefined],
  ['writes another codec', 'codec = codec + 16', undefined],
  ['compresses twice', 'data = mutated(data)', compressedTwice],
  ['truncates the body', 'data = substr(data, 1, length(data) - 3)', undefined],
] as const)('verify catches a store that %s', async (_name, change, mutate) => {
  const connection = raw(freshFile())
  if (mutate !== undefined) connection.function('mutated', (body) => mutate(body as Uint8Array))
  const codec = { compress: { with: 'brotli', above: 100 } } as const
  const store = await openStore('sqlite:log.db', { connection, codec })
  const saved = { type: 'Saved', data: { text: 'la '.repeat(200) } }
  await store.append('page-1', saved)
  expect((await store.verify()).ok).toBe(true)
  connection.exec(`CREATE TRIGGER planted AFTER INSERT ON eventuali_events
    BEGIN UPDATE eventuali_events SET ${change} WHERE position = NEW.position; END`)
  await store.append('page-1', saved)
  const { problems } = await store.verify()
  expect(problems).toMatchObject([{ kind: 'checksum', position: 2, stream: 'page-1' }])
  await store.close()
})

test.each(['memory:', 'sqlite:'])(
  '%s recode changes how data is stored, and nothing else',
  async (kind) => {
    const file = freshFile()
    const url = kind === 'memory:' ? kind : `sqlite:${file}`
    const store = await opened(url, msgpackZstd)
    for (let i = 0; i < 60; i++) {
      await store.append(`page-${i % 5}`, { type: 'Saved', id: `i-${i}`, data: dataOf(i) })
    }
    const before = await contentOf(store)
    for (const codec of [...choices, ...[...choices].reverse()]) {
      const seen: number[] = []
      const result = await recode(store, {
        ...{ codec, batchSize: 7 },
        onProgress: ({ position }) => seen.push(position),
      })
      expect(result).toMatchObject({ events: 60, position: 60, upTo: 60, resumedAfter: 0 })
      expect(seen).toHaveLength(9)
      expect(await contentOf(store)).toBe(before)
      expect((await store.verify()).ok).toBe(true)
      // Once more there is nothing left to do.
      expect(await recode(store, { codec })).toMatchObject({ changed: 0 })
    }
    const given = { type: 'Saved', id: 'i-0', data: dataOf(0) }
    expect(await store.append('page-0', given)).toMatchObject({ duplicate: true })
  },
)

test('an interrupted recode goes on where it was, and leaves damage as it is', async () => {
  const file = freshFile()
  const store = await opened(`sqlite:${file}`)
  for (let i = 0; i < 30; i++) await store.append('page-1', { type: 'Saved', data: dataOf(i) })
  const connection = raw(file)
  connection.exec("UPDATE eventuali_events SET data = '{}' WHERE position = 3")
  const stop = new AbortController()
  const options = { codec: msgpackZstd, batchSize: 4, signal: stop.signal }
  const onProgress = ({ position }: { position: number }) => position >= 12 && stop.abort()
  await expect(recode(store, { ...options, onProgress })).rejects.toThrow('aborted')
  const rest = await recode(store, { codec: msgpackZstd })
  expect(rest).toMatchObject({ resumedAfter: 12, events: 18, position: 30 })
  const plain = connection.prepare('SELECT position FROM eventuali_events WHERE codec = 0').all()
  // What MessagePack cannot carry is there as JSON as well, where it is too short to compress.
  expect(plain.map(({ position }) => position)).toContain(3)
  expect((await store.verify()).problems).toMatchObject([{ position: 3 }])
  expect(await recode(store, { codec: msgpackZstd })).toMatchObject({ resumedAfter: 0, changed: 0 })
})

test('what is wrong with a recode is said before anything is written', async () => {
  const store = await opened('memory:')
  await store.append('page-1', { type: 'Saved', data: 1 })
  await expect(recode(store, { codec: {}, batchSize: 0 })).rejects.toMatchObject({
    argument: 'batchSize',
  })
  const codec = { encoding: 'xml' } as unknown as CodecOptions
  await expect(recode(store, { codec })).rejects.toMatchObject({ argument: 'codec.encoding' })
})
