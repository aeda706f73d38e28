import { createHash } from 'node:crypto'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/kernel/index.ts'
import type { CodecOptions } from '../../src/model/index.ts'
import { recode } from '../../src/pipelines/index.ts'
import { openStore, type Store } from '../../src/store/index.ts'
import { codecsStep } from '../../src/stores/postgres/append-v2.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'
import { foreign } from './setup.ts'

const zstd = { encoding: 'msgpack', compress: { with: 'zstd', above: 200 } } as const
const gzip = { compress: { with: 'gzip', above: 100 } } as const
const dataOf = (i: number) => ({
  ...{ b: i, a: [null, true, -0, 1e300, 'Grüße 🚀'], 10: 'x', 2: 'y' },
  ...(i % 3 === 0 ? { text: `line ${i} `.repeat(60) } : {}),
  ...(i % 5 === 0 ? { odd: 'half \ud800 and \u0000' } : {}),
  ...(i === 7 ? { large: 'much of the same '.repeat(20_000) } : {}),
})

async function contentOf(store: Store): Promise<string> {
  let text = ''
  for await (const event of store.readAll({ upTo: 'newest' })) text += `${JSON.stringify(event)}\n`
  return text
}

describe.skipIf(postgresSkipReason() !== undefined)('codecs on PostgreSQL', () => {
  let server: PostgresServer
  let url: string
  let client: pg.Client
  beforeAll(async () => {
    server = await startPostgres()
    url = await server.database()
    client = await foreign(url)
  }, 60_000)
  afterAll(async () => {
    await client?.end()
    await server?.stop()
  })

  async function mixed(schema: string, count = 20): Promise<void> {
    for (const [n, codec] of [undefined, zstd, gzip, { encoding: 'msgpack' } as const].entries()) {
      const store = await openStore(url, { schema, codec })
      for (let i = 0; i < count; i++) {
        const given = { type: 'Saved', id: `${n}-${i}`, data: dataOf(i), tags: [`t:${i % 4}`] }
        await store.append(`page-${i % 5}`, given)
      }
      await store.close()
    }
  }

  it('keeps the step of the schema as it was released', () => {
    const hash = createHash('sha256').update(codecsStep('s')).digest('hex')
    expect(hash).toBe('2012dd4812adf92688cbb6d7a37b91f741fdeb1db56d6d1869af8720eeea3f85')
  })

  it('reads a mixed log, repeats appends, and shows codecs in the view', async () => {
    await mixed('mixed')
    const store = await openStore(url, { schema: 'mixed', codec: gzip })
    const events = await store.readAll({ upTo: 'newest' }).toArray()
    expect(events.map(({ data }) => JSON.stringify(data))).toEqual(
      Array.from({ length: 80 }, (_, i) => JSON.stringify(dataOf(i % 20))),
    )
    expect(await store.verify()).toMatchObject({ ok: true, events: 80 })
    for (const n of [0, 1, 2, 3]) {
      const again = { type: 'Saved', id: `${n}-0`, data: dataOf(0), tags: ['t:0'] }
      expect(await store.append('page-0', again)).toMatchObject({ duplicate: true })
      const other = store.append('page-0', { ...again, data: 1 })
      await expect(other).rejects.toMatchObject({ code: 'IDEMPOTENCY_CONFLICT' })
    }
    const { rows } = await client.query('SELECT DISTINCT codec, data IS NULL AS n FROM mixed.log')
    expect(rows.map(({ codec, n }) => `${codec} ${n}`).sort()).toEqual([
      ...['json false', 'json+gzip true', 'json+zstd true', 'msgpack true', 'msgpack+zstd true'],
    ])
    await store.close()
  })

  it('recodes in place, there and back', async () => {
    await mixed('recoded')
    const store = await openStore(url, { schema: 'recoded' })
    const before = await contentOf(store)
    const choices: CodecOptions[] = [zstd, gzip, {}, { encoding: 'msgpack' }, {}]
    for (const codec of choices) {
      const result = await recode(store, { codec, batchSize: 9 })
      expect(result).toMatchObject({ events: 80, position: 80 })
      expect(await contentOf(store)).toBe(before)
      expect((await store.verify()).ok).toBe(true)
      expect(await recode(store, { codec })).toMatchObject({ changed: 0 })
    }
    const { rows } = await client.query(
      'SELECT DISTINCT codec, flags & 4 AS large FROM recoded.events',
    )
    expect(rows).toEqual([{ codec: 0, large: 0 }])
    await store.close()
  })

  it('asks the server for what it always did when no event has a body', async () => {
    const run = async (codec: CodecOptions | undefined, text: string): Promise<string[]> => {
      const pool = { seen: [] as string[] }
      const store = await openStore(url, { schema: 'counted', codec })
      await store.append('page-1', { type: 'Saved', data: { text } })
      await store.transaction(async (tx) => {
        const sql = tx.sql as { query: (query: { text: string }) => unknown }
        const query = sql.query.bind(sql)
        sql.query = (asked) => {
          pool.seen.push(asked.text.replace(/\(.*/s, ''))
          return query(asked)
        }
        await tx.append('page-1', { type: 'Saved', data: { text } })
        sql.query = query
      })
      await store.close()
      return pool.seen
    }
    const plain = await run(undefined, 'x'.repeat(5000))
    expect(plain.join()).toContain('append_within_v1')
    expect(await run(gzip, 'short')).toEqual(plain)
    const large = await run(gzip, 'x'.repeat(5000))
    expect(large.join()).toContain('append_within_v2')
    expect(large).toHaveLength(plain.length)
  })

  it('notices flipped bytes, a lost codec and cut bodies', async () => {
    await mixed('damaged')
    const { rows } = await client.query(
      'SELECT position, body FROM damaged.events WHERE body IS NOT NULL',
    )
    const random = seededRandom(3)
    const store = await openStore(url, { schema: 'damaged' })
    const damaged = new Set<number>()
    for (const { position, body } of rows as { position: string; body: Buffer }[]) {
      const at = Math.floor(random.next() * body.length)
      const bad = Buffer.from(body)
      bad[at] = (bad[at] as number) ^ (1 << Math.floor(random.next() * 8))
      const n = damaged.size % 3
      const [change, value] = [
        ['body = $2', bad],
        ['body = $2', body.subarray(0, at)],
        ['codec = codec # $2::int', 1],
      ][n] as [string, unknown]
      const text = `UPDATE damaged.events SET ${change} WHERE position = $1`
      await client.query(text, [position, value])
      damaged.add(Number(position))
    }
    expect(damaged.size).toBeGreaterThan(30)
    const report = await store.verify()
    expect(new Set(report.problems.map(({ position }) => position))).toEqual(damaged)
    expect(report.events).toBe(80)
    await store.close()
  })
})
