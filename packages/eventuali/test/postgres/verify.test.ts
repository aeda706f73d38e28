import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { EventStore, StorageFault } from '../../src/ports/index.ts'
import { type CheckRead, indexFaults } from '../../src/stores/postgres/index-faults.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'
import { event, foreign, one, open } from './setup.ts'

let server: PostgresServer
let url: string
let client: pg.Client
let store: EventStore

async function faultsOf(of: EventStore): Promise<StorageFault[]> {
  return Array.fromAsync(of.faults())
}

/** A function that is declared to give one answer for ever, and an index of its answers. */
const plantIndex = `
  CREATE FUNCTION eventuali.answer(text) RETURNS text LANGUAGE plpgsql IMMUTABLE
    AS $$ BEGIN RETURN 'one ' || $1; END $$;
  CREATE INDEX own_index ON eventuali.streams (eventuali.answer(name));
  CREATE OR REPLACE FUNCTION eventuali.answer(text) RETURNS text LANGUAGE plpgsql IMMUTABLE
    AS $$ BEGIN RETURN 'two ' || $1; END $$`

/** A login that may read everything of the store. */
async function reader(): Promise<string> {
  await client.query(`CREATE ROLE reader LOGIN;
    GRANT USAGE ON SCHEMA eventuali TO reader;
    GRANT SELECT ON ALL TABLES IN SCHEMA eventuali TO reader;
    GRANT SELECT ON ALL SEQUENCES IN SCHEMA eventuali TO reader`)
  const own = new URL(url)
  own.username = 'reader'
  return own.href
}

describe.skipIf(postgresSkipReason() !== undefined)('a look for damage in PostgreSQL', () => {
  beforeAll(async () => {
    server = await startPostgres()
  }, 60_000)
  afterAll(() => server?.stop())
  beforeEach(async () => {
    url = await server.database()
    client = await foreign(url)
    store = await open({ url })
    await store.append(one('a-1', { events: [event('T', { tags: ['k:1'] }), event('T')] }))
    await store.append(one('b-1', { events: [event('T', { tags: ['k:2'] }), event('T')] }))
    return async () => {
      await store.close()
      await client.end()
    }
  })

  describe('goes through the indexes', () => {
    it('only where amcheck is installed', async () => {
      await client.query(plantIndex)
      expect((await store.settings()).amcheck).toBe('not installed')
      expect(await faultsOf(store)).toEqual([])
    })

    it('and names the one that lacks a row of its table', async () => {
      await client.query('CREATE EXTENSION amcheck')
      expect((await store.settings()).amcheck).toBe('on')
      expect(await faultsOf(store)).toEqual([])
      await client.query(plantIndex)
      const [fault, ...others] = await faultsOf(store)
      expect(fault).toMatchObject({ kind: 'index' })
      expect(fault?.reason).toMatch(/^index own_index: .*lacks matching index tuple/)
      expect(others).toEqual([])
      // The rest of the log is as it was.
      await client.query('DROP INDEX eventuali.own_index')
      expect(await faultsOf(store)).toEqual([])
    })

    it('wherever the extension lies', async () => {
      await client.query('CREATE SCHEMA "of Their own"')
      await client.query('CREATE EXTENSION amcheck SCHEMA "of Their own"')
      await client.query(plantIndex)
      expect(await faultsOf(store)).toMatchObject([{ kind: 'index' }])
    })

    it('with the right to; without it says so, and tells of no fault', async () => {
      await client.query('CREATE EXTENSION amcheck')
      await client.query(plantIndex)
      const reading = await open({ url: await reader() })
      expect((await reading.settings()).amcheck).toBe('not permitted')
      expect(await faultsOf(reading)).toEqual([])
      await client.query('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO reader')
      expect((await reading.settings()).amcheck).toBe('on')
      expect(await faultsOf(reading)).toMatchObject([{ kind: 'index' }])
      await reading.close()
    })

    it('and ends with what the server says when that is not of the index', async () => {
      await client.query('CREATE EXTENSION amcheck')
      await client.query(`CREATE FUNCTION eventuali.refuses(text) RETURNS text LANGUAGE plpgsql
        IMMUTABLE AS $$ BEGIN RETURN $1; END $$;
        CREATE INDEX own_index ON eventuali.streams (eventuali.refuses(name));
        CREATE OR REPLACE FUNCTION eventuali.refuses(text) RETURNS text LANGUAGE plpgsql
          IMMUTABLE AS $$ BEGIN RAISE 'own words' USING ERRCODE = '22023'; END $$`)
      const failed = { code: 'STORAGE_FAILED', cause: { message: 'own words' } }
      await expect(faultsOf(store)).rejects.toMatchObject(failed)
    })

    it('and passes over one that is dropped before its turn', async () => {
      await client.query('CREATE EXTENSION amcheck')
      await client.query('CREATE INDEX own_index ON eventuali.streams (category, id)')
      const read: CheckRead = async (text, values) => {
        if (text.includes('bt_index_check(')) {
          await client.query('DROP INDEX IF EXISTS eventuali.own_index')
        }
        return (await client.query({ text, values: [...values], rowMode: 'array' })).rows
      }
      expect(await Array.fromAsync(indexFaults(read, 'eventuali'))).toEqual([])
    })
  })

  it('names what does not fit in the tables, with stream or position', async () => {
    const text = async () =>
      (await faultsOf(store)).map(
        ({ stream, position, reason }) => `${stream ?? position}: ${reason}`,
      )
    await store.append(one('c-1'))
    const emptied = { events: [event('$deleted')], change: { kind: 'delete' } as const }
    await store.append(one('c-1', emptied))
    expect(await text()).toEqual([])
    await client.query(`
      UPDATE eventuali.streams SET category = 'other' WHERE name = 'b-1';
      INSERT INTO eventuali.streams (name, category, version, first_version)
        VALUES ('empty-1', 'empty', 3, 4);
      UPDATE eventuali.streams SET first_version = 1 WHERE name = 'c-1';
      UPDATE eventuali.events SET stream = (SELECT id FROM eventuali.streams WHERE name = 'c-1'),
        version = 1 WHERE position = 4;
      UPDATE eventuali.streams SET version = 1 WHERE name = 'b-1';
      INSERT INTO eventuali.event_tags SELECT tag_hash, 2, type FROM eventuali.event_tags
        WHERE position = 1;
      INSERT INTO eventuali.event_tags SELECT tag_hash, 3, type FROM eventuali.event_tags
        WHERE position = 1;
      INSERT INTO eventuali.event_tags SELECT tag_hash, 99, type FROM eventuali.event_tags
        WHERE position = 1;
      SELECT setval('eventuali.events_position', 4);
      UPDATE eventuali.safe_position SET position = 77`)
    expect((await text()).sort()).toEqual([
      '2: the index of tags names a tag that it does not have',
      '3: the index of tags names a tag that it does not have',
      '6: the sequence of positions stands at 4, below it',
      '77: the stored safe position is 77, no position above 4 was drawn',
      '99: the index of tags names an event that is not there',
      'b-1: its head says category other',
      'c-1: it is deleted and holds more than its tombstone',
      // The one that was moved there.
      'c-1: its checksum does not fit',
    ])
  })

  it('takes a part that the server finds damaged for a fault, and looks at the rest', async () => {
    await client.query(`
      DELETE FROM eventuali.event_tags;
      CREATE FUNCTION eventuali.torn() RETURNS bigint LANGUAGE plpgsql
        AS $$ BEGIN RAISE 'invalid page in block 7' USING ERRCODE = 'XX001'; END $$;
      ALTER TABLE eventuali.safe_position RENAME TO safe_position_was;
      CREATE VIEW eventuali.safe_position AS SELECT eventuali.torn() AS position`)
    expect((await faultsOf(store)).map(({ reason }) => reason)).toEqual([
      'invalid page in block 7',
      'its tag "k:1" is missing in the index',
      'its tag "k:2" is missing in the index',
    ])
    // What is no damage is no fault: the look failed.
    await client.query('DROP VIEW eventuali.safe_position')
    await expect(faultsOf(store)).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
  })

  it('ends when the store is closed under it', async () => {
    await client.query(`UPDATE eventuali.events SET data = '{"n":2}'`)
    const faults = store.faults()[Symbol.asyncIterator]()
    expect((await faults.next()).value).toMatchObject({ kind: 'checksum' })
    await store.close()
    await expect(faults.next()).rejects.toMatchObject({ code: 'STORE_CLOSED' })
  })
})
