CREATE TABLE eventuali_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "eventuali_meta" VALUES ('incarnation', '01a20e1e-8768-792f-8210-d2a71670500d');
INSERT INTO "eventuali_meta" VALUES ('schema', '2');
CREATE TABLE eventuali_head (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    last_position INTEGER NOT NULL
  ) STRICT;
INSERT INTO "eventuali_head" VALUES (1, 4);
CREATE TABLE eventuali_types (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
INSERT INTO "eventuali_types" VALUES (1, 'ItemAdded');
INSERT INTO "eventuali_types" VALUES (2, 'Paid');
INSERT INTO "eventuali_types" VALUES (3, '$archived');
CREATE TABLE eventuali_streams (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    first_version INTEGER NOT NULL,
    state INTEGER NOT NULL
  ) STRICT;
INSERT INTO "eventuali_streams" VALUES (1, 'cart-1', 2, 1, 0);
INSERT INTO "eventuali_streams" VALUES (2, 'cart-2', 2, 1, 1);
CREATE INDEX eventuali_streams_archived ON eventuali_streams (id) WHERE state = 1;
CREATE TABLE eventuali_events (
    position INTEGER PRIMARY KEY,
    stream_id INTEGER NOT NULL,
    version INTEGER NOT NULL,
    type_id INTEGER NOT NULL,
    id TEXT NOT NULL,
    time INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    schema_version INTEGER NOT NULL,
    codec INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    tenant TEXT,
    tags TEXT,
    metadata TEXT,
    data ANY NOT NULL
  ) STRICT;
INSERT INTO "eventuali_events" VALUES (1, 1, 1, 1, '01a20e1e-8787-77a0-b308-0bc1c4e8dcd9', 1795533211527, 1795533211530, 1, 0, 0, 3686583060, NULL, NULL, NULL, '{"sku":"tea"}');
INSERT INTO "eventuali_events" VALUES (2, 1, 2, 2, '01a20e1e-8787-736b-bd2b-21557c360d6c', 1795533211527, 1795533211530, 1, 0, 0, 2884985685, NULL, NULL, NULL, '{"total":3}');
INSERT INTO "eventuali_events" VALUES (3, 2, 1, 1, 'given-1', 1795533211532, 1795533211532, 1, 0, 1, 1839878242, NULL, '["sku:1"]', NULL, '{"sku":"Grüße 🚀"}');
INSERT INTO "eventuali_events" VALUES (4, 2, 2, 3, '01a20e1e-878e-7f5f-a8d8-813ea12acfa3', 1795533211534, 1795533211534, 1, 0, 0, 1800962749, NULL, NULL, '{"actor":"ada"}', '{}');
CREATE UNIQUE INDEX eventuali_events_version ON eventuali_events (stream_id, version);
CREATE UNIQUE INDEX eventuali_events_given_id ON eventuali_events (stream_id, id)
    WHERE flags & 1;
CREATE INDEX eventuali_events_large ON eventuali_events (position) WHERE flags & 4;
CREATE TABLE eventuali_event_tags (
    tag_hash INTEGER NOT NULL,
    position INTEGER NOT NULL,
    type_id INTEGER NOT NULL,
    PRIMARY KEY (tag_hash, position)
  ) STRICT, WITHOUT ROWID;
INSERT INTO "eventuali_event_tags" VALUES (190064245491922, 3, 1);
CREATE TABLE eventuali_records (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    revision INTEGER NOT NULL,
    state TEXT,
    due REAL,
    value TEXT NOT NULL,
    PRIMARY KEY (kind, key)
  ) STRICT;
INSERT INTO "eventuali_records" VALUES ('projection', 'carts', 2, NULL, NULL, '{"live":1,"previous":null,"next":2,"paused":false,"effectsFrom":0,"generations":{"1":{"version":1,"mode":"inline","status":"live","tables":{"carts":"carts__g1"},"position":0}}}');
INSERT INTO "eventuali_records" VALUES ('audit', '01a20e1e-8785-77d4-ab73-a3ab6a7f56f4', 1, NULL, NULL, '{"at":1795533211525,"actor":"carts","action":"projection.switch","subject":"carts","details":{"from":null,"to":1,"position":0}}');
INSERT INTO "eventuali_records" VALUES ('subscription', 'mail', 1, NULL, NULL, '{"generation":1,"partitions":1,"partitionBy":"stream","paused":null,"next":null,"earlier":[]}');
INSERT INTO "eventuali_records" VALUES ('partition', 'mail/1/0000', 4, NULL, NULL, '{"owner":null,"epoch":1,"position":4,"incarnation":"01a20e1e-8768-792f-8210-d2a71670500d","stopped":null}');
CREATE INDEX eventuali_records_due ON eventuali_records (kind, due, key) WHERE due IS NOT NULL;
CREATE INDEX eventuali_records_state ON eventuali_records (kind, state, key)
    WHERE state IS NOT NULL;
CREATE TABLE eventuali_inline (
    name TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    types TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
INSERT INTO "eventuali_inline" VALUES ('carts', 1, '["ItemAdded"]');
CREATE TABLE eventuali_inline_types (
    type_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (type_id, name)
  ) STRICT, WITHOUT ROWID;
INSERT INTO "eventuali_inline_types" VALUES (1, 'carts');
CREATE TABLE eventuali_inline_admitted (
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (name, version)
  ) STRICT, WITHOUT ROWID;
CREATE TABLE "carts__g1" (key TEXT PRIMARY KEY NOT NULL, doc TEXT NOT NULL, position INTEGER NOT NULL) STRICT;
INSERT INTO "carts__g1" VALUES ('cart-1', '{"items":1}', 1);
INSERT INTO "carts__g1" VALUES ('cart-2', '{"items":1}', 3);
CREATE VIEW eventuali_log AS
    SELECT e.position, s.name AS stream, e.version, t.name AS type, e.data, e.metadata, e.tags,
      strftime('%Y-%m-%dT%H:%M:%fZ', e.time / 1000.0, 'unixepoch') AS time,
      strftime('%Y-%m-%dT%H:%M:%fZ', e.recorded_at / 1000.0, 'unixepoch') AS recorded_at,
      e.id, e.schema_version, e.tenant
    FROM eventuali_events e
    JOIN eventuali_streams s ON s.id = e.stream_id
    JOIN eventuali_types t ON t.id = e.type_id;
CREATE VIEW "carts" AS SELECT * FROM "carts__g1";
CREATE TRIGGER eventuali_inline_guard BEFORE INSERT ON eventuali_events
  WHEN EXISTS (SELECT 1 FROM eventuali_inline_types t JOIN eventuali_inline p ON p.name = t.name
    WHERE t.type_id = NEW.type_id AND NOT EXISTS (SELECT 1 FROM eventuali_inline_admitted a
      WHERE a.name = p.name AND a.version = p.version))
  BEGIN SELECT RAISE(ABORT, 'EVENTUALI_INLINE'); END;
