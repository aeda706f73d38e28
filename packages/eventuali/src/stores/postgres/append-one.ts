import { LruMap } from '../../kernel/index.ts'
import type { EncodedEvent } from '../../model/index.ts'
import { tagHash } from '../sql/index.ts'
import { braces, expectedOf, tenantOf } from './append-plan.ts'
import type { Row } from './connections.ts'
import type { Verdict } from './outcomes.ts'
import type { EncodedEntry, PreparedAppend } from './requests.ts'
import type { TypeNames } from './type-names.ts'

/**
 * Schema 5: one event for a stream that is there, which is what most appends of a lone caller are.
 * `append_v1` can do all of it and costs the server twice as much. What is in the way (a lock that
 * somebody holds, another version, a stream that is not there or not active) gives no row: then
 * `append_v1` is asked, which says what it is. Frozen with schema 5.
 *
 * As there, locks of types and tags come first, then the stream's head, then the position.
 */
const APPEND_ONE_V1 = `
CREATE FUNCTION {schema}.append_one_v1(
  p_sync text, p_now bigint, p_lock_key bigint[], p_stream text, p_expected bigint,
  p_type integer, p_time bigint, p_schema integer, p_checksum bigint,
  p_id text, p_data text, p_metadata text, p_tags text, p_tenant text, p_tag_hash bigint[],
  OUT stored_position bigint, OUT stored_version bigint
) LANGUAGE plpgsql
SET lock_timeout = 15
SET enable_seqscan = off
AS $append$
DECLARE
  v_key bigint; v_id bigint; v_version bigint;
BEGIN
  FOREACH v_key IN ARRAY p_lock_key LOOP
    IF NOT pg_try_advisory_xact_lock_shared(v_key) THEN RETURN; END IF;
  END LOOP;
  SELECT s.id, s.version INTO v_id, v_version FROM {schema}.streams s
  WHERE s.name = p_stream AND s.state = 0 FOR NO KEY UPDATE SKIP LOCKED;
  IF NOT FOUND OR p_expected >= 0 AND p_expected <> v_version THEN RETURN; END IF;
  IF p_sync IS NOT NULL THEN PERFORM set_config('synchronous_commit', p_sync, true); END IF;
  stored_version := v_version + 1;
  UPDATE {schema}.streams s SET version = stored_version WHERE s.id = v_id;
  INSERT INTO {schema}.events
    (stream, version, time, recorded_at, checksum, type, schema_version, flags, id, tenant, tags, data, metadata)
  VALUES (v_id, stored_version, p_time, p_now, p_checksum, p_type, p_schema, 0, p_id, p_tenant, p_tags,
    p_data::json, p_metadata::json)
  RETURNING position INTO stored_position;
  IF p_tag_hash IS NOT NULL THEN
    INSERT INTO {schema}.event_tags (tag_hash, position, type)
    SELECT u.hash, stored_position, p_type FROM unnest(p_tag_hash) AS u(hash);
  END IF;
END
$append$;
`

/** The statements of migration 5. */
export function appendOneStep(schema: string): string {
  return APPEND_ONE_V1.replaceAll('{schema}', schema)
}

const casts = [
  ...['text', 'bigint', 'bigint[]', 'text', 'bigint', 'integer', 'bigint', 'integer', 'bigint'],
  ...['text', 'text', 'text', 'text', 'text', 'bigint[]'],
]

/** The call; its parameters follow the order of `oneValues`. */
export function appendOneText(schema: string): string {
  const parameters = casts.map((cast, i) => `$${i + 1}::${cast}`).join(', ')
  return `SELECT * FROM ${schema}.append_one_v1(${parameters})`
}

/** Streams that were appended to, so that they are there. */
const KNOWN_COUNT_MAX = 20_000
/** After misses so many streams that may be new go the long way before one is tried again. */
const REST_MAX = 64

/**
 * Which way pays. A caller who names a version knows that the stream is there; of the others it is
 * known, or guessed by how the last guesses went: a wrong one costs a way to the server and back.
 */
export class ShortWay {
  readonly #known = new LruMap<string, true>(KNOWN_COUNT_MAX)
  #rest = 0
  #restNext = 1

  /** The stream that is appended to, where the short way is open and worth it. */
  streamOf(prepared: PreparedAppend): string | undefined {
    const stream = streamOfOne(prepared)
    if (stream === undefined) return undefined
    if (prepared.entries[0]?.entry.expectedVersion !== 'any') return stream
    if (this.#known.get(stream) !== undefined) return stream
    if (this.#rest === 0) return stream
    this.#rest--
    return undefined
  }

  /** It was stored. */
  hit(stream: string): void {
    this.#known.set(stream, true)
    this.#restNext = 1
  }

  /** Something was in the way, most of all that the stream is new. */
  miss(stream: string): void {
    if (this.#known.get(stream) !== undefined) return
    this.#rest = this.#restNext
    this.#restNext = Math.min(REST_MAX, this.#restNext * 2)
  }

  /** It was stored the long way, so it is there. */
  note(stream: string): void {
    this.#known.set(stream, true)
  }
}

/** The stream of a request that is one plain event with an id of the library's own. */
function streamOfOne(prepared: PreparedAppend): string | undefined {
  const { entries, eventCount, hasGivenIds, hasBodies, request, locks } = prepared
  if (eventCount !== 1 || entries.length !== 1 || hasGivenIds || hasBodies) return undefined
  const { entry } = entries[0] as EncodedEntry
  if (request.condition !== undefined || entry.change !== undefined) return undefined
  // A stream that does not exist yet has no head to lock.
  if (entry.recreate === true || entry.expectedVersion === 0) return undefined
  for (const isExclusive of locks.values()) if (isExclusive) return undefined
  return entry.stream
}

/** The arguments of `append_one_v1` for what goes the short way. */
export function oneValues(
  { entries, locks }: PreparedAppend,
  types: TypeNames,
  sync: string | null,
  now: number,
): readonly unknown[] {
  const { entry, events } = entries[0] as EncodedEntry
  const event = events[0] as EncodedEvent
  const hashes = event.tags.length === 0 ? null : braces([...new Set(event.tags.map(tagHash))])
  return [
    sync,
    now,
    braces([...locks.keys()]),
    entry.stream,
    expectedOf(entry),
    types.idOf(event.type),
    event.time,
    event.schemaVersion,
    event.checksum,
    event.id,
    event.data,
    event.metadata === '' ? null : event.metadata,
    event.tagsText === '' ? null : event.tagsText,
    tenantOf(entry.events[0] as EncodedEntry['entry']['events'][number]) || null,
    hashes,
  ]
}

/** What the answer says; undefined when something was in the way. */
export function oneVerdict(
  row: Row | undefined,
  stream: string,
  recordedAt: number,
): Verdict | undefined {
  const [position, version] = row ?? []
  if (position === null || position === undefined) return undefined
  const entry = { stream, version: Number(version), positions: [Number(position)], recordedAt }
  return { kind: 'done', outcome: { ok: true, entries: [entry] } }
}
