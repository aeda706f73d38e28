import {
  type Clock,
  type Deadline,
  deadlineIn,
  type IdSource,
  type Random,
} from '../../kernel/index.ts'
import { MigrationIrreversibleError, StoreUrlError } from '../../model/index.ts'
import type { CallOptions, SchemaMigrator, SchemaStep } from '../../ports/index.ts'
import { whenFree } from './busy.ts'
import { configureReader, configureWriter, diskIsFull, locate } from './database.ts'
import type { DriverName, SqlConnection } from './driver.ts'
import { migrateOneStep, rollbackOneStep, schemaVersionOf, steps } from './migrations.ts'
import { storageError } from './sqlite-errors.ts'
import { timeoutMsDefault } from './writer.ts'

const names = [
  'the log: events, streams, types and tags',
  'the read side: records and inline projections',
  'codecs: the view for people tells how an event is stored',
]

/** The view for people, as step 1 made it. */
const firstView = (): string => {
  const [first = ''] = steps
  return first.slice(first.indexOf('CREATE VIEW eventuali_log'))
}

const backs: readonly (string | undefined)[] = [
  undefined,
  `DROP TRIGGER IF EXISTS eventuali_inline_guard;
  DROP TABLE eventuali_inline_admitted;
  DROP TABLE eventuali_inline_types;
  DROP TABLE eventuali_inline;
  DROP TABLE eventuali_records;`,
  `DROP VIEW eventuali_log;
  ${firstView()}`,
]

/** What keeps a step from being taken back: a row of the query, with why it matters. */
const obstacles: readonly (readonly [sql: string, reason: string] | undefined)[] = [
  ['SELECT 1', 'it is the log itself'],
  [
    'SELECT 1 FROM eventuali_records UNION ALL SELECT 1 FROM eventuali_inline LIMIT 1',
    'checkpoints, schemas and other records of the read side would be lost with it',
  ],
  [
    'SELECT 1 FROM eventuali_events WHERE codec <> 0 LIMIT 1',
    'some events are stored with a codec that the earlier schema does not know; run "eventuali recode --to json" first',
  ],
]

/** How the tables of a file are looked at. */
export interface SqliteMigratorOptions {
  readonly file: string
  readonly driver?: DriverName | undefined
  /** Looks only, and makes no file. */
  readonly readOnly: boolean
  readonly clock: Clock
  readonly random: Random
  readonly ids: IdSource
}

/** The steps of a file's tables, without making any. Throws StoreUrlError, SqliteUnsafeError. */
export async function openSqliteMigrator(options: SqliteMigratorOptions): Promise<SchemaMigrator> {
  const { file, readOnly, ids } = options
  if (file === ':memory:')
    throw new StoreUrlError('sqlite::memory:', 'is new whenever it is opened')
  const database = await locate(options)
  if (!readOnly && database.unsafe !== undefined) throw database.unsafe
  const full = () => diskIsFull(file)
  const guarded = async <T>(call: CallOptions, work: (at: SqlConnection) => T): Promise<T> => {
    try {
      return await whenFree(options, deadlineOf(options.clock, call), () => work(connection))
    } catch (error) {
      throw storageError('migration', error, full)
    }
  }
  let connection: SqlConnection
  try {
    connection = database.driver.open(file, readOnly)
  } catch (error) {
    throw storageError(`open of ${file}`, error, full)
  }
  const configure = (at: SqlConnection) =>
    readOnly ? configureReader(at) : configureWriter(at, 'durable')
  try {
    await guarded({}, configure)
  } catch (error) {
    connection.close()
    throw error
  }
  return {
    adapter: 'sqlite',
    steps: steps.map((sql, at): SchemaStep => {
      return { version: at + 1, name: names[at] ?? '', sql, back: backs[at] }
    }),
    version: (call = {}) => guarded(call, schemaVersionOf),
    objection: (version, call = {}) => guarded(call, (at) => objectionTo(at, version)),
    up: (call = {}) => guarded(call, (at) => migrateOneStep(at, ids.next())),
    down: (call = {}) =>
      guarded(call, (at) =>
        rollbackOneStep(
          at,
          (version) => backs[version - 1],
          (version) => {
            const reason = objectionTo(at, version)
            if (reason !== undefined) throw new MigrationIrreversibleError(version, reason)
          },
        ),
      ),
    close: async () => connection.close(),
  }
}

function deadlineOf(clock: Clock, { timeoutMs, signal }: CallOptions): Deadline {
  return deadlineIn(clock, timeoutMs ?? timeoutMsDefault, signal)
}

function objectionTo(connection: SqlConnection, version: number): string | undefined {
  if (version === 0) return 'there is no store yet'
  const [sql, reason] = obstacles[version - 1] ?? ['SELECT 1', 'it is not known here']
  return connection.prepare(sql).get() === undefined ? undefined : reason
}
