import { APPEND_V1 } from './append-v1.ts'

/**
 * What `append_v2` does otherwise than `append_v1`: each event brings its codec, and a body in
 * base64 where it has no JSON text. It is called only when an event of the group has one, so that
 * a store without codecs runs what it always ran. Frozen, like what it is made from.
 */
const CHANGES: readonly (readonly [from: string, to: string])[] = [
  ['CREATE FUNCTION {schema}.append_v1(', 'CREATE FUNCTION {schema}.append_v2('],
  [
    'p_item_hash text, p_item_tags text,',
    'p_item_hash text, p_item_tags text,\n  p_codecs smallint[], p_bodies text,',
  ],
  [
    'IF 1 = ANY (p_event_flags) OR 2 = ANY (p_event_flags) OR 3 = ANY (p_event_flags) THEN',
    'IF EXISTS (SELECT 1 FROM unnest(p_event_flags) AS f(flags) WHERE (f.flags & 3) <> 0) THEN',
  ],
  ['tenant, tags, data, metadata)', 'tenant, tags, data, metadata, codec, body)'],
  [
    'u.data::json, u.metadata::json\n',
    `u.data::json, u.metadata::json, u.codec, decode(u.body, 'base64')\n`,
  ],
  ['string_to_array(p_data, c_separator)', `string_to_array(p_data, c_separator, '')`],
  [
    `string_to_array(p_tenants, c_separator, ''))`,
    `string_to_array(p_tenants, c_separator, ''), p_codecs,
                string_to_array(p_bodies, c_separator, ''))`,
  ],
  [
    'schema_version, checksum, id, data, metadata, tags, tenant)',
    'schema_version, checksum, id, data, metadata, tags, tenant, codec, body)',
  ],
]

/** Types of the parameters that `append_v1` takes, and then of those that come with codecs. */
const TYPES = [
  ...['integer', 'text', 'bigint', 'bigint[]', 'boolean[]', 'integer[]', 'integer[]', 'text'],
  ...['integer[]', 'integer[]', 'bigint[]', 'integer[]', 'smallint[]', 'bigint[]'],
  ...['integer[]', 'integer[]', 'integer[]', 'smallint[]', 'bigint[]', 'integer[]', 'bigint[]'],
  ...['text', 'text', 'text', 'text', 'text', 'integer[]', 'bigint[]', 'bigint[]'],
  ...['integer[]', 'bigint[]', 'text', 'text', 'text', 'smallint[]', 'text'],
]

function appendV2(): string {
  let text = APPEND_V1
  for (const [from, to] of CHANGES) {
    if (text.split(from).length !== 2) throw new Error(`append_v1 has not one "${from}"`)
    text = text.replace(from, () => to)
  }
  return text
}

/** `append_within_v1`, over `append_v2`. */
function appendWithinV2(): string {
  const parameters = TYPES.map((type, i) => `p${i + 1} ${type}`).join(', ')
  const passed = TYPES.map((_, i) => `p${i + 1}`).join(', ')
  const columns = 'a.status, a.at_entry, a.actual, a.entry_version, a.positions'
  const call = `SELECT ${columns} INTO status, at_entry, actual, entry_version, positions
    FROM {schema}.append_v2(${passed}) a`
  return `
CREATE FUNCTION {schema}.append_within_v2(
  p_inline text, ${parameters},
  OUT status integer[], OUT at_entry integer[], OUT actual bigint[],
  OUT entry_version bigint[], OUT positions bigint[], OUT missing text
) LANGUAGE plpgsql AS $within$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM {schema}.inline_projections) THEN
    ${call};
    RETURN;
  END IF;
  PERFORM set_config('eventuali.inline', p_inline, true);
  BEGIN
    ${call};
  EXCEPTION WHEN SQLSTATE 'EV001' THEN
    GET STACKED DIAGNOSTICS missing = PG_EXCEPTION_DETAIL;
  END;
  PERFORM set_config('eventuali.inline', '', true);
END
$within$;
`
}

/** The view for people, which now says how a row is stored: `data` is null where it is no JSON. */
const VIEW = `
COMMENT ON COLUMN {schema}.events.flags IS
  'bit 0: id given by the caller, bit 1: id guards a retry, bit 2: the body is of a large event';
COMMENT ON COLUMN {schema}.events.codec IS
  '0 JSON text in data, otherwise in body: 1 for msgpack, plus 16 gzip, 32 brotli, 48 zstd, 64 lz4, 80 snappy';
CREATE OR REPLACE VIEW {schema}.log AS
SELECT e.position, s.name AS stream, e.version, t.name AS type, e.data, e.metadata,
       to_timestamp(e.time / 1000.0) AS time, to_timestamp(e.recorded_at / 1000.0) AS recorded_at,
       e.tags::json AS tags, e.id, e.schema_version, e.tenant,
       (ARRAY['json', 'msgpack'])[(e.codec & 15) + 1] ||
         coalesce('+' || (ARRAY['gzip', 'brotli', 'zstd', 'lz4', 'snappy'])[e.codec >> 4], '') AS codec
FROM {schema}.events e
JOIN {schema}.streams s ON s.id = e.stream
JOIN {schema}.types t ON t.id = e.type;
`

/** Codecs: the functions that take bodies, and the view that tells of them. */
export function codecsStep(schema: string): string {
  return (appendV2() + appendWithinV2() + VIEW).replaceAll('{schema}', schema)
}
