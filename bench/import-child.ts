import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { createGunzip } from 'node:zlib'
import { importEvents, openStore, uuidV5 } from 'eventuali'
import { checksumOf } from '../packages/eventuali/src/model/index.ts'
import { configureWriter } from '../packages/eventuali/src/stores/sqlite/database.ts'
import { loadNodeDriver } from '../packages/eventuali/src/stores/sqlite/node-driver.ts'
import { Session } from '../packages/eventuali/src/stores/sqlite/session.ts'

// A process of its own for each import: nothing is warm, and the memory is the import's alone.

/** What the parent reads from the last line. */
export interface ImportReport {
  readonly events: number
  readonly seconds: number
  readonly memoryMB: number
}

interface Line {
  readonly stream: string
  readonly type: string
  readonly data: object
  readonly time: number
  readonly id: string
  readonly checksum: number
}

const batchCount = 1000
const byGivenId =
  'SELECT position FROM eventuali_events e WHERE e.stream_id = ? AND e.id = ? AND e.flags & 1'

async function* linesOf(source: string, limit: number): AsyncGenerator<string> {
  const input = createReadStream(source).pipe(createGunzip())
  let count = 0
  for await (const line of createInterface({ input })) {
    if (count++ >= limit) return
    yield line
  }
}

function parse(text: string, ordinal: number): Line {
  const { stream, type, data, time } = JSON.parse(text) as Omit<Line, 'time'> & { time: string }
  const id = uuidV5('bench', stream, ordinal, text)
  const ms = Date.parse(time)
  const row = { id, type, data: text, metadata: '', time: ms, schemaVersion: 1, tagsText: '' }
  return { stream, type, data, time: ms, id, checksum: checksumOf(stream, row) }
}

/** A loop with the store's statements: what a careful script for this one file would do. */
class RawImport {
  readonly #session: Session
  readonly #heads = new Map<string, [id: number, version: number]>()
  readonly #types = new Map<string, number>()

  constructor(file: string) {
    const connection = loadNodeDriver()?.open(file, false)
    if (connection === undefined) throw new Error('this Node brings no SQLite')
    configureWriter(connection, 'durable')
    this.#session = new Session(connection)
  }

  close(): void {
    this.#session.connection.close()
  }

  store(batch: readonly Line[]): void {
    const { sql } = this.#session
    const now = Date.now()
    sql.begin.run()
    let position = Number(sql.lastPosition.get()?.[0])
    const heads = new Map<string, [id: number, version: number]>()
    for (const { stream } of batch) if (!heads.has(stream)) heads.set(stream, this.#head(stream))
    for (const line of batch) this.#checkId(heads.get(line.stream)?.[0] ?? 0, line.id)
    const counts = new Map<string, number>()
    for (const { stream } of batch) counts.set(stream, (counts.get(stream) ?? 0) + 1)
    for (const [stream, head] of heads) {
      const version = head[1] + (counts.get(stream) ?? 0)
      if (head[0] !== 0) sql.setHead.run(version, 1, 0, head[0])
      else head[0] = Number(sql.insertHead.run(stream, version, 1, 0).lastInsertRowid)
    }
    for (const line of batch) {
      const head = heads.get(line.stream) as [number, number]
      this.#insert(line, ++position, head[0], ++head[1], now)
    }
    sql.setLastPosition.run(position)
    sql.commit.run()
  }

  #head(stream: string): [number, number] {
    const known = this.#heads.get(stream)
    if (known !== undefined) return known
    const row = this.#session.sql.headByName.get(stream)
    const head: [number, number] = row === undefined ? [0, 0] : [row[0] as number, row[1] as number]
    this.#heads.set(stream, head)
    return head
  }

  #checkId(stream: number, id: string): void {
    if (stream !== 0 && this.#session.prepare(byGivenId).get(stream, id) !== undefined) {
      throw new Error('there already')
    }
  }

  #typeId(type: string): number {
    let id = this.#types.get(type)
    if (id === undefined) {
      id = Number(this.#session.sql.insertType.run(type).lastInsertRowid)
      this.#types.set(type, id)
    }
    return id
  }

  #insert(line: Line, position: number, stream: number, version: number, now: number): void {
    const { type, id, time, checksum, data } = line
    this.#session.sql.insertEvent.run(
      ...[position, stream, version, this.#typeId(type), id, time, now, 1, 1, checksum],
      ...[null, null, null, JSON.stringify(data)],
    )
  }
}

async function rawImport(file: string, source: string, limit: number): Promise<ImportReport> {
  const lines: Line[] = []
  for await (const text of linesOf(source, limit)) lines.push(parse(text, lines.length))
  const raw = new RawImport(file)
  const started = performance.now()
  for (let from = 0; from < lines.length; from += batchCount) {
    raw.store(lines.slice(from, from + batchCount))
  }
  const seconds = (performance.now() - started) / 1000
  raw.close()
  return { events: lines.length, seconds, memoryMB: peakMB() }
}

async function rawScript(file: string, source: string, limit: number): Promise<ImportReport> {
  const raw = new RawImport(file)
  const started = performance.now()
  let batch: Line[] = []
  let events = 0
  for await (const text of linesOf(source, limit)) {
    if (batch.push(parse(text, events++)) < batchCount) continue
    raw.store(batch)
    batch = []
  }
  if (batch.length > 0) raw.store(batch)
  const seconds = (performance.now() - started) / 1000
  raw.close()
  return { events, seconds, memoryMB: peakMB() }
}

async function storeImport(file: string, source: string, limit: number): Promise<ImportReport> {
  const store = await openStore(`sqlite:${file}`)
  async function* some(): AsyncGenerator<string> {
    for await (const line of linesOf(source, limit)) yield `${line}\n`
  }
  const from = Number.isFinite(limit) ? some() : source
  const started = performance.now()
  const { events } = await importEvents(store.port, from)
  const seconds = (performance.now() - started) / 1000
  await store.close()
  return { events, seconds, memoryMB: peakMB() }
}

function peakMB(): number {
  return (process.resourceUsage().maxRSS * 1024) / 1e6
}

const ways = { store: storeImport, raw: rawImport, script: rawScript }
const [way, file, source, limitText] = process.argv.slice(2)
const run = ways[way as keyof typeof ways]
if (run === undefined || file === undefined || source === undefined)
  throw new Error('bad arguments')
const limit = limitText === undefined ? Number.POSITIVE_INFINITY : Number(limitText)
console.log(JSON.stringify(await run(file, source, limit)))
