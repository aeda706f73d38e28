/**
 * The view for people, which now says how a row is stored; `data` is null where it is no JSON text.
 * A step of the schema, frozen once released.
 */
export const codecViewStep: string = `
  DROP VIEW eventuali_log;
  CREATE VIEW eventuali_log AS
    SELECT e.position, s.name AS stream, e.version, t.name AS type,
      CASE WHEN e.codec = 0 THEN e.data END AS data, e.metadata, e.tags,
      strftime('%Y-%m-%dT%H:%M:%fZ', e.time / 1000.0, 'unixepoch') AS time,
      strftime('%Y-%m-%dT%H:%M:%fZ', e.recorded_at / 1000.0, 'unixepoch') AS recorded_at,
      e.id, e.schema_version, e.tenant,
      CASE e.codec & 15 WHEN 0 THEN 'json' WHEN 1 THEN 'msgpack' END ||
        CASE e.codec >> 4 WHEN 0 THEN '' WHEN 1 THEN '+gzip' WHEN 2 THEN '+brotli'
          WHEN 3 THEN '+zstd' WHEN 4 THEN '+lz4' WHEN 5 THEN '+snappy' END AS codec
    FROM eventuali_events e
    JOIN eventuali_streams s ON s.id = e.stream_id
    JOIN eventuali_types t ON t.id = e.type_id;
`
