import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore, type Store } from '../../src/index.ts'
import type { CodecOptions } from '../../src/model/index.ts'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { withFlippedBit } from '../harness/damage.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'

const codecs: readonly CodecOptions[] = [
  {},
  { encoding: 'msgpack' },
  { compress: { with: 'zstd', above: 0 } },
]
/** How a column's value is fetched and put back; those in front name the position. */
const columns = [
  ...['data', 'body', 'metadata', 'id', 'time', 'schema_version', 'tags', 'type', 'codec'],
  ...['checksum', 'version', 'stream'],
] as const
const isStructure = (column: string): boolean => column === 'version' || column === 'stream'

async function fill(store: Store): Promise<void> {
  for (let n = 0; n < 12; n++) {
    const events = Array.from({ length: 1 + (n % 4) }, (_, i) => ({
      type: `Type${n % 3}`,
      data: { n, i, text: 'Grüße '.repeat(n) },
      metadata: n % 2 === 0 ? { actor: `ada-${n}` } : {},
      tags: n % 3 === 0 ? [`sku:${n}`] : [],
    }))
    await store.append(`stream-${n % 4}`, events)
  }
}

interface Flip {
  readonly what: string
  readonly column: string
  readonly position: number
  restore(): Promise<void>
}

/** Turns a bit of a value in place; undefined where the server takes no such value. */
async function flip(client: pg.Client, run: Campaign): Promise<Flip | undefined> {
  const column = run.pick(columns)
  const read = column === 'body' ? `encode(body, 'hex')` : `${column}::text`
  const { rows } = await client.query<{ position: string; value: string; kind: string }>(
    `SELECT position, ${read} AS value, pg_typeof(${column})::text AS kind
     FROM eventuali.events WHERE ${column} IS NOT NULL`,
  )
  if (rows.length === 0) return undefined
  const { position, value, kind } = run.pick(rows)
  const isNumber = /int/.test(kind)
  const given = isNumber ? Number(value) : column === 'body' ? Buffer.from(value, 'hex') : value
  const turned = withFlippedBit(given, run.random)
  const text =
    turned instanceof Uint8Array
      ? Buffer.from(turned).toString(column === 'body' ? 'hex' : 'utf8')
      : String(turned)
  const cast = column === 'body' ? `decode($1, 'hex')` : `$1::${kind}`
  const put = (next: string) =>
    client.query(`UPDATE eventuali.events SET ${column} = ${cast} WHERE position = $2`, [
      ...[next, position],
    ])
  try {
    if (text === value) return undefined
    await put(text)
  } catch (error) {
    // No JSON any more, or a number that is there already.
    if (error instanceof pg.DatabaseError) return undefined
    throw error
  }
  return {
    ...{ what: `${column}@${position}`, column, position: Number(position) },
    restore: async () => void (await put(value)),
  }
}

async function flipMany(
  run: Campaign,
  url: string,
  count: number,
  blind: boolean,
): Promise<string[]> {
  const wrong: string[] = []
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const store = await openStore(url)
  try {
    for (let n = 0; n < count; ) {
      const flipped = await flip(client, run)
      if (flipped === undefined) continue
      n++
      const { what, column, position } = flipped
      const { problems } = await store.verify()
      const seen = blind ? problems.filter(({ reason }) => !/checksum/.test(reason)) : problems
      if (seen.length === 0) wrong.push(`${what}: nothing found`)
      else if (!isStructure(column) && !seen.some((problem) => problem.position === position)) {
        wrong.push(`${what}: no problem names it, but ${seen[0]?.reason}`)
      }
      await flipped.restore()
    }
    const { problems } = await store.verify()
    wrong.push(...problems.map(({ reason }) => `at the end: ${reason}`))
    return wrong
  } finally {
    await store.close()
    await client.end()
  }
}

describe.skipIf(postgresSkipReason() !== undefined)('damaged rows on PostgreSQL', () => {
  let server: PostgresServer
  const urls: string[] = []
  beforeAll(async () => {
    server = await startPostgres()
    for (const codec of codecs) {
      const url = await server.database()
      const store = await openStore(url, { codec })
      await fill(store)
      await store.close()
      urls.push(url)
    }
  }, 180_000)
  afterAll(() => server?.stop())

  test('are found by verify, which names the position', async () => {
    await campaign('R5 damage, Postgres', async (run) => {
      const count = run.scaled(60)
      const found = await Promise.all(urls.map((url) => flipMany(run, url, count, false)))
      run.note(`${urls.length * count} flips`)
      expect(found.flat()).toEqual([])
    })
  }, 3_600_000)

  test('and the harness finds a check without checksums', async () => {
    await campaign('R5 planted: no checksum, Postgres', async (run) => {
      const wrong = await flipMany(run, urls[0] as string, 25, true)
      run.note(`${wrong.length} findings`)
      expect(wrong.join('\n')).toContain('nothing found')
    })
  }, 3_600_000)
})
