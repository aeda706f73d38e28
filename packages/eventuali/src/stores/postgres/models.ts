import { hash } from 'node:crypto'
import { InvalidArgumentError } from '../../model/index.ts'
import type {
  CallOptions,
  DocumentFilter,
  DocumentIndex,
  DocumentQuery,
  ModelAccess,
  ModelReads,
  ModelRow,
  ModelTable,
  StoredDocument,
} from '../../ports/index.ts'
import { countStatement, type DocumentStatement, findStatement, modelName } from '../sql/index.ts'
import type { Access } from './access.ts'
import { type Row, type Statement, statement } from './connections.ts'
import { documentDialect, indexedExpressions } from './document-dialect.ts'
import { isTableMissing } from './failures.ts'
import { lockCountMax } from './lock-keys.ts'
import { documentsComment, modelRows } from './model-rows.ts'
import { fromPlain, plainJsonText, toPlain } from './plain-text.ts'

const separator = '\u001f'

/** Tables and views of the store itself, in the same schema. */
const ownNames: ReadonlySet<string> = new Set([
  ...['meta', 'types', 'streams', 'events', 'event_tags', 'safe_position', 'log'],
  ...['records', 'inline_projections'],
])

/** Reads of read models; in a transaction they see its own writes. */
export class PostgresModelReads implements ModelReads {
  protected readonly access: Access

  constructor(access: Access) {
    this.access = access
  }

  async get(
    table: string,
    keys: readonly string[],
    options?: CallOptions,
  ): Promise<readonly (StoredDocument | undefined)[]> {
    const text = `SELECT key, doc, position FROM ${this.nameOf(table)} WHERE key = ANY ($1::text[])`
    const rows = await this.query(table, statement(text), [keys.map(toPlain)], options)
    const found = new Map(rows.map(toDocument).map((document) => [document.key, document]))
    return keys.map((key) => found.get(key))
  }

  async find(
    table: string,
    query: DocumentQuery,
    options?: CallOptions,
  ): Promise<readonly StoredDocument[]> {
    const found = findStatement(documentDialect, this.nameOf(table), query)
    return (await this.#answer(table, found, options)).map(toDocument)
  }

  async count(
    table: string,
    filters: readonly DocumentFilter[],
    options?: CallOptions,
  ): Promise<number> {
    const counted = countStatement(documentDialect, this.nameOf(table), filters)
    const [row] = await this.#answer(table, counted, options)
    return Number(row?.[0])
  }

  rows(
    table: string,
    page: { readonly after?: string | undefined; readonly limit: number },
    options?: CallOptions,
  ): Promise<readonly ModelRow[]> {
    return modelRows(this.access, table, page, options)
  }

  protected nameOf(table: string): string {
    const name = modelName(table)
    if (!ownNames.has(table)) return `${this.access.schema}.${name}`
    throw new InvalidArgumentError(
      'table',
      `${JSON.stringify(table)} is a table of the store's own`,
    )
  }

  protected async query(
    table: string,
    sql: Statement,
    values: readonly unknown[],
    options?: CallOptions,
  ): Promise<readonly Row[]> {
    try {
      return await this.access.query(sql, values, options)
    } catch (error) {
      if (!isTableMissing(error)) throw error
      const problem = `${JSON.stringify(table)} is not there, or holds no documents`
      throw new InvalidArgumentError('table', problem)
    }
  }

  #answer(
    table: string,
    { text, values }: DocumentStatement,
    options: CallOptions | undefined,
  ): Promise<readonly Row[]> {
    const plain = values.map((value) => {
      if (Array.isArray(value)) return value.map(plainValue)
      return plainValue(value)
    })
    return this.query(table, statement(text), plain, options)
  }
}

/** Reads and writes of read models in a transaction. */
export class PostgresModels extends PostgresModelReads implements ModelAccess {
  readonly #lockKeys: Statement

  constructor(access: Access) {
    super(access)
    this.#lockKeys = statement(
      `SELECT ${access.schema}.lock_keys_v1($1::integer, $2::bigint, $3::bigint[])::text`,
    )
  }

  async create({ name, shape }: ModelTable): Promise<void> {
    const table = this.nameOf(name)
    await this.access.waiting(this.#lockKeys, [this.#key(name, 'create'), null])
    if (await this.#exists(name)) return
    if (shape.kind === 'documents') await this.#run(documentsTable(table, name, shape.indexes))
    else await this.#createOwn(name, shape.create)
  }

  async drop(table: string): Promise<void> {
    await this.#run(`DROP TABLE IF EXISTS ${this.nameOf(table)}`)
  }

  async publish(view: string, table: string): Promise<void> {
    const [name, from] = [this.nameOf(view), this.nameOf(table)]
    await this.access.waiting(this.#lockKeys, [this.#key(view, 'create'), null])
    // Replaced as it is while the columns stay, so that grants and views upon it stay, too.
    const body = `CREATE OR REPLACE VIEW ${name} AS SELECT * FROM ${from};
      EXCEPTION WHEN invalid_table_definition THEN
        DROP VIEW ${name};
        CREATE VIEW ${name} AS SELECT * FROM ${from};`
    await this.#run(`DO $publish$ BEGIN ${body} END $publish$`)
  }

  async unpublish(view: string): Promise<void> {
    await this.#run(`DROP VIEW IF EXISTS ${this.nameOf(view)}`)
  }

  async put(
    table: string,
    documents: readonly StoredDocument[],
    options?: CallOptions,
  ): Promise<void> {
    if (documents.length === 0) return
    const rows = documents.map(({ key, value, position }) => {
      const doc = JSON.stringify(value)
      return { key: toPlain(key), doc, plain: plainJsonText(doc) ?? '', position }
    })
    // Rows that others have locked by another way are waited for in the same order everywhere.
    rows.sort((a, b) => (a.key < b.key ? -1 : 1))
    const text = `INSERT INTO ${this.nameOf(table)} (key, doc, plain, position)
      SELECT u.key, u.doc::json, u.plain::json, u.position
      FROM unnest($1::text[], string_to_array($2, E'\\x1f'), string_to_array($3, E'\\x1f', ''),
                  $4::bigint[]) AS u(key, doc, plain, position)
      ON CONFLICT (key) DO UPDATE
      SET doc = excluded.doc, plain = excluded.plain, position = excluded.position`
    const values = [
      rows.map(({ key }) => key),
      rows.map(({ doc }) => doc).join(separator),
      rows.map(({ plain }) => plain).join(separator),
      rows.map(({ position }) => position),
    ]
    await this.query(table, statement(text), values, options)
  }

  async remove(table: string, keys: readonly string[], options?: CallOptions): Promise<void> {
    if (keys.length === 0) return
    const text = `DELETE FROM ${this.nameOf(table)} WHERE key = ANY ($1::text[])`
    await this.query(table, statement(text), [keys.map(toPlain)], options)
  }

  async lock(table: string, keys: readonly string[], options?: CallOptions): Promise<void> {
    if (keys.length === 0) return
    const locks = new Set(keys.map((key) => this.#key(table, `key\n${key}`)))
    // The server's lock table is finite: many keys are all keys.
    const list = locks.size > lockCountMax ? null : [...locks].sort()
    await this.access.waiting(this.#lockKeys, [this.#key(table, 'all'), list], options)
  }

  async #exists(name: string): Promise<boolean> {
    const sql = statement(
      `SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = $1 AND c.relname = $2`,
    )
    return (await this.access.query(sql, [this.access.schema, name])).length > 0
  }

  /** The user's own names no schema: this one is searched first while the table is made. */
  async #createOwn(name: string, create: readonly string[]): Promise<void> {
    const search = statement(`SELECT current_setting('search_path')`)
    const set = statement(`SELECT set_config('search_path', $1, true)`)
    const [row] = await this.access.query(search, [])
    const before = row?.[0] ?? ''
    const path = before === '' ? this.access.schema : `${this.access.schema}, ${before}`
    await this.access.query(set, [path])
    for (const text of create) await this.#run(text.replaceAll('{table}', name))
    await this.access.query(set, [before])
    if (await this.#exists(name)) return
    throw new InvalidArgumentError('create', 'has no statement that makes a table named {table}')
  }

  /** Statements without values, several in one text: only without a name. */
  async #run(text: string): Promise<void> {
    await this.access.query({ text, name: '' }, [])
  }

  #key(table: string, what: string): string {
    const digest = hash('sha1', `eventuali\n${this.access.schema}\nm\n${table}\n${what}`, 'hex')
    return BigInt.asIntN(64, BigInt(`0x${digest.slice(0, 16)}`)).toString()
  }
}

function toDocument([key, doc, position]: Row): StoredDocument {
  return {
    key: fromPlain(key as string),
    value: JSON.parse(doc as string),
    position: Number(position),
  }
}

function plainValue(value: unknown): unknown {
  return typeof value === 'string' ? toPlain(value) : value
}

function documentsTable(table: string, name: string, indexes: readonly DocumentIndex[]): string {
  const statements = [
    `CREATE TABLE ${table} (
       key text COLLATE "C" PRIMARY KEY, doc json NOT NULL, plain json, position bigint NOT NULL
     )`,
    `COMMENT ON TABLE ${table} IS '${documentsComment}'`,
    `COMMENT ON COLUMN ${table}.plain IS 'doc without what SQL text cannot hold, when it has any'`,
  ]
  indexes.forEach(({ path }, i) => {
    const columns = [...indexedExpressions(path), 'key'].join(', ')
    statements.push(`CREATE INDEX "${name}_${i}_x" ON ${table} (${columns})`)
  })
  return statements.join(';\n')
}
