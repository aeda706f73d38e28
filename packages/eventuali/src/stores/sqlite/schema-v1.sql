PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE eventuali_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO eventuali_meta VALUES('incarnation','01a20aec-cc16-73d4-990d-67fcf6cdd344');
INSERT INTO eventuali_meta VALUES('schema','1');
CREATE TABLE eventuali_head (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    last_position INTEGER NOT NULL
  ) STRICT;
INSERT INTO eventuali_head VALUES(1,10);
CREATE TABLE eventuali_types (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
INSERT INTO eventuali_types VALUES(1,'ItemAdded');
INSERT INTO eventuali_types VALUES(2,'Paid');
INSERT INTO eventuali_types VALUES(3,'$archived');
INSERT INTO eventuali_types VALUES(4,'$deleted');
INSERT INTO eventuali_types VALUES(5,'$truncated');
CREATE TABLE eventuali_streams (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    first_version INTEGER NOT NULL,
    state INTEGER NOT NULL
  ) STRICT;
INSERT INTO eventuali_streams VALUES(1,'cart-1',4,2,0);
INSERT INTO eventuali_streams VALUES(2,'cart-2',1,1,0);
INSERT INTO eventuali_streams VALUES(3,'cart-3',2,1,1);
INSERT INTO eventuali_streams VALUES(4,'cart-4',3,3,2);
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
INSERT INTO eventuali_events VALUES(2,1,2,1,'01a20aec-cc1a-7689-9f17-c67473270c75',1795479620634,1795479620636,1,0,0,2161882821,NULL,'["sku:milk","cold:yes"]',NULL,'{"sku":"milk","price":1}');
INSERT INTO eventuali_events VALUES(3,2,1,1,'given-1',1795479620639,1795479620644,1,0,1,1770486322,NULL,NULL,NULL,'{"sku":"Grüße 🚀"}');
INSERT INTO eventuali_events VALUES(4,3,1,2,'01a20aec-cc27-7950-854d-df5420c884dd',1795479620647,1795479620647,1,0,0,1461354653,NULL,NULL,NULL,'null');
INSERT INTO eventuali_events VALUES(5,3,2,3,'01a20aec-cc28-7eda-9ca0-b3853d475bae',1795479620648,1795479620653,1,0,0,3432672860,NULL,NULL,NULL,'{}');
INSERT INTO eventuali_events VALUES(8,4,3,4,'01a20aec-cc2f-7c5c-94e6-6a71443d88cd',1795479620655,1795479620656,1,0,0,2378545397,NULL,NULL,NULL,'{}');
INSERT INTO eventuali_events VALUES(9,1,3,2,'01a20aec-cc30-75ad-9ab7-b94ce49f4307',1795479620656,1795479620657,1,0,0,2984859092,NULL,NULL,NULL,'{"at":"2026-01-01"}');
INSERT INTO eventuali_events VALUES(10,1,4,5,'01a20aec-cc31-74e7-ade9-7726be89d15a',1795479620657,1795479620658,1,0,0,3901651494,NULL,NULL,NULL,'{"before":2}');
CREATE TABLE eventuali_event_tags (
    tag_hash INTEGER NOT NULL,
    position INTEGER NOT NULL,
    type_id INTEGER NOT NULL,
    PRIMARY KEY (tag_hash, position)
  ) STRICT, WITHOUT ROWID;
INSERT INTO eventuali_event_tags VALUES(63612249464219,2,1);
INSERT INTO eventuali_event_tags VALUES(221324583633641,2,1);
CREATE INDEX eventuali_streams_archived ON eventuali_streams (id) WHERE state = 1;
CREATE UNIQUE INDEX eventuali_events_version ON eventuali_events (stream_id, version);
CREATE UNIQUE INDEX eventuali_events_given_id ON eventuali_events (stream_id, id)
    WHERE flags & 1;
CREATE INDEX eventuali_events_large ON eventuali_events (position) WHERE flags & 4;
CREATE VIEW eventuali_log AS
    SELECT e.position, s.name AS stream, e.version, t.name AS type, e.data, e.metadata, e.tags,
      strftime('%Y-%m-%dT%H:%M:%fZ', e.time / 1000.0, 'unixepoch') AS time,
      strftime('%Y-%m-%dT%H:%M:%fZ', e.recorded_at / 1000.0, 'unixepoch') AS recorded_at,
      e.id, e.schema_version, e.tenant
    FROM eventuali_events e
    JOIN eventuali_streams s ON s.id = e.stream_id
    JOIN eventuali_types t ON t.id = e.type_id;
COMMIT;
