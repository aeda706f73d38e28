import type { TuningAdvice } from '../../ports/index.ts'

export type PostgresAdvice = Omit<TuningAdvice, 'applied'>

/** Rows from which on the server's defaults for small tables cost something. */
const LARGE_COUNT = 100_000
const MIB: number = 1024 * 1024
const GIB: number = 1024 * MIB
/** Transactions before the server freezes a table by itself; half of its own default. */
const FREEZE_AGE = 100_000_000
const PARTITION_BYTES: number = 500 * GIB

/** What the server says of a table. */
export interface TableFacts {
  readonly name: 'events' | 'streams' | 'records'
  readonly live: number
  readonly dead: number
  readonly updated: number
  readonly hotUpdated: number
  readonly isAnalyzed: boolean
  /** Of its oldest row, in transactions. */
  readonly age: number
  readonly bytes: number
  /** `name=value`, as ALTER TABLE … SET made them. */
  readonly options: readonly string[]
}

/** What advice is made from. */
export interface ServerFacts {
  readonly schema: string
  readonly tables: readonly TableFacts[]
  readonly settings: Readonly<Record<string, string>>
  /** Checkpoints that were due by the volume of the log, and by time. */
  readonly checkpoints: { readonly requested: number; readonly timed: number }
  /** Connections that this store may open. */
  readonly poolSize: number
}

/** Asked in one statement each; the names are those of `ServerFacts.settings`. */
export const settingNames: readonly string[] = [
  ...['autovacuum', 'fsync', 'full_page_writes', 'data_checksums', 'wal_compression'],
  ...['shared_buffers', 'max_wal_size', 'max_connections', 'idle_in_transaction_session_timeout'],
]

export function tableFactsText(schema: string): string {
  return `SELECT c.relname, coalesce(s.n_live_tup, 0), coalesce(s.n_dead_tup, 0),
      coalesce(s.n_tup_upd, 0), coalesce(s.n_tup_hot_upd, 0),
      (coalesce(s.last_analyze, s.last_autoanalyze) IS NOT NULL)::int,
      age(c.relfrozenxid), pg_total_relation_size(c.oid), array_to_string(c.reloptions, ',')
    FROM pg_class c LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
    WHERE c.oid IN ('${schema}.events'::regclass, '${schema}.streams'::regclass,
      '${schema}.records'::regclass)`
}

/** A row of `tableFactsText`. */
export function tableFacts(row: readonly (string | null)[]): TableFacts {
  const [live, dead, updated, hotUpdated, analyzed, age, bytes] = row.slice(1, 8).map(Number)
  return {
    name: row[0] as TableFacts['name'],
    ...({ live, dead, updated, hotUpdated, age, bytes } as Omit<TableFacts, 'name'>),
    isAnalyzed: analyzed === 1,
    options: (row[8] ?? '').split(',').filter((option) => option !== ''),
  }
}

/** From 17 on in a view of its own. */
export function checkpointsText(serverVersion: number): string {
  return serverVersion >= 170_000
    ? 'SELECT num_requested, num_timed FROM pg_stat_checkpointer'
    : 'SELECT checkpoints_req, checkpoints_timed FROM pg_stat_bgwriter'
}

const gib = (bytes: number): string => `${(bytes / GIB).toFixed(bytes < 10 * GIB ? 1 : 0)} GiB`
const percent = (share: number): string => `${Math.round(share * 100)} %`

function optionOf(table: TableFacts, name: string): string | undefined {
  const found = table.options.find((option) => option.startsWith(`${name}=`))
  return found?.slice(name.length + 1)
}

/** A storage parameter of a table that should have another value. */
function parameter(
  { schema }: ServerFacts,
  table: TableFacts,
  [name, value, otherwise]: readonly [string, string, string],
  why: string,
): PostgresAdvice | undefined {
  const now = optionOf(table, name)
  if (now !== undefined && Number(now) <= Number(value)) return undefined
  return {
    name: `${table.name}.${name}`,
    scope: 'store',
    now: now ?? otherwise,
    suggested: value,
    why,
    statement: `ALTER TABLE ${schema}.${table.name} SET (${name} = ${value})`,
  }
}

function eventsAdvice(facts: ServerFacts, table: TableFacts): (PostgresAdvice | undefined)[] {
  if (table.live < LARGE_COUNT) return []
  return [
    parameter(
      ...([facts, table] as const),
      ['autovacuum_vacuum_insert_scale_factor', '0.02', "the server's, 0.2 unless changed"],
      'the log only grows: with a fifth of a large table between two vacuums, each of them is long, and reads by index look at the rows until then',
    ),
    parameter(
      ...([facts, table] as const),
      ['autovacuum_analyze_scale_factor', '0.02', "the server's, 0.1 unless changed"],
      'the newest positions are what is asked for most, and the planner should know of them',
    ),
    table.bytes < PARTITION_BYTES
      ? undefined
      : {
          name: 'events.partitioning',
          scope: 'server',
          now: `${gib(table.bytes)} in one table`,
          suggested: 'several stores, by tenant or region, or archived streams moved elsewhere',
          why: 'one table stays right and its appends stay flat, but its vacuums and dumps become long; it cannot be partitioned by position, since (stream, version) must be unique across all of it',
          statement: `SELECT pg_size_pretty(pg_total_relation_size('${facts.schema}.events'))`,
        },
  ]
}

function updatedAdvice(facts: ServerFacts, table: TableFacts): (PostgresAdvice | undefined)[] {
  const isBusy = table.updated >= 10_000
  const hotShare = table.updated === 0 ? 1 : table.hotUpdated / table.updated
  const deadShare = table.dead / Math.max(1, table.live + table.dead)
  return [
    isBusy && hotShare < 0.8
      ? parameter(
          ...([facts, table] as const),
          ['fillfactor', '60', '100'],
          `${percent(1 - hotShare)} of the updates found no room beside the old row and had to touch all indexes; new pages keep room`,
        )
      : undefined,
    isBusy && deadShare > 0.3
      ? {
          name: `${table.name}.vacuum`,
          scope: 'store',
          now: `${percent(deadShare)} of its rows are dead`,
          suggested: 'vacuum it now',
          why: 'autovacuum does not keep up, or an old transaction keeps it from doing so: look for one with `SELECT pid, xact_start FROM pg_stat_activity ORDER BY xact_start`',
          statement: `VACUUM (ANALYZE) ${facts.schema}.${table.name}`,
        }
      : undefined,
  ]
}

function upkeep({ schema }: ServerFacts, table: TableFacts): (PostgresAdvice | undefined)[] {
  const relation = `${schema}.${table.name}`
  return [
    table.live >= LARGE_COUNT / 10 && !table.isAnalyzed
      ? {
          name: `${table.name}.analyze`,
          scope: 'store',
          now: 'never analyzed',
          suggested: 'analyze it now',
          why: 'the planner knows nothing of its rows yet, as after a large import',
          statement: `ANALYZE ${relation}`,
        }
      : undefined,
    table.age > FREEZE_AGE
      ? {
          name: `${table.name}.freeze`,
          scope: 'store',
          now: `its oldest row is ${table.age} transactions old`,
          suggested: 'freeze it at a quiet hour',
          why: 'else the server does so by itself, in the middle of a busy one',
          statement: `VACUUM (FREEZE) ${relation}`,
        }
      : undefined,
  ]
}

/** In bytes, of `128MB` and the like. */
function bytesOf(setting: string): number {
  const [, digits = '0', unit = ''] = /^(\d+)\s*([kMGT]?)B?$/.exec(setting) ?? []
  return Number(digits) * 1024 ** ['', 'k', 'M', 'G', 'T'].indexOf(unit)
}

function server(name: string, now: string, suggested: string, why: string): PostgresAdvice {
  const statement = `ALTER SYSTEM SET ${name} = '${suggested}'`
  return { name, scope: 'server', now, suggested, why, statement }
}

function safetyAdvice({ settings }: ServerFacts): (PostgresAdvice | undefined)[] {
  const isOff = (name: string): boolean => settings[name] === 'off'
  return [
    isOff('fsync')
      ? server('fsync', 'off', 'on', 'an acknowledged append does not survive the power without it')
      : undefined,
    isOff('full_page_writes')
      ? server('full_page_writes', 'off', 'on', 'a power cut can leave a page half written')
      : undefined,
    isOff('data_checksums')
      ? {
          ...server('data_checksums', 'off', 'on', 'the server itself would notice damaged pages'),
          statement: 'pg_checksums --enable (the server is stopped meanwhile)',
        }
      : undefined,
    isOff('autovacuum')
      ? server('autovacuum', 'off', 'on', 'dead rows of heads and checkpoints are never removed')
      : undefined,
    settings.idle_in_transaction_session_timeout === '0'
      ? server(
          ...(['idle_in_transaction_session_timeout', 'no bound', '5min'] as const),
          'a forgotten transaction that has appended holds back every subscriber, and vacuum',
        )
      : undefined,
  ]
}

function loadAdvice(facts: ServerFacts): (PostgresAdvice | undefined)[] {
  const { settings, checkpoints, poolSize } = facts
  const bytes = facts.tables.reduce((sum, table) => sum + table.bytes, 0)
  const { shared_buffers = '', max_wal_size = '', max_connections = '100' } = settings
  const { requested, timed } = checkpoints
  return [
    bytes > GIB && bytesOf(shared_buffers) <= 128 * MIB
      ? server(
          ...(['shared_buffers', shared_buffers, '25 % of the memory'] as const),
          `the store has ${gib(bytes)}, and this is what a new server starts with`,
        )
      : undefined,
    requested > 20 && requested > timed
      ? server(
          ...(['max_wal_size', max_wal_size, '8GB'] as const),
          `${requested} of ${requested + timed} checkpoints came because the log was full; after each of them whole pages are logged again`,
        )
      : undefined,
    settings.wal_compression === 'off' && bytes > GIB
      ? server(
          ...(['wal_compression', 'off', 'on'] as const),
          'whole pages are logged after each checkpoint, and pages of JSON compress well',
        )
      : undefined,
    poolSize * 4 > Number(max_connections)
      ? server(
          ...(['max_connections', max_connections, String(poolSize * 8)] as const),
          `a program with this store opens up to ${poolSize} connections, so ${Math.floor(Number(max_connections) / poolSize)} of them are all; or give a smaller poolSize, or put a pooler before it`,
        )
      : undefined,
  ]
}

/** What would do the tables and the server good. */
export function adviceFor(facts: ServerFacts): readonly PostgresAdvice[] {
  const found = facts.tables.flatMap((table) => [
    ...(table.name === 'events' ? eventsAdvice(facts, table) : updatedAdvice(facts, table)),
    ...upkeep(facts, table),
  ])
  return [...found, ...safetyAdvice(facts), ...loadAdvice(facts)].filter(
    (advice) => advice !== undefined,
  )
}
