import { systemClock, systemRandom, uuidV7Source } from 'eventuali'
import pg from 'pg'
import { checksumOf } from '../packages/eventuali/src/model/index.ts'
import { appendOneText } from '../packages/eventuali/src/stores/postgres/append-one.ts'
import { appendStatementText } from '../packages/eventuali/src/stores/postgres/append-plan.ts'
import { LockKeys } from '../packages/eventuali/src/stores/postgres/lock-keys.ts'
import { logPage, pageColumns } from '../packages/eventuali/src/stores/postgres/log-query.ts'
import type { BenchEvent } from './workload.ts'

const schema = 'eventuali'
const separator = '\u001f'
const someId = '0190c8a4-5b1e-7c3d-9f2a-6d8e4b7a1c05'
const pageSize = 1000
const rawTypes = { getTypeParser: () => (value: unknown) => value } as const

const appendText = appendStatementText(schema, 1)
const oneText = appendOneText(schema)
const streamText = `SELECT ${pageColumns} FROM ${schema}.streams s
   JOIN ${schema}.events e ON e.stream = s.id
   WHERE s.name = $1 AND e.version >= $2::bigint AND e.version <= $3::bigint
   ORDER BY e.version ASC LIMIT $4::bigint`
const insertText = `INSERT INTO ${schema}.events
  (stream, version, time, recorded_at, checksum, type, schema_version, flags, id, data, metadata)
  VALUES ($1, $2, $3, $3, 0, $4, 1, 0, $5, $6, $7)`

const braces = (values: readonly unknown[]): string => `{${values.join(',')}}`
const each = <T>(count: number, value: (i: number) => T): string =>
  braces(Array.from({ length: count }, (_, i) => value(i)))

/** One stream with its events. */
export type RawEntry = readonly [stream: string, events: readonly BenchEvent[]]

/** The store's own calls, made directly through `pg` on one connection. */
export class RawPostgres {
  readonly #client: pg.Client
  readonly #full: boolean
  readonly #ids = uuidV7Source(systemClock, systemRandom)
  readonly #lockKey: string
  #typeId = ''
  readonly #streamIds = new Map<string, string>()
  readonly #versions = new Map<string, number>()

  private constructor(client: pg.Client, full: boolean) {
    this.#client = client
    this.#full = full
    this.#lockKey = new LockKeys(schema).ofType('OrderPlaced')
  }

  /** `full`: with a UUIDv7 and a CRC-32 for each event. */
  static async open(url: string, full: boolean): Promise<RawPostgres> {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    const raw = new RawPostgres(client, full)
    await raw.#prepare()
    return raw
  }

  close(): Promise<void> {
    return this.#client.end()
  }

  /** The short way, for one event of a stream that is there. */
  async #appendOne(stream: string, event: BenchEvent): Promise<void> {
    const now = Date.now()
    const data = [JSON.stringify(event.data)]
    const metadata = [JSON.stringify(event.metadata)]
    const ids = [this.#full ? this.#ids.next() : someId]
    const checksum = this.#full ? this.#checksum(stream, event, now, ids, data, metadata) : 0
    const values = [
      ...[null, now, braces([this.#lockKey]), stream, -1, this.#typeId, now, 1, checksum],
      ...[ids[0], data[0], metadata[0], null, null, null],
    ]
    await this.#query('append one', oneText, values)
  }

  /** One call of the append function: each entry a request of its own. */
  async append(entries: readonly RawEntry[]): Promise<void> {
    const [first] = entries
    const [lone] = first?.[1] ?? []
    if (
      first !== undefined &&
      lone !== undefined &&
      entries.length === 1 &&
      first[1].length === 1
    ) {
      await this.#appendOne(first[0], lone)
      return
    }
    const now = Date.now()
    const names = [...new Set(entries.map(([stream]) => stream))].sort()
    const slots = new Map(names.map((name, i) => [name, i + 1]))
    const count = entries.length
    const of: number[] = []
    const number: number[] = []
    const checksums: number[] = []
    const ids: string[] = []
    const data: string[] = []
    const metadata: string[] = []
    for (let i = 0; i < count; i++) {
      const [stream, events] = entries[i] as RawEntry
      for (let n = 0; n < events.length; n++) {
        const event = events[n] as BenchEvent
        of.push(i + 1)
        number.push(n + 1)
        data.push(JSON.stringify(event.data))
        metadata.push(JSON.stringify(event.metadata))
        ids.push(this.#full ? this.#ids.next() : someId)
        checksums.push(this.#full ? this.#checksum(stream, event, now, ids, data, metadata) : 0)
      }
    }
    const total = of.length
    const blanks = separator.repeat(total - 1)
    const values = [
      ...[null, null, now, braces([this.#lockKey]), '{false}'],
      ...[each(count, () => 1), each(count, (i) => i + 1), names.join(separator)],
      ...[each(count, () => 1), braces(entries.map(([stream]) => slots.get(stream)))],
      ...[each(count, () => -1), braces(entries.map(([, events]) => events.length))],
      ...[each(count, () => 0), each(count, () => 0), braces(of), braces(number)],
      ...[each(total, () => this.#typeId), each(total, () => 0), each(total, () => now)],
      ...[each(total, () => 1), braces(checksums), ids.join(separator), data.join(separator)],
      ...[metadata.join(separator), blanks, blanks, '{}', '{}', '{}', '{}', '{}', '', '', ''],
    ]
    await this.#query('append', appendText, values)
  }

  /** One plain INSERT, nothing looked up. */
  async insert(stream: string, event: BenchEvent): Promise<void> {
    const id = this.#streamIds.get(stream) as string
    const version = this.#versions.get(stream) ?? 1_000_000
    this.#versions.set(stream, version + 1)
    const { data, metadata } = event
    const texts = [JSON.stringify(data), JSON.stringify(metadata)]
    const values = [id, version, Date.now(), this.#typeId, someId, ...texts]
    await this.#query('insert', insertText, values)
  }

  async load(stream: string): Promise<number> {
    const values = [stream, 1, Number.MAX_SAFE_INTEGER, pageSize]
    return (await this.#query('load', streamText, values)).map(rawEvent).length
  }

  /** The whole log in pages; returns how many events it has. */
  async scan(): Promise<number> {
    const query = { direction: 'forward', upTo: Number.MAX_SAFE_INTEGER } as const
    const scan = { typeIds: undefined, tags: [] }
    let after = 0
    let count = 0
    for (;;) {
      const bounds = { after, before: Number.MAX_SAFE_INTEGER, limit: pageSize }
      const { text, values } = logPage(schema, query, scan, bounds)
      const page = (await this.#query('scan', text, values)).map(rawEvent)
      count += page.length
      if (page.length < pageSize) return count
      after = page.at(-1)?.position ?? 0
    }
  }

  #checksum(
    stream: string,
    { type }: BenchEvent,
    time: number,
    ids: readonly string[],
    data: readonly string[],
    metadata: readonly string[],
  ): number {
    return checksumOf(stream, {
      ...{ type, time, schemaVersion: 1, tagsText: '' },
      ...{ id: ids.at(-1) ?? '', data: data.at(-1) ?? '', metadata: metadata.at(-1) ?? '' },
    })
  }

  async #prepare(): Promise<void> {
    const types = `SELECT id FROM ${schema}.types WHERE name = 'OrderPlaced'`
    this.#typeId = (await this.#query('type', types, []))[0]?.[0] as string
    const streams = await this.#query('streams', `SELECT name, id FROM ${schema}.streams`, [])
    for (const [name, id] of streams) this.#streamIds.set(name as string, id as string)
  }

  async #query(
    name: string,
    text: string,
    values: readonly unknown[],
  ): Promise<readonly (readonly (string | null)[])[]> {
    const query = { name, text, values: [...values], rowMode: 'array', types: rawTypes } as const
    return (await this.#client.query<(string | null)[]>(query)).rows
  }
}

function rawEvent(row: readonly (string | null)[]) {
  return {
    position: Number(row[0]),
    stream: row[1],
    version: Number(row[2]),
    type: row[3],
    data: JSON.parse(row[5] ?? 'null') as unknown,
    metadata: JSON.parse(row[6] ?? 'null') as unknown,
  }
}
