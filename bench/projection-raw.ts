import pg from 'pg'
import { logPage } from '../packages/eventuali/src/stores/postgres/log-query.ts'
import { configureWriter } from '../packages/eventuali/src/stores/sqlite/database.ts'
import type { SqlStatement } from '../packages/eventuali/src/stores/sqlite/driver.ts'
import { Names } from '../packages/eventuali/src/stores/sqlite/names.ts'
import { loadNodeDriver } from '../packages/eventuali/src/stores/sqlite/node-driver.ts'
import { planLog } from '../packages/eventuali/src/stores/sqlite/query.ts'
import { Session } from '../packages/eventuali/src/stores/sqlite/session.ts'

/** What the projection of the bench keeps of a customer. */
export interface Customer {
  readonly orders: number
  readonly total: number
}

/** The part of an order that counts. */
export interface Order {
  readonly customer: { readonly id: string }
  readonly total: number
}

const pageSize = 1000
const checkpointText = `CREATE TABLE IF NOT EXISTS raw_checkpoint (
  name TEXT PRIMARY KEY, position BIGINT NOT NULL)`

/** Adds the orders of a page to the customers it touches, and gives their ids. */
function addOrders(orders: readonly Order[], customers: Map<string, Customer>): void {
  for (const { customer, total } of orders) {
    const was = customers.get(customer.id)
    const next = { orders: (was?.orders ?? 0) + 1, total: (was?.total ?? 0) + total }
    customers.set(customer.id, next)
  }
}

const idsOf = (orders: readonly Order[]): string[] => [
  ...new Set(orders.map(({ customer }) => customer.id)),
]

/** The projection as a synchronous loop over one connection, with its checkpoint. */
export class RawProjectionSqlite {
  readonly #session: Session
  readonly #log: SqlStatement
  #runs = 0

  constructor(file: string) {
    const connection = loadNodeDriver()?.open(file, false)
    if (connection === undefined) throw new Error('this Node brings no SQLite')
    configureWriter(connection, 'durable')
    this.#session = new Session(connection)
    const range = { after: 0, upTo: 1, direction: 'forward', countMax: pageSize } as const
    this.#log = this.#session.prepare(planLog(this.#session, new Names(), {}, range)?.text ?? '')
    connection.exec(checkpointText)
  }

  close(): void {
    this.#session.connection.close()
  }

  /** The whole log into a table of its own; gives the number of events. */
  run(): number {
    const { connection, sql } = this.#session
    const table = `raw_customers_${++this.#runs}`
    connection.exec(
      `CREATE TABLE ${table} (key TEXT PRIMARY KEY NOT NULL, doc TEXT NOT NULL, position INTEGER NOT NULL) STRICT`,
    )
    const get = this.#session.prepare(`SELECT doc FROM ${table} WHERE key = ?`)
    const put = this.#session.prepare(`INSERT INTO ${table} (key, doc, position) VALUES (?, ?, ?)
      ON CONFLICT (key) DO UPDATE SET doc = excluded.doc, position = excluded.position`)
    const save = this.#session.prepare(`INSERT INTO raw_checkpoint VALUES (?, ?)
      ON CONFLICT (name) DO UPDATE SET position = excluded.position`)
    let after = 0
    let count = 0
    for (;;) {
      const rows = this.#log.all(after, Number.MAX_SAFE_INTEGER, pageSize)
      if (rows.length === 0) break
      const orders = rows.map((row) => {
        JSON.parse(row[10] as string)
        return JSON.parse(row[11] as string) as Order
      })
      after = rows.at(-1)?.[0] as number
      sql.begin.run()
      const customers = new Map<string, Customer>()
      for (const id of idsOf(orders)) {
        const found = get.get(id)
        if (found !== undefined) customers.set(id, JSON.parse(found[0] as string) as Customer)
      }
      addOrders(orders, customers)
      for (const [id, customer] of customers) put.run(id, JSON.stringify(customer), after)
      save.run(table, after)
      sql.commit.run()
      count += rows.length
    }
    connection.exec(`DROP TABLE ${table}`)
    return count
  }
}

const schema = 'eventuali'

/** The same on one connection to PostgreSQL, many documents in one statement. */
export class RawProjectionPostgres {
  readonly #client: pg.Client
  #runs = 0

  private constructor(client: pg.Client) {
    this.#client = client
  }

  static async open(url: string): Promise<RawProjectionPostgres> {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    await client.query(checkpointText)
    return new RawProjectionPostgres(client)
  }

  close(): Promise<void> {
    return this.#client.end()
  }

  async run(): Promise<number> {
    const client = this.#client
    const table = `raw_customers_${++this.#runs}`
    await client.query(
      `CREATE TABLE ${table} (key TEXT COLLATE "C" PRIMARY KEY, doc json NOT NULL, position BIGINT NOT NULL)`,
    )
    let after = 0
    let count = 0
    for (;;) {
      const { orders, position } = await this.#page(after)
      if (orders.length === 0) break
      after = position
      await client.query('BEGIN')
      const ids = idsOf(orders)
      const { rows } = await client.query<[string, string]>({
        text: `SELECT key, doc::text FROM ${table} WHERE key = ANY ($1::text[])`,
        values: [ids],
        rowMode: 'array',
      })
      const customers = new Map(rows.map(([key, doc]) => [key, JSON.parse(doc) as Customer]))
      addOrders(orders, customers)
      await client.query(
        `INSERT INTO ${table} SELECT u.key, u.doc::json, $3
         FROM unnest($1::text[], $2::text[]) AS u(key, doc)
         ON CONFLICT (key) DO UPDATE SET doc = excluded.doc, position = excluded.position`,
        [[...customers.keys()], [...customers.values()].map((c) => JSON.stringify(c)), after],
      )
      await client.query(
        `INSERT INTO raw_checkpoint VALUES ($1, $2)
         ON CONFLICT (name) DO UPDATE SET position = excluded.position`,
        [table, after],
      )
      await client.query('COMMIT')
      count += orders.length
    }
    await client.query(`DROP TABLE ${table}`)
    return count
  }

  async #page(after: number): Promise<{ orders: readonly Order[]; position: number }> {
    const query = { direction: 'forward', upTo: Number.MAX_SAFE_INTEGER } as const
    const bounds = { after, before: Number.MAX_SAFE_INTEGER, limit: pageSize }
    const page = logPage(schema, query, { typeIds: undefined, tags: [] }, bounds)
    const types = { getTypeParser: () => (value: unknown) => value }
    const { rows } = await this.#client.query<(string | null)[]>({
      ...{ name: 'page', text: page.text, values: [...page.values], rowMode: 'array', types },
    })
    const orders = rows.map((row) => {
      JSON.parse(row[6] ?? 'null')
      return JSON.parse(row[5] ?? 'null') as Order
    })
    return { orders, position: Number(rows.at(-1)?.[0] ?? after) }
  }
}
