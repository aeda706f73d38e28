/**
 * The read side of schema 2: records, the list of inline projections, and functions that wait for
 * locks within a bound and take one round trip. Frozen once released.
 *
 * A record that is not there is locked by a row that is inserted and removed at once: whoever
 * inserts the same key waits for the end of the transaction that did so.
 */
const TABLES_V2 = `
CREATE TABLE {schema}.records (
  kind text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  revision bigint NOT NULL,
  state text COLLATE "C",
  due double precision,
  value json NOT NULL,
  CONSTRAINT records_pkey PRIMARY KEY (kind, key)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
COMMENT ON COLUMN {schema}.records.due IS 'milliseconds since 1970-01-01 UTC';
CREATE INDEX records_due ON {schema}.records (kind, due, key) WHERE due IS NOT NULL;
CREATE INDEX records_state ON {schema}.records (kind, state, key) WHERE state IS NOT NULL;

CREATE TABLE {schema}.inline_projections (
  name text COLLATE "C" PRIMARY KEY,
  version bigint NOT NULL,
  types text[] COLLATE "C" NOT NULL
);

CREATE FUNCTION {schema}.lock_records_v1(p_wait_ms integer, p_kind text, p_keys text[])
RETURNS SETOF {schema}.records LANGUAGE plpgsql
SET lock_timeout = 0
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
AS $lock$
DECLARE
  c_setting text := set_config('lock_timeout', p_wait_ms::text, true);
  v_key text;
  v_row {schema}.records;
BEGIN
  FOREACH v_key IN ARRAY p_keys LOOP
    LOOP
      SELECT * INTO v_row FROM {schema}.records r WHERE r.kind = p_kind AND r.key = v_key FOR UPDATE;
      IF FOUND THEN
        RETURN NEXT v_row;
        EXIT;
      END IF;
      INSERT INTO {schema}.records (kind, key, revision, value) VALUES (p_kind, v_key, 0, 'null')
      ON CONFLICT DO NOTHING;
      IF FOUND THEN
        DELETE FROM {schema}.records r WHERE r.kind = p_kind AND r.key = v_key;
        EXIT;
      END IF;
    END LOOP;
  END LOOP;
END
$lock$;

CREATE FUNCTION {schema}.write_records_v1(
  p_wait_ms integer, p_kinds text[], p_keys text[], p_expected bigint[],
  p_states text[], p_dues double precision[], p_values text[]
) RETURNS bigint[] LANGUAGE plpgsql
SET lock_timeout = 0
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
AS $write$
DECLARE
  c_setting text := set_config('lock_timeout', p_wait_ms::text, true);
  v_revisions bigint[] := array_fill(0::bigint, ARRAY[cardinality(p_keys)]);
  v_revision bigint;
  v_expected bigint;
BEGIN
  FOR i IN 1 .. cardinality(p_keys) LOOP
    v_expected := p_expected[i];
    v_revision := 0;
    IF p_values[i] IS NULL THEN
      IF v_expected = 0 THEN
        SELECT 1 INTO v_revision FROM {schema}.records r
        WHERE r.kind = p_kinds[i] AND r.key = p_keys[i];
        v_revision := CASE WHEN FOUND THEN NULL ELSE 0 END;
      ELSE
        DELETE FROM {schema}.records r
        WHERE r.kind = p_kinds[i] AND r.key = p_keys[i]
          AND (v_expected = -1 OR r.revision = v_expected);
        v_revision := CASE WHEN FOUND OR v_expected = -1 THEN 0 END;
      END IF;
    ELSIF v_expected > 0 THEN
      UPDATE {schema}.records r
      SET revision = r.revision + 1, state = p_states[i], due = p_dues[i], value = p_values[i]::json
      WHERE r.kind = p_kinds[i] AND r.key = p_keys[i] AND r.revision = v_expected
      RETURNING r.revision INTO v_revision;
    ELSIF v_expected = 0 THEN
      INSERT INTO {schema}.records (kind, key, revision, state, due, value)
      VALUES (p_kinds[i], p_keys[i], 1, p_states[i], p_dues[i], p_values[i]::json)
      ON CONFLICT DO NOTHING RETURNING revision INTO v_revision;
    ELSE
      INSERT INTO {schema}.records AS r (kind, key, revision, state, due, value)
      VALUES (p_kinds[i], p_keys[i], 1, p_states[i], p_dues[i], p_values[i]::json)
      ON CONFLICT (kind, key) DO UPDATE
      SET revision = r.revision + 1, state = excluded.state, due = excluded.due, value = excluded.value
      RETURNING r.revision INTO v_revision;
    END IF;
    IF v_revision IS NULL THEN
      RAISE EXCEPTION 'a record is at another revision' USING ERRCODE = 'EV002', DETAIL = i::text;
    END IF;
    v_revisions[i] := v_revision;
  END LOOP;
  RETURN v_revisions;
END
$write$;

CREATE FUNCTION {schema}.lock_keys_v1(p_wait_ms integer, p_root bigint, p_keys bigint[])
RETURNS void LANGUAGE plpgsql
SET lock_timeout = 0
AS $keys$
DECLARE
  c_setting text := set_config('lock_timeout', p_wait_ms::text, true);
BEGIN
  IF p_keys IS NULL THEN
    PERFORM pg_advisory_xact_lock(p_root);
  ELSE
    PERFORM pg_advisory_xact_lock_shared(p_root);
    FOR i IN 1 .. cardinality(p_keys) LOOP
      PERFORM pg_advisory_xact_lock(p_keys[i]);
    END LOOP;
  END IF;
END
$keys$;
COMMENT ON FUNCTION {schema}.lock_keys_v1 IS 'without keys: everything under the root';

CREATE FUNCTION {schema}.barrier_v1(p_wait_ms integer) RETURNS void LANGUAGE plpgsql
SET lock_timeout = 0
AS $barrier$
DECLARE
  c_setting text := set_config('lock_timeout', p_wait_ms::text, true);
BEGIN
  LOCK TABLE {schema}.events IN SHARE ROW EXCLUSIVE MODE;
END
$barrier$;
`

/**
 * The guard of inline projections. The trigger is there from the first one on: creating it waits
 * for the appends under way, as every later registration does with the barrier. `eventuali.inline`
 * holds what an append runs, `name@version` joined by U+001F, and only while it runs.
 */
const GUARD_V2 = `
CREATE FUNCTION {schema}.inline_guard_v1() RETURNS trigger LANGUAGE plpgsql AS $guard$
DECLARE
  v_missing text;
BEGIN
  SELECT json_agg(json_build_object('name', p.name, 'version', p.version, 'types', p.types)
                  ORDER BY p.name)::text
  INTO v_missing
  FROM {schema}.inline_projections p
  WHERE p.name || '@' || p.version <> ALL (
      string_to_array(coalesce(current_setting('eventuali.inline', true), ''), E'\\x1f'))
    AND EXISTS (
      SELECT 1 FROM (SELECT DISTINCT a.type FROM added a) d
      JOIN {schema}.types t ON t.id = d.type WHERE t.name = ANY (p.types));
  IF v_missing IS NOT NULL THEN
    RAISE EXCEPTION 'a registered inline projection handles these events, and is not run'
      USING ERRCODE = 'EV001', DETAIL = v_missing;
  END IF;
  RETURN NULL;
END
$guard$;

CREATE FUNCTION {schema}.register_inline_v1(
  p_wait_ms integer, p_name text, p_version bigint, p_types text[]
) RETURNS void LANGUAGE plpgsql
SET lock_timeout = 0
AS $register$
BEGIN
  PERFORM {schema}.barrier_v1(p_wait_ms);
  INSERT INTO {schema}.inline_projections (name, version, types) VALUES (p_name, p_version, p_types)
  ON CONFLICT (name) DO UPDATE SET version = excluded.version, types = excluded.types;
  IF EXISTS (SELECT 1 FROM pg_trigger
             WHERE tgrelid = '{schema}.events'::regclass AND tgname = 'inline_guard') THEN
    ALTER TABLE {schema}.events ENABLE TRIGGER inline_guard;
  ELSE
    CREATE TRIGGER inline_guard AFTER INSERT ON {schema}.events
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION {schema}.inline_guard_v1();
  END IF;
END
$register$;

CREATE FUNCTION {schema}.unregister_inline_v1(p_wait_ms integer, p_name text)
RETURNS void LANGUAGE plpgsql
SET lock_timeout = 0
AS $unregister$
BEGIN
  PERFORM {schema}.barrier_v1(p_wait_ms);
  DELETE FROM {schema}.inline_projections WHERE name = p_name;
  IF NOT EXISTS (SELECT 1 FROM {schema}.inline_projections) AND EXISTS (
      SELECT 1 FROM pg_trigger
      WHERE tgrelid = '{schema}.events'::regclass AND tgname = 'inline_guard') THEN
    BEGIN
      -- Readers are not waited for: some may wait for this transaction in turn.
      LOCK TABLE {schema}.events IN ACCESS EXCLUSIVE MODE NOWAIT;
      DROP TRIGGER inline_guard ON {schema}.events;
    EXCEPTION WHEN lock_not_available THEN
      ALTER TABLE {schema}.events DISABLE TRIGGER inline_guard;
    END;
  END IF;
END
$unregister$;
`

/** Parameters of append_v1. */
const appendTypesV1 = [
  ...['integer', 'text', 'bigint', 'bigint[]', 'boolean[]', 'integer[]', 'integer[]', 'text'],
  ...['integer[]', 'integer[]', 'bigint[]', 'integer[]', 'smallint[]', 'bigint[]'],
  ...['integer[]', 'integer[]', 'integer[]', 'smallint[]', 'bigint[]', 'integer[]', 'bigint[]'],
  ...['text', 'text', 'text', 'text', 'text', 'integer[]', 'bigint[]', 'bigint[]'],
  ...['integer[]', 'bigint[]', 'text', 'text', 'text'],
]

/**
 * `append_v1` inside a transaction: says what the append runs inline, and gives a refusal of the
 * guard as a result, so that the transaction goes on. The subtransaction that takes costs nothing
 * while nothing is registered.
 */
function appendWithinV1(): string {
  const parameters = appendTypesV1.map((type, i) => `p${i + 1} ${type}`).join(', ')
  const passed = appendTypesV1.map((_, i) => `p${i + 1}`).join(', ')
  const columns = 'a.status, a.at_entry, a.actual, a.entry_version, a.positions'
  const call = `SELECT ${columns} INTO status, at_entry, actual, entry_version, positions
    FROM {schema}.append_v1(${passed}) a`
  return `
CREATE FUNCTION {schema}.append_within_v1(
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

/** The same for one schema. */
export function readSideV2(schema: string): string {
  return (TABLES_V2 + GUARD_V2 + appendWithinV1()).replaceAll('{schema}', schema)
}
