import type { Deadline } from '../../kernel/index.ts'
import {
  categoryOf,
  checksumOf,
  codecOf,
  expandedBytes,
  type KeptRow,
  type RestoredHead,
  RestoredPart,
  type StreamState,
  textOfRow,
} from '../../model/index.ts'
import type { RestoreRequest } from '../../ports/index.ts'
import { tagHash } from '../sql/index.ts'
import { statement } from './connections.ts'
import { toPlain } from './plain-text.ts'
import type { Run } from './settle.ts'
import type { TypeNames } from './type-names.ts'

const states: readonly StreamState[] = ['active', 'archived', 'deleted']
/** From this size on, before compression, a body is marked as that of a large event. */
const LARGE_BYTES: number = 32 * 1024

function statements(schema: string) {
  const sql = {
    newest: `SELECT coalesce(max(position), 0) FROM ${schema}.events`,
    heads: `SELECT name, id, version, first_version, state FROM ${schema}.streams
      WHERE name = ANY ($1::text[]) ORDER BY name FOR UPDATE`,
    putHeads: `INSERT INTO ${schema}.streams AS s (name, category, version, first_version, state)
      SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::smallint[])
      ON CONFLICT (name) DO UPDATE SET version = excluded.version,
        first_version = excluded.first_version, state = excluded.state
      RETURNING name, id`,
    dropTags: `DELETE FROM ${schema}.event_tags t USING ${schema}.events e,
        unnest($1::bigint[], $2::bigint[]) AS u(stream, first)
      WHERE e.stream = u.stream AND e.version < u.first AND e.tags IS NOT NULL
        AND t.position = e.position AND t.tag_hash = ANY ($3::bigint[])`,
    tagsBelow: `SELECT e.tags FROM ${schema}.events e,
        unnest($1::bigint[], $2::bigint[]) AS u(stream, first)
      WHERE e.stream = u.stream AND e.version < u.first AND e.tags IS NOT NULL`,
    dropEvents: `DELETE FROM ${schema}.events e
      USING unnest($1::bigint[], $2::bigint[]) AS u(stream, first)
      WHERE e.stream = u.stream AND e.version < u.first`,
    putEvents: `INSERT INTO ${schema}.events (position, stream, version, time, recorded_at, checksum,
        type, schema_version, codec, flags, id, tenant, tags, data, metadata, body)
      SELECT u.position, u.stream, u.version, u.time, u.recorded_at, u.checksum, u.type,
        u.schema_version, u.codec, u.flags, u.id, u.tenant, u.tags, u.data::json, u.metadata::json,
        decode(u.body, 'base64')
      FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
        $6::bigint[], $7::integer[], $8::integer[], $9::smallint[], $10::smallint[], $11::text[],
        $12::text[], $13::text[], $14::text[], $15::text[], $16::text[]) AS u(position, stream,
        version, time, recorded_at, checksum, type, schema_version, codec, flags, id, tenant, tags,
        data, metadata, body)`,
    putTags: `INSERT INTO ${schema}.event_tags (tag_hash, position, type)
      SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::integer[])`,
    counter: `SELECT setval('${schema}.events_position',
      greatest($1::bigint, (SELECT last_value FROM ${schema}.events_position)))`,
    safe: `UPDATE ${schema}.safe_position SET position = greatest(position, $1::bigint)`,
    mark: `INSERT INTO ${schema}.meta (key, value) VALUES ('restoring', '1') ON CONFLICT DO NOTHING`,
    unmark: `DELETE FROM ${schema}.meta WHERE key = 'restoring'`,
  }
  return sql
}

/** Puts rows back, in the caller's transaction; gives the position up to which none is given. */
export async function restorePart(
  run: Run,
  types: TypeNames,
  schema: string,
  request: RestoreRequest,
  deadline: Deadline,
): Promise<number> {
  const sql = statements(schema)
  const ask = (text: string, ...values: readonly unknown[]) => run(statement(text), values)
  const { rows, last } = request
  const [end] = await ask(sql.newest)
  const newest = Number(end?.[0])
  const ids = new Map<string, string>()
  const part = new RestoredPart(await knownHeads(), newest)
  for (const row of rows) part.add(row)
  await removeReduced()
  await putHeads()
  await types.ensure(new Set(rows.map(({ type }) => type)), deadline)
  await putRows(ask, sql, part.rows, ids, types)
  const upTo = Math.max(newest, rows.at(-1)?.position ?? 0, request.upTo ?? 0)
  if (upTo > 0) {
    await ask(sql.counter, upTo)
    await ask(sql.safe, upTo)
  }
  await ask(last ? sql.unmark : sql.mark)
  return upTo

  async function knownHeads(): Promise<ReadonlyMap<string, RestoredHead>> {
    const names = [...new Set(rows.map(({ stream }) => stream))]
    const known = new Map<string, RestoredHead>()
    for (const [name, id, version, first, state] of await ask(sql.heads, names)) {
      ids.set(name as string, id as string)
      known.set(name as string, {
        version: Number(version),
        firstVersion: Number(first),
        state: states[Number(state)] ?? 'active',
      })
    }
    return known
  }

  async function removeReduced(): Promise<void> {
    if (part.reduced.length === 0) return
    const streams = part.reduced.map(([stream]) => ids.get(stream))
    const firsts = part.reduced.map(([, before]) => before)
    const tagged = await ask(sql.tagsBelow, streams, firsts)
    const tags = new Set(tagged.flatMap(([text]) => JSON.parse(text as string) as string[]))
    if (tags.size > 0) await ask(sql.dropTags, streams, firsts, [...tags].map(tagHash))
    await ask(sql.dropEvents, streams, firsts)
  }

  async function putHeads(): Promise<void> {
    // In the order in which every transaction locks.
    const heads = [...part.heads].sort(([a], [b]) => (a < b ? -1 : 1))
    if (heads.length === 0) return
    const found = await ask(
      sql.putHeads,
      heads.map(([name]) => name),
      heads.map(([name]) => categoryOf(name)),
      heads.map(([, { version }]) => version),
      heads.map(([, { firstVersion }]) => firstVersion),
      heads.map(([, { state }]) => states.indexOf(state)),
    )
    for (const [name, id] of found) ids.set(name as string, id as string)
  }
}

async function putRows(
  ask: (text: string, ...values: readonly unknown[]) => Promise<unknown>,
  sql: ReturnType<typeof statements>,
  rows: readonly KeptRow[],
  ids: ReadonlyMap<string, string>,
  types: TypeNames,
): Promise<void> {
  if (rows.length === 0) return
  const column = <V>(of: (row: KeptRow) => V): V[] => rows.map(of)
  const typeOf = ({ type }: KeptRow) => types.idOf(type) as number
  await ask(
    sql.putEvents,
    column(({ position }) => position),
    column(({ stream }) => ids.get(stream)),
    column(({ version }) => version),
    column(({ time }) => time),
    column(({ recordedAt }) => recordedAt),
    column((row) => row.checksum ?? checksumOf(row.stream, { ...row, data: textOfRow(row) })),
    column(typeOf),
    column(({ schemaVersion }) => schemaVersion),
    column(({ data }) => codecOf(data)),
    column(flagsOf),
    column(({ id }) => id),
    column(({ metadata }) => tenantOf(metadata)),
    column(({ tagsText }) => (tagsText === '' ? null : tagsText)),
    column(({ data }) => (typeof data === 'string' ? data : null)),
    column(({ metadata }) => (metadata === '' ? null : metadata)),
    column(({ data }) => (typeof data === 'string' ? null : Buffer.from(data).toString('base64'))),
  )
  const tags = rows.flatMap((row) => {
    if (row.tagsText === '') return []
    const hashes = new Set((JSON.parse(row.tagsText) as string[]).map(tagHash))
    return [...hashes].map((hash) => [hash, row.position, typeOf(row)] as const)
  })
  if (tags.length === 0) return
  await ask(
    sql.putTags,
    tags.map(([hash]) => hash),
    tags.map(([, position]) => position),
    tags.map(([, , type]) => type),
  )
}

function flagsOf({ idGiven, data }: KeptRow): number {
  const isLarge = typeof data !== 'string' && expandedBytes(data) >= LARGE_BYTES
  return (idGiven ? 1 : 0) | (isLarge ? 4 : 0)
}

function tenantOf(metadata: string): string | null {
  if (!metadata.includes('"tenant"')) return null
  const { tenant } = JSON.parse(metadata) as { readonly tenant?: unknown }
  return typeof tenant === 'string' && tenant !== '' ? toPlain(tenant) : null
}
