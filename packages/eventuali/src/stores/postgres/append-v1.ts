/**
 * All of an append in one round trip: locks, checks and rows of a group of requests, each with its
 * own outcome. Frozen with schema 1; a change is a function append_v2.
 *
 * With `p_wait_ms` null nothing is waited for: a request that misses a lock is reported busy and
 * the rest goes on. Otherwise each lock is waited for at most that long.
 *
 * The planner settings keep cached plans on the indexes even when a plan was made while the
 * tables were empty; `lock_timeout` stands there so that it is put back on return.
 *
 * Texts come joined by U+001F, which neither JSON text nor names can hold: no array is escaped or
 * parsed. Status of a request: 0 stored, 1 busy, 2 version conflict, 3 condition failed, 4 some id
 * is known, 5 stream deleted, 6 stream archived.
 */
export const APPEND_V1 = `
CREATE FUNCTION {schema}.append_v1(
  p_wait_ms integer, p_sync text, p_now bigint,
  p_lock_key bigint[], p_lock_exclusive boolean[], p_pair_lock integer[], p_pair_request integer[],
  p_streams text,
  p_request_entries integer[], p_entry_slot integer[], p_entry_expected bigint[],
  p_entry_count integer[], p_entry_mode smallint[], p_entry_before bigint[],
  p_event_entry integer[], p_event_number integer[], p_event_type integer[], p_event_flags smallint[],
  p_event_time bigint[], p_event_schema integer[], p_event_checksum bigint[],
  p_ids text, p_data text, p_metadata text, p_tags text, p_tenants text,
  p_tag_event integer[], p_tag_hash bigint[], p_drop_hash bigint[],
  p_item_request integer[], p_item_position bigint[], p_item_types text, p_item_hash text, p_item_tags text,
  OUT status integer[], OUT at_entry integer[], OUT actual bigint[],
  OUT entry_version bigint[], OUT positions bigint[]
) LANGUAGE plpgsql
SET lock_timeout = 0
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
SET plan_cache_mode = force_generic_plan
AS $append$
DECLARE
  c_separator constant text := E'\\x1f';
  v_streams text[] := string_to_array(p_streams, c_separator);
  v_slots integer := cardinality(v_streams);
  v_requests integer := cardinality(p_request_entries);
  v_id bigint[]; v_version bigint[]; v_first bigint[]; v_state smallint[];
  v_slot_at integer[]; v_missing integer[]; v_missed integer[]; v_created integer[];
  v_busy boolean[] := array_fill(false, ARRAY[v_requests]);
  v_slot_busy boolean[];
  v_known integer[];
  v_touched boolean[] := array_fill(false, ARRAY[v_slots]);
  v_fresh boolean[] := array_fill(false, ARRAY[v_slots]);
  v_ok boolean[] := array_fill(false, ARRAY[cardinality(p_entry_slot)]);
  v_base bigint[] := array_fill(0::bigint, ARRAY[cardinality(p_entry_slot)]);
  v_setting text;
  v_has_fresh boolean := false;
  v_has_old boolean := false;
  v_has_conditions boolean := cardinality(p_item_request) > 0;
  v_item_types text[]; v_item_hash text[]; v_item_tags text[];
  v_any_ok boolean := false;
  v_all_ok boolean := true;
  v_positions bigint[]; v_position_at bigint[];
  v_entry integer := 0; v_from integer; v_slot integer; v_code integer; v_where integer;
  v_actual bigint; v_mode smallint; v_expected bigint; v_found boolean; v_item integer; i integer; r record;
BEGIN
  -- Waits that nobody planned (a foreign insert of the same stream, a table lock) end soon in a
  -- shared group, so that the callers who are not meant go on.
  v_setting := set_config('lock_timeout', coalesce(p_wait_ms, 15)::text, true);
  IF p_sync IS NOT NULL THEN
    v_setting := set_config('synchronous_commit', p_sync, true);
  END IF;

  IF v_has_conditions AND current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'a conditional append needs the isolation level read committed'
      USING ERRCODE = 'invalid_transaction_state';
  END IF;

  -- Locks of types and tags, in the caller's sorted order.
  IF cardinality(p_lock_key) > 0 THEN
    IF p_wait_ms IS NULL THEN
      SELECT array_agg(u.n) INTO v_missed
      FROM unnest(p_lock_key, p_lock_exclusive) WITH ORDINALITY AS u(k, x, n)
      WHERE NOT CASE WHEN u.x THEN pg_try_advisory_xact_lock(u.k)
                     ELSE pg_try_advisory_xact_lock_shared(u.k) END;
      IF v_missed IS NOT NULL THEN
        FOR i IN 1 .. cardinality(p_pair_lock) LOOP
          IF p_pair_lock[i] = ANY (v_missed) THEN v_busy[p_pair_request[i]] := true; END IF;
        END LOOP;
      END IF;
    ELSE
      PERFORM CASE WHEN u.x THEN pg_advisory_xact_lock(u.k)
                   ELSE pg_advisory_xact_lock_shared(u.k) END
      FROM unnest(p_lock_key, p_lock_exclusive) AS u(k, x);
    END IF;
  END IF;

  -- The heads of the streams.
  IF p_wait_ms IS NULL THEN
    SELECT array_agg(q.n), array_agg(q.id), array_agg(q.version), array_agg(q.first_version), array_agg(q.state)
    INTO v_slot_at, v_id, v_version, v_first, v_state
    FROM (SELECT u.n, s.id, s.version, s.first_version, s.state
          FROM unnest(v_streams) WITH ORDINALITY AS u(name, n)
          JOIN {schema}.streams s ON s.name = u.name
          ORDER BY u.n FOR NO KEY UPDATE OF s SKIP LOCKED) q;
  ELSE
    SELECT array_agg(q.n), array_agg(q.id), array_agg(q.version), array_agg(q.first_version), array_agg(q.state)
    INTO v_slot_at, v_id, v_version, v_first, v_state
    FROM (SELECT u.n, s.id, s.version, s.first_version, s.state
          FROM unnest(v_streams) WITH ORDINALITY AS u(name, n)
          JOIN {schema}.streams s ON s.name = u.name
          ORDER BY u.n FOR NO KEY UPDATE OF s) q;
  END IF;

  IF v_slot_at IS NULL OR cardinality(v_slot_at) < v_slots THEN
    DECLARE
      f_id bigint[] := array_fill(NULL::bigint, ARRAY[v_slots]);
      f_version bigint[] := array_fill(0::bigint, ARRAY[v_slots]);
      f_first bigint[] := array_fill(1::bigint, ARRAY[v_slots]);
      f_state smallint[] := array_fill(0::smallint, ARRAY[v_slots]);
      v_count integer := 0;
    BEGIN
      v_fresh := array_fill(true, ARRAY[v_slots]);
      FOR i IN 1 .. coalesce(cardinality(v_slot_at), 0) LOOP
        f_id[v_slot_at[i]] := v_id[i];
        f_version[v_slot_at[i]] := v_version[i];
        f_first[v_slot_at[i]] := v_first[i];
        f_state[v_slot_at[i]] := v_state[i];
        v_fresh[v_slot_at[i]] := false;
      END LOOP;
      v_id := f_id; v_version := f_version; v_first := f_first; v_state := f_state;
      SELECT array_agg(u.n::integer) INTO v_missing FROM unnest(v_fresh) WITH ORDINALITY AS u(f, n) WHERE u.f;
      v_count := cardinality(v_missing);
      v_slot_busy := array_fill(false, ARRAY[v_slots]);

      IF p_wait_ms IS NULL THEN
        -- There already, so locked by somebody else.
        FOR r IN SELECT m.n FROM unnest(v_missing) AS m(n)
                 JOIN {schema}.streams s ON s.name = v_streams[m.n] LOOP
          v_slot_busy[r.n] := true;
        END LOOP;
        -- Whoever creates a stream holds its lock first: an insert would wait for a foreign
        -- transaction that has created it and is still open.
        IF v_count <= 256 THEN
          FOR r IN SELECT m.n FROM unnest(v_missing) AS m(n)
                   WHERE NOT pg_try_advisory_xact_lock(hashtextextended('{schema}' || v_streams[m.n], 0)) LOOP
            v_slot_busy[r.n] := true;
          END LOOP;
          FOR r IN SELECT m.n FROM unnest(v_missing) AS m(n)
                   JOIN {schema}.streams s ON s.name = v_streams[m.n] LOOP
            v_slot_busy[r.n] := true;
          END LOOP;
        END IF;
        v_entry := 0;
        FOR v_item IN 1 .. v_requests LOOP
          FOR i IN v_entry + 1 .. v_entry + p_request_entries[v_item] LOOP
            IF v_slot_busy[p_entry_slot[i]] THEN v_busy[v_item] := true; END IF;
          END LOOP;
          v_entry := v_entry + p_request_entries[v_item];
        END LOOP;
        v_entry := 0;
      ELSE
        IF v_count <= 256 THEN
          PERFORM pg_advisory_xact_lock(hashtextextended('{schema}' || v_streams[m.n], 0))
          FROM unnest(v_missing) AS m(n);
        END IF;
        FOR r IN SELECT m.n, s.id, s.version, s.first_version, s.state
                 FROM unnest(v_missing) AS m(n)
                 JOIN {schema}.streams s ON s.name = v_streams[m.n]
                 ORDER BY m.n FOR NO KEY UPDATE OF s LOOP
          v_id[r.n] := r.id; v_version[r.n] := r.version;
          v_first[r.n] := r.first_version; v_state[r.n] := r.state; v_fresh[r.n] := false;
        END LOOP;
      END IF;
    END;
  END IF;

  -- Ids that take part in idempotency, all at once.
  IF 1 = ANY (p_event_flags) OR 2 = ANY (p_event_flags) OR 3 = ANY (p_event_flags) THEN
    SELECT array_agg(DISTINCT u.entry) INTO v_known
    FROM unnest(p_event_entry, p_event_flags, string_to_array(p_ids, c_separator)) AS u(entry, flags, id)
    JOIN {schema}.events e ON e.stream = v_id[p_entry_slot[u.entry]] AND e.id = u.id AND (e.flags & 3) <> 0
    WHERE (u.flags & 3) <> 0;
  END IF;

  IF v_has_conditions THEN
    v_item_types := string_to_array(p_item_types, c_separator);
    v_item_hash := string_to_array(p_item_hash, c_separator, '');
    v_item_tags := string_to_array(p_item_tags, c_separator, '');
  END IF;

  -- The requests in turn, each seeing those before it.
  entry_version := v_base;
  status := array_fill(0, ARRAY[v_requests]);
  at_entry := array_fill(0, ARRAY[v_requests]);
  actual := array_fill(0::bigint, ARRAY[v_requests]);
  FOR v_request IN 1 .. v_requests LOOP
    v_from := v_entry;
    v_entry := v_entry + p_request_entries[v_request];
    v_code := 0; v_where := 0; v_actual := 0;
    IF v_busy[v_request] THEN
      v_code := 1;
    ELSE
      IF v_known IS NOT NULL THEN
        FOR i IN v_from + 1 .. v_entry LOOP
          IF i = ANY (v_known) THEN v_code := 4; v_where := i - v_from; EXIT; END IF;
        END LOOP;
      END IF;
      IF v_code = 0 THEN
        FOR i IN v_from + 1 .. v_entry LOOP
          v_slot := p_entry_slot[i]; v_mode := p_entry_mode[i]; v_expected := p_entry_expected[i];
          v_actual := v_version[v_slot];
          -- Modes: 0 plain, 1 recreate, 2 archive, 3 unarchive, 4 delete, 5 truncate.
          IF v_state[v_slot] = 2 AND v_mode <> 1 THEN
            v_code := 5;
          ELSIF v_state[v_slot] = 1 AND v_mode < 3 THEN
            v_code := 6;
          ELSIF v_expected >= 0 AND v_expected <> v_actual
             OR v_expected = -2 AND (v_actual = 0 OR v_state[v_slot] = 2) THEN
            v_code := 2;
          END IF;
          IF v_code <> 0 THEN v_where := i - v_from; EXIT; END IF;
        END LOOP;
      END IF;
      IF v_code = 0 AND v_has_conditions THEN
        FOR v_item IN 1 .. cardinality(p_item_request) LOOP
          CONTINUE WHEN p_item_request[v_item] <> v_request;
          IF v_item_hash[v_item] IS NULL THEN
            SELECT EXISTS (
              SELECT 1 FROM {schema}.events e
              WHERE e.position > p_item_position[v_item] AND e.type = ANY (v_item_types[v_item]::integer[])
            ) INTO v_found;
          ELSE
            SELECT EXISTS (
              SELECT 1 FROM {schema}.event_tags g
              JOIN {schema}.events e ON e.position = g.position
              WHERE g.tag_hash = v_item_hash[v_item]::bigint AND g.position > p_item_position[v_item]
                AND g.type = ANY (v_item_types[v_item]::integer[])
                AND e.tags::jsonb @> v_item_tags[v_item]::jsonb
            ) INTO v_found;
          END IF;
          IF v_found THEN v_code := 3; EXIT; END IF;
        END LOOP;
      END IF;
    END IF;

    IF v_code = 0 THEN
      v_any_ok := true;
      FOR i IN v_from + 1 .. v_entry LOOP
        v_slot := p_entry_slot[i];
        v_ok[i] := true;
        v_base[i] := v_version[v_slot];
        v_version[v_slot] := v_version[v_slot] + p_entry_count[i];
        entry_version[i] := v_version[v_slot];
        v_touched[v_slot] := true;
        IF v_fresh[v_slot] THEN v_has_fresh := true; ELSE v_has_old := true; END IF;
        v_mode := p_entry_mode[i];
        IF v_mode > 0 THEN
          IF v_mode = 2 THEN v_state[v_slot] := 1;
          ELSIF v_mode = 1 OR v_mode = 3 THEN v_state[v_slot] := 0;
          ELSIF v_mode = 4 THEN
            v_state[v_slot] := 2; v_first[v_slot] := v_base[i] + 1;
          ELSIF v_mode = 5 THEN
            v_first[v_slot] := greatest(v_first[v_slot], least(p_entry_before[i], v_base[i] + 1));
          END IF;
          IF v_mode > 3 THEN
            DELETE FROM {schema}.event_tags g USING {schema}.events e
            WHERE e.stream = v_id[v_slot] AND e.version < v_first[v_slot] AND e.tags IS NOT NULL
              AND g.position = e.position AND g.tag_hash = ANY (p_drop_hash);
            DELETE FROM {schema}.events e WHERE e.stream = v_id[v_slot] AND e.version < v_first[v_slot];
          END IF;
        END IF;
      END LOOP;
    ELSE
      v_all_ok := false;
      status[v_request] := v_code; at_entry[v_request] := v_where; actual[v_request] := v_actual;
    END IF;
  END LOOP;
  IF NOT v_any_ok THEN RETURN; END IF;

  IF v_has_old THEN
    UPDATE {schema}.streams s
    SET version = u.version, first_version = u.first_version, state = u.state
    FROM unnest(v_id, v_version, v_first, v_state, v_touched, v_fresh)
      AS u(id, version, first_version, state, touched, fresh)
    WHERE u.touched AND NOT u.fresh AND s.id = u.id;
  END IF;

  IF v_has_fresh THEN
    SELECT array_agg(u.n::integer) INTO v_created
    FROM unnest(v_touched, v_fresh) WITH ORDINALITY AS u(touched, fresh, n) WHERE u.touched AND u.fresh;
    FOR r IN
      WITH inserted AS (
        INSERT INTO {schema}.streams (name, category, version, first_version, state)
        SELECT v_streams[c.n], split_part(v_streams[c.n], '-', 1), v_version[c.n], v_first[c.n], v_state[c.n]
        FROM unnest(v_created) AS c(n)
        ON CONFLICT (name) DO NOTHING
        RETURNING id
      ) SELECT array_agg(id) AS ids FROM inserted
    LOOP
      IF coalesce(cardinality(r.ids), 0) <> cardinality(v_created) THEN
        RAISE EXCEPTION 'another transaction created a stream of this append meanwhile'
          USING ERRCODE = 'serialization_failure';
      END IF;
      FOR i IN 1 .. cardinality(v_created) LOOP v_id[v_created[i]] := r.ids[i]; END LOOP;
    END LOOP;
  END IF;

  -- Positions are drawn inside the insert, after the streams are locked, in log order.
  WITH inserted AS (
    INSERT INTO {schema}.events
      (stream, version, time, recorded_at, checksum, type, schema_version, flags, id, tenant, tags, data, metadata)
    SELECT v_id[p_entry_slot[u.entry]], v_base[u.entry] + u.number, u.time, p_now, u.checksum, u.type,
           u.schema_version, u.flags, u.id, u.tenant, u.tags, u.data::json, u.metadata::json
    FROM unnest(p_event_entry, p_event_number, p_event_type, p_event_flags, p_event_time, p_event_schema,
                p_event_checksum, string_to_array(p_ids, c_separator), string_to_array(p_data, c_separator),
                string_to_array(p_metadata, c_separator, ''), string_to_array(p_tags, c_separator, ''),
                string_to_array(p_tenants, c_separator, ''))
      AS u(entry, number, type, flags, time, schema_version, checksum, id, data, metadata, tags, tenant)
    WHERE v_ok[u.entry]
    RETURNING position
  ) SELECT array_agg(position) INTO v_positions FROM inserted;
  positions := v_positions;

  IF cardinality(p_tag_hash) > 0 THEN
    IF v_all_ok THEN
      v_position_at := v_positions;
    ELSE
      v_position_at := array_fill(NULL::bigint, ARRAY[cardinality(p_event_entry)]);
      v_item := 0;
      FOR i IN 1 .. cardinality(p_event_entry) LOOP
        IF v_ok[p_event_entry[i]] THEN
          v_item := v_item + 1;
          v_position_at[i] := v_positions[v_item];
        END IF;
      END LOOP;
    END IF;
    INSERT INTO {schema}.event_tags (tag_hash, position, type)
    SELECT u.hash, v_position_at[u.event], p_event_type[u.event]
    FROM unnest(p_tag_event, p_tag_hash) AS u(event, hash)
    WHERE v_ok[p_event_entry[u.event]];
  END IF;

  IF v_all_ok THEN status := NULL; at_entry := NULL; actual := NULL; END IF;
END
$append$;
`

/** The same for one schema. */
export function appendFunctionV1(schema: string): string {
  return APPEND_V1.replaceAll('{schema}', schema)
}
