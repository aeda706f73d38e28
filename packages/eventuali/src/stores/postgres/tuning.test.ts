import { expect, test } from 'vitest'
import {
  adviceFor,
  checkpointsText,
  type ServerFacts,
  type TableFacts,
  tableFacts,
} from './tuning.ts'

const gib = 1024 ** 3
const settings = {
  ...{ autovacuum: 'on', fsync: 'on', full_page_writes: 'on', data_checksums: 'on' },
  ...{ wal_compression: 'on', shared_buffers: '2GB', max_wal_size: '8GB' },
  ...{ max_connections: '100', idle_in_transaction_session_timeout: '5min' },
}

function table(name: TableFacts['name'], more: Partial<TableFacts> = {}): TableFacts {
  const none = { live: 10, dead: 0, updated: 0, hotUpdated: 0, age: 1000, bytes: 8192 }
  return { name, ...none, isAnalyzed: true, options: [], ...more }
}

function names(more: Partial<ServerFacts>): string[] {
  const facts = { schema: 'shop', tables: [], settings, poolSize: 24 } as const
  const checkpoints = { requested: 0, timed: 0 }
  return adviceFor({ ...facts, checkpoints, ...more }).map(({ name }) => name)
}

const insertFactor = 'autovacuum_vacuum_insert_scale_factor'
const analyzeFactor = 'autovacuum_analyze_scale_factor'

test.each<[string, Partial<ServerFacts>, string[]]>([
  ['nothing for a small store on a server with care', { tables: [table('events')] }, []],
  [
    'a large log is vacuumed and analyzed in smaller parts',
    { tables: [table('events', { live: 1_000_000 })] },
    [`events.${insertFactor}`, `events.${analyzeFactor}`],
  ],
  [
    'what is set as low already stays',
    {
      tables: [
        table('events', { live: 1e6, options: [`${insertFactor}=0.01`, `${analyzeFactor}=0.02`] }),
      ],
    },
    [],
  ],
  [
    'a higher value is lowered',
    { tables: [table('events', { live: 1e6, options: [`${insertFactor}=0.5`] })] },
    [`events.${insertFactor}`, `events.${analyzeFactor}`],
  ],
  [
    'a huge log is said to be split by stores',
    {
      tables: [
        table('events', {
          ...{ live: 1e6, bytes: 600 * gib },
          options: [`${insertFactor}=0.01`, `${analyzeFactor}=0.02`],
        }),
      ],
    },
    ['events.partitioning'],
  ],
  [
    'heads whose updates find no room, and dead rows',
    { tables: [table('streams', { updated: 50_000, hotUpdated: 10_000, live: 50, dead: 50 })] },
    ['streams.fillfactor', 'streams.vacuum'],
  ],
  ['few updates say nothing', { tables: [table('streams', { updated: 50, dead: 50 })] }, []],
  [
    'a table nobody has analyzed, and an old one',
    { tables: [table('records', { live: 20_000, isAnalyzed: false, age: 150_000_000 })] },
    ['records.analyze', 'records.freeze'],
  ],
  [
    'a server that is not safe',
    {
      settings: {
        ...settings,
        ...{ fsync: 'off', full_page_writes: 'off', data_checksums: 'off', autovacuum: 'off' },
        idle_in_transaction_session_timeout: '0',
      },
    },
    [
      ...['fsync', 'full_page_writes', 'data_checksums', 'autovacuum'],
      'idle_in_transaction_session_timeout',
    ],
  ],
  [
    'a server as it was installed, under load',
    {
      tables: [table('records', { bytes: 3 * gib })],
      settings: { ...settings, shared_buffers: '128MB', wal_compression: 'off' },
      checkpoints: { requested: 30, timed: 10 },
      poolSize: 40,
    },
    ['shared_buffers', 'max_wal_size', 'wal_compression', 'max_connections'],
  ],
])('%s', (_what, facts, wanted) => {
  expect(names(facts)).toEqual(wanted)
})

test('a row of the catalogue is read as it is meant, also without options', () => {
  const row = ['streams', '5', '1', '7', '6', '1', '99', '8192', 'fillfactor=80,x=1']
  expect(tableFacts(row)).toEqual({
    ...{ name: 'streams', live: 5, dead: 1, updated: 7, hotUpdated: 6, isAnalyzed: true },
    ...{ age: 99, bytes: 8192, options: ['fillfactor=80', 'x=1'] },
  })
  const bare = ['events', '0', '0', '0', '0', '0', '1', '0', null]
  expect(tableFacts(bare)).toMatchObject({ isAnalyzed: false, options: [] })
  expect(checkpointsText(160_004)).toContain('pg_stat_bgwriter')
  expect(checkpointsText(180_000)).toContain('pg_stat_checkpointer')
})
