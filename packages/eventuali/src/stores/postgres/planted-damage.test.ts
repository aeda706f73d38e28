import pg from 'pg'
import { afterEach, describe, expect, it } from 'vitest'
import { postgresSkipReason, startPostgres } from '../../../test/servers/postgres.ts'
import { systemClock, systemRandom, uuidV7Source } from '../../kernel/index.ts'
import type { AppendRequest, EventStore } from '../../ports/index.ts'
import { openPostgresStore } from './index.ts'

const ids = uuidV7Source(systemClock, systemRandom)
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})

function one(stream: string, type: string, more: object = {}): AppendRequest {
  const event = {
    ...{ id: ids.next(), idGiven: false, type, data: { n: 1 }, metadata: {} },
    ...{ time: 0, schemaVersion: 1, tags: [] },
  }
  return { entries: [{ stream, expectedVersion: 'any', events: [event], ...more }] }
}

async function faultsOf(store: EventStore): Promise<string[]> {
  const found: string[] = []
  for await (const { position, stream, reason } of store.faults()) {
    found.push(`${stream ?? position}: ${reason}`)
  }
  return found.sort()
}

async function fill(store: EventStore): Promise<void> {
  for (const stream of ['a', 'b', 'c', 'd']) {
    for (let n = 0; n < 3; n++) await store.append(one(stream, `T${stream}`))
  }
  await store.append(one('d', '$deleted', { change: { kind: 'delete' } }))
  await store.append(one('a', '$truncated', { change: { kind: 'truncate', before: 2 } }))
}

describe.skipIf(postgresSkipReason() !== undefined)('PostgreSQL', () => {
  it('has its damage named, and a closed store that refuses all calls', async () => {
    const server = await startPostgres()
    cleanups.push(() => server.stop())
    const url = await server.database()
    const injected = { clock: systemClock, random: systemRandom, ids }
    const store = await openPostgresStore({ url, schema: 'damage', ...injected })
    await fill(store)
    expect(await faultsOf(store)).toEqual([])
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    cleanups.push(() => client.end())
    await client.query(`
      UPDATE damage.events SET version = version + 5 WHERE position = 6;
      UPDATE damage.events SET stream = 999 WHERE position = 9;
      UPDATE damage.events SET type = 999 WHERE position = 7;
      UPDATE damage.events SET data = '{"n":2}' WHERE position = 5;
      UPDATE damage.events SET codec = 1 WHERE position = 4;
      DELETE FROM damage.events e USING damage.streams s WHERE s.id = e.stream AND s.name = 'a'`)
    expect(await faultsOf(store)).toEqual([
      '7: its type is unknown',
      '9: its stream has no head',
      'a: its head says versions 2 to 4, the log has 0 events with versions none to none',
      'b: its checksum does not fit',
      'b: its data is not what its codec, 1, says',
      'b: its head says versions 1 to 3, the log has 3 events with versions 1 to 8',
      'c: its head says versions 1 to 3, the log has 2 events with versions 1 to 2',
    ])
    await store.close()
    const closed = { code: 'STORE_CLOSED' }
    for (const call of [
      () => store.append(one('a', 'T')),
      () => store.positions(),
      () => store.settings(),
      () => store.join(client),
      () => store.watch(() => {}),
      () => store.transaction(async () => {}),
      () => Array.fromAsync(store.readStream({ stream: 'a', direction: 'forward' })),
      () => Array.fromAsync(store.faults()),
    ]) {
      await expect((async () => call())()).rejects.toMatchObject(closed)
    }
  })
})
