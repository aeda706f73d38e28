import {
  type Clock,
  type Deadline,
  deadlineIn,
  type IdSource,
  type Random,
} from '../../kernel/index.ts'
import { MigrationIrreversibleError, SchemaTooNewError } from '../../model/index.ts'
import type { CallOptions, SchemaMigrator, SchemaStep } from '../../ports/index.ts'
import { Connections, type Session, statement } from './connections.ts'
import { loadDriver } from './driver.ts'
import { storageFailure } from './failures.ts'
import { limitsDefault } from './limits.ts'
import {
  beginStep,
  migrations,
  noteVersion,
  type RunText,
  readVersion,
  schemaVersion,
  step,
} from './migrations.ts'
import { poolSizes } from './pool-sizes.ts'
import { assertSchemaName } from './schema-name.ts'
import { logViewV1 } from './schema-v1.ts'

const names = [
  'the log: events, streams, types and tags',
  'the read side: records and inline projections',
  'codecs: functions that take bodies, and the view for people that tells of them',
  'numbers end where they are still exact',
  'a function for one event, which costs half',
]

const functionsV2 = [
  ...['append_within_v1', 'unregister_inline_v1', 'register_inline_v1', 'inline_guard_v1'],
  ...['barrier_v1', 'lock_keys_v1', 'write_records_v1', 'lock_records_v1'],
]

const backs: readonly (((schema: string) => string) | undefined)[] = [
  undefined,
  (schema) => `
DROP TRIGGER IF EXISTS inline_guard ON ${schema}.events;
${functionsV2.map((name) => `DROP FUNCTION ${schema}.${name};`).join('\n')}
DROP TABLE ${schema}.inline_projections;
DROP TABLE ${schema}.records;
`,
  (schema) => `
DROP FUNCTION ${schema}.append_within_v2;
DROP FUNCTION ${schema}.append_v2;
DROP VIEW ${schema}.log;
${logViewV1(schema)}
COMMENT ON COLUMN ${schema}.events.flags IS
  'bit 0: id given by the caller, bit 1: id guards a retry';
COMMENT ON COLUMN ${schema}.events.codec IS NULL;
`,
  (schema) => `
ALTER SEQUENCE ${schema}.events_position NO MAXVALUE;
ALTER TABLE ${schema}.streams DROP CONSTRAINT streams_version_safe;
`,
  (schema) => `DROP FUNCTION ${schema}.append_one_v1;`,
]

/** What keeps a step from being taken back: a row of the query, with why it matters. */
const obstacles: readonly (readonly [sql: (schema: string) => string, reason: string])[] = [
  [() => 'SELECT 1', 'it is the log itself'],
  [
    (schema) =>
      `SELECT 1 FROM ${schema}.records UNION ALL SELECT 1 FROM ${schema}.inline_projections LIMIT 1`,
    'checkpoints, schemas and other records of the read side would be lost with it',
  ],
  [
    (schema) => `SELECT 1 FROM ${schema}.events WHERE codec <> 0 LIMIT 1`,
    'some events are stored with a codec that the earlier schema does not know; run "eventuali recode --to json" first',
  ],
  [() => 'SELECT 1 WHERE false', ''],
  [() => 'SELECT 1 WHERE false', ''],
]

/** How the tables of a schema are looked at. */
export interface PostgresMigratorOptions {
  readonly url: string
  readonly schema?: string | undefined
  readonly clock: Clock
  readonly random: Random
  readonly ids: IdSource
}

/** The steps of a schema's tables, without making any. Throws InvalidArgumentError. */
export async function openPostgresMigrator(
  options: PostgresMigratorOptions,
): Promise<SchemaMigrator> {
  const { url, schema = 'eventuali', clock, random, ids } = options
  assertSchemaName('schema', schema)
  const connections = new Connections({
    ...{ driver: await loadDriver(), url, pool: undefined, clock, random },
    sizes: poolSizes({ poolSize: 1 }, limitsDefault),
    connectTimeoutMs: limitsDefault.connectTimeoutMs,
  })
  const within = async <T>(
    { timeoutMs = limitsDefault.timeoutMs, signal }: CallOptions,
    work: (run: RunText, session: Session, deadline: Deadline) => Promise<T>,
  ): Promise<T> => {
    const deadline = deadlineIn(clock, timeoutMs, signal)
    try {
      const session = await connections.acquire('reads', deadline, false)
      let broken = true
      try {
        const run: RunText = async (text, values = []) => {
          signal?.throwIfAborted()
          const sql = statement(text)
          return (await connections.run(session, sql, values, deadline.leftMs())).rows
        }
        const result = await work(run, session, deadline)
        broken = false
        return result
      } finally {
        // What failed may have a transaction open.
        session.release(broken)
      }
    } catch (error) {
      if (signal?.aborted === true && error === signal.reason) throw error
      throw storageFailure('a migration', timeoutMs, error)
    }
  }
  const found = async (run: RunText): Promise<number> => {
    const version = await readVersion(run, schema)
    if (version > schemaVersion) throw new SchemaTooNewError(version, schemaVersion)
    return version
  }
  return {
    adapter: 'postgres',
    steps: migrations.map(({ version, sql }): SchemaStep => {
      const back = backs[version - 1]?.(schema)
      return { version, name: names[version - 1] ?? '', sql: sql(schema), back }
    }),
    version: (call = {}) => within(call, found),
    objection: (version, call = {}) => within(call, (run) => objectionTo(run, schema, version)),
    up: (call = {}) =>
      within(call, async (run, session, deadline) => {
        if ((await found(run)) >= schemaVersion) return false
        await step(session, run, schema, ids, deadline)
        return true
      }),
    down: (call = {}) =>
      within(call, async (run, session, deadline) => {
        await beginStep(run, deadline)
        const version = await found(run)
        const reason = await objectionTo(run, schema, version)
        if (reason !== undefined) throw new MigrationIrreversibleError(version, reason)
        await session.client.query(backs[version - 1]?.(schema) ?? '')
        await noteVersion(run, schema, version - 1)
        await run('COMMIT')
      }),
    close: () => connections.close(),
  }
}

async function objectionTo(
  run: RunText,
  schema: string,
  version: number,
): Promise<string | undefined> {
  if (version === 0) return 'there is no store yet'
  const [sql, reason] = obstacles[version - 1] ?? [() => 'SELECT 1', 'it is not known here']
  return (await run(sql(schema))).length === 0 ? undefined : reason
}
