import { readFileSync } from 'node:fs'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore } from '../../src/index.ts'
import { campaign } from '../harness/campaign.ts'
import { statementsOf, steppedPool } from '../harness/sql-steps.ts'
import { open } from '../postgres/setup.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'

const longest = 3_600_000
const schemaV1 = readFileSync(
  new URL('../postgres/fixtures/schema-v1.sql', import.meta.url),
  'utf8',
)

interface Released {
  readonly schema: number
  readonly template: string
  readonly eventCount: number
}

let server: PostgresServer
let made = 0

async function administer<T>(
  work: (client: pg.Client) => Promise<T>,
  url = server.url,
): Promise<T> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

function urlOf(database: string): string {
  const url = new URL(server.url)
  url.pathname = `/${database}`
  return url.href
}

async function createFrom(template: string): Promise<string> {
  const name = `steps_${process.pid}_${++made}`
  await administer((client) => client.query(`CREATE DATABASE ${name} TEMPLATE ${template}`))
  return name
}

const drop = (name: string) =>
  administer((client) => client.query(`DROP DATABASE ${name} WITH (FORCE)`))

/** Schema 2 as its own step left it: a migration of schema 1 that ends before the next step. */
async function makeSchema2(from: string): Promise<void> {
  // The first ones belong to connecting, which is tried again for a while.
  for (let dying = 5; ; dying++) {
    const { pool } = steppedPool(urlOf(from), dying, { sticky: true })
    const store = await open({ pool }).catch(() => undefined)
    await store?.close()
    await pool.end().catch(() => {})
    const version = await administer(
      (client) => client.query(`SELECT value FROM eventuali.meta WHERE key = 'schema_version'`),
      urlOf(from),
    )
    if (version.rows[0].value === '2') break
    if (store !== undefined) throw new Error('there was no schema 2 on the way')
  }
  await administer(
    (client) =>
      client.query(
        `INSERT INTO eventuali.records (kind, key, revision, value) VALUES ('k', 'a', 3, '[1]')`,
      ),
    urlOf(from),
  )
}

async function problemsOf(url: string, { eventCount, schema }: Released): Promise<string[]> {
  try {
    const store = await openStore(url)
    try {
      const wrong = (await store.verify()).problems.map(({ reason }) => reason)
      const log = await store.readAll({ includeArchived: true }).toArray()
      if (log.length !== eventCount) wrong.push(`${log.length} events of ${eventCount}`)
      const [record] = await store.port.records.get('k', ['a'])
      if (schema === 2 && record?.revision !== 3) wrong.push('a record is lost')
      const { position } = await store.append('after-1', { type: 'Noted', data: {} })
      if (position <= (log.at(-1)?.position ?? 0)) wrong.push(`${position} was there already`)
      return wrong
    } finally {
      await store.close()
    }
  } catch (error) {
    return [`does not open: ${String(error)} ${String((error as Error).cause ?? '')}`]
  }
}

interface Deaths {
  readonly steps: number
  /** Deaths after which everything was as before. */
  readonly rolledBack: number
  readonly codes: ReadonlySet<unknown>
  readonly wrong: readonly string[]
}

/** Tables, functions and their texts, rows: the same before and after what left nothing behind. */
const everything = `SELECT md5(string_agg(x, '|' ORDER BY x)) FROM (
  SELECT relname || relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname = 'eventuali'
  UNION ALL SELECT proname || prosrc FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
    WHERE nspname = 'eventuali'
  UNION ALL SELECT nspname::text FROM pg_namespace
  UNION ALL SELECT query_to_xml(CASE relname WHEN 'meta'
      THEN 'SELECT * FROM eventuali.meta WHERE key <> ''incarnation'''
      ELSE 'SELECT * FROM eventuali.' || relname END, true, false, '')::text
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname = 'eventuali' AND relkind = 'r') AS all_of_it(x)`

async function contentOf(url: string): Promise<string> {
  const { rows } = await administer((client) => client.query(everything), url)
  return rows[0].md5
}

/** Ends the backend at statement 1, 2, … of the opening, until none is left. */
async function dieAtEach(
  from: Released,
  options: { readonly ignoresTransactions?: boolean | undefined; readonly last?: number } = {},
): Promise<Deaths> {
  const { ignoresTransactions, last = Number.POSITIVE_INFINITY } = options
  const known = new Set<string>()
  const wrong: string[] = []
  const codes = new Set<unknown>()
  let [name, rolledBack] = ['', 0]
  for (let dying = 1; ; dying++) {
    if (name === '') name = await createFrom(from.template)
    const url = urlOf(name)
    const before = await contentOf(url)
    const during = dying % 2 === 0
    const { pool, count } = steppedPool(url, dying, { during, ignoresTransactions })
    const store = await open({ pool }).catch((error: { code?: unknown }) => {
      codes.add(error.code)
      return undefined
    })
    await store?.close()
    await pool.end().catch(() => {})
    // What left no trace needs no further look, and the next death finds the same.
    const after = await contentOf(url)
    if (after === before) rolledBack++
    else {
      const found = known.has(after) ? [] : await problemsOf(url, from)
      known.add(after)
      wrong.push(...found.map((f) => `schema ${from.schema}, statement ${dying}: ${f}`))
      await drop(name)
      name = ''
    }
    if (count() < dying || dying === last) return { steps: dying - 1, rolledBack, codes, wrong }
  }
}

describe.skipIf(postgresSkipReason() !== undefined)('a migration on PostgreSQL', () => {
  let released: readonly Released[]

  beforeAll(async () => {
    server = await startPostgres()
    const none = await createFrom('template0')
    const first = await createFrom('template0')
    await administer((client) => client.query(schemaV1), urlOf(first))
    const second = await createFrom(first)
    await makeSchema2(second)
    released = [
      { schema: 0, template: none, eventCount: 0 },
      { schema: 1, template: first, eventCount: 13 },
      { schema: 2, template: second, eventCount: 13 },
    ]
  }, 180_000)
  afterAll(() => server?.stop())

  test(
    'whose backend ends at any statement is done again, or goes on',
    async () => {
      await campaign('R21 a backend that ends at every statement, Postgres', async (run) => {
        for (const from of released) {
          const { steps, rolledBack, codes, wrong } = await dieAtEach(from)
          run.note(`schema ${from.schema}: ${steps} statements, ${rolledBack} times rolled back`)
          expect([...codes]).toEqual(['CONNECTION_FAILED'])
          expect(wrong).toEqual([])
          expect(steps).toBeGreaterThan(10)
        }
      })
    },
    longest,
  )

  test(
    'is made once by four programs of which one ends in the midst of it',
    async () => {
      await campaign('R21 four programs, Postgres', async (run) => {
        for (let round = 0; round < run.scaled(4); round++) {
          const from = released[round % 3] as Released
          const name = await createFrom(from.template)
          const url = urlOf(name)
          const { pool } = steppedPool(url, run.between(8, 20), { during: true })
          const dying = open({ pool }).catch(() => undefined)
          const stores = await Promise.all([0, 1, 2].map(() => open({ url })))
          await (await dying)?.close()
          await pool.end().catch(() => {})
          await Promise.all(stores.map((store) => store.close()))
          expect(await problemsOf(url, from)).toEqual([])
          await drop(name)
          run.note(`schema ${from.schema}`)
        }
      })
    },
    longest,
  )

  test('refuses a schema that is newer than it knows, and touches nothing', async () => {
    for (const from of released.slice(1)) {
      const name = await createFrom(from.template)
      const url = urlOf(name)
      const set = `UPDATE eventuali.meta SET value = '99' WHERE key = 'schema_version'`
      await administer((client) => client.query(set), url)
      for (const readOnly of [false, true]) {
        const refused = openStore(url, { readOnly })
        await expect(refused).rejects.toMatchObject({ code: 'SCHEMA_TOO_NEW', retryable: false })
      }
      await drop(name)
    }
  })

  test(
    'whose steps are in no transaction is found by the harness',
    async () => {
      await campaign('R21 planted: no transaction, Postgres', async (run) => {
        const { wrong } = await dieAtEach(released[1] as Released, {
          ...{ ignoresTransactions: true, last: 12 },
        })
        run.note(`${wrong.length} findings`)
        expect(wrong.join('\n')).toContain('already exists')
      })
    },
    longest,
  )

  test('is cut into statements as the server would', () => {
    const script = `SELECT ';' AS a; CREATE FUNCTION f() AS $x$ BEGIN; 1; END $x$; -- a; b\nSELECT "c;"`
    expect(statementsOf(script).map((text) => text.trim())).toEqual([
      `SELECT ';' AS a`,
      'CREATE FUNCTION f() AS $x$ BEGIN; 1; END $x$',
      `-- a; b\nSELECT "c;"`,
    ])
  })
})
