import {
  type Clock,
  type IdSource,
  type Random,
  systemClock,
  systemRandom,
  uuidV7Source,
} from '../kernel/index.ts'
import { InvalidArgumentError, MigrationIrreversibleError, StoreUrlError } from '../model/index.ts'
import type { CallOptions, SchemaMigrator } from '../ports/index.ts'
import { withSchema } from './adapters.ts'

/** A step of a store's tables, as things stand. */
export interface SchemaMigration {
  readonly version: number
  /** What it brings. */
  readonly name: string
  readonly state: 'applied' | 'pending'
  /** Whether it can be taken back in principle. */
  readonly reversible: boolean
  readonly sql: string
  /** What takes it back; undefined where nothing does. */
  readonly back: string | undefined
}

/** How far the tables of a store are. */
export interface MigrationStatus {
  readonly adapter: string
  /** The last step that was made; 0 where there is no store yet. */
  readonly version: number
  /** The newest one that this library knows. */
  readonly newest: number
  readonly migrations: readonly SchemaMigration[]
  /** Why the last one cannot be rolled back as things stand; undefined when it can. */
  readonly objection: string | undefined
}

/** Options of `migrationStatus`. */
export interface MigrationStatusOptions extends CallOptions {
  /** Postgres: the schema with the tables; `eventuali` when left out. */
  readonly schema?: string | undefined
  readonly clock?: Clock | undefined
}

/** Options of `migrateStore` and `rollbackStore`. */
export interface SchemaMigrationOptions extends MigrationStatusOptions {
  /** Says what would be done, and does nothing. */
  readonly dryRun?: boolean | undefined
  /** Called after each step. */
  readonly onProgress?: ((version: number) => void) | undefined
}

/** What was done, or would be. */
export interface MigrationOutcome {
  readonly adapter: string
  readonly from: number
  readonly to: number
  /** The steps that were made or taken back, in that order. */
  readonly migrations: readonly SchemaMigration[]
  readonly dryRun: boolean
}

/**
 * How far the tables of a store are, and what opening it would do to them. Looks only. Throws
 * StoreUrlError, SchemaTooNewError, ConnectionError, StorageError.
 *
 * @example
 * ```ts
 * import { isEventualiError, migrationStatus } from 'eventuali'
 *
 * const refused = await migrationStatus('memory:').catch((error: unknown) => error)
 * console.log(isEventualiError(refused, 'STORE_URL_INVALID')) // true
 * ```
 */
export function migrationStatus(
  url: string,
  options: MigrationStatusOptions = {},
): Promise<MigrationStatus> {
  return withMigrator(url, options, true, (migrator) => statusOf(migrator, options))
}

/**
 * Brings the tables of a store up to date or up to the step `to`, each step in one transaction; an
 * opened store does so by itself. Interrupted, it goes on where it was. Throws
 * InvalidArgumentError, and what `migrationStatus` throws.
 *
 * @example
 * ```ts
 * import { mkdtemp, rm } from 'node:fs/promises'
 * import { tmpdir } from 'node:os'
 * import { join } from 'node:path'
 * import { migrateStore } from 'eventuali'
 *
 * const folder = await mkdtemp(join(tmpdir(), 'migrate-'))
 * const { from, to } = await migrateStore(`sqlite:${join(folder, 'shop.db')}`)
 * console.log(from, to >= 3) // 0 true
 * await rm(folder, { recursive: true })
 * ```
 */
export function migrateStore(
  url: string,
  options: SchemaMigrationOptions & { readonly to?: number | undefined } = {},
): Promise<MigrationOutcome> {
  const { dryRun = false } = options
  return withMigrator(url, options, dryRun, async (migrator) => {
    const status = await statusOf(migrator, options)
    const { adapter, version: from, newest } = status
    const to = options.to ?? newest
    assertStep(to, from, newest, 'migrate')
    const migrations = status.migrations.filter(({ version }) => version > from && version <= to)
    for (let at = from; !dryRun && at < to; ) {
      await migrator.up(options)
      at = await migrator.version(options)
      options.onProgress?.(at)
    }
    return { adapter, from, to, migrations, dryRun }
  })
}

/**
 * Takes steps of a store's tables back, down to the step `to`, for an older version of the library:
 * this one makes them again when it opens the store. All programs that use the store have to be
 * stopped. What cannot be taken back without loss is refused before anything is done. Throws
 * MigrationIrreversibleError, InvalidArgumentError, and what `migrationStatus` throws.
 *
 * @example
 * ```ts
 * import { mkdtemp, rm } from 'node:fs/promises'
 * import { tmpdir } from 'node:os'
 * import { join } from 'node:path'
 * import { migrateStore, rollbackStore } from 'eventuali'
 *
 * const folder = await mkdtemp(join(tmpdir(), 'migrate-'))
 * const url = `sqlite:${join(folder, 'shop.db')}`
 * await migrateStore(url)
 * console.log((await rollbackStore(url, { to: 2 })).to) // 2
 * await rm(folder, { recursive: true })
 * ```
 */
export function rollbackStore(
  url: string,
  options: SchemaMigrationOptions & { readonly to: number },
): Promise<MigrationOutcome> {
  const { to, dryRun = false } = options
  return withMigrator(url, options, dryRun, async (migrator) => {
    const status = await statusOf(migrator, options)
    const { adapter, version: from } = status
    assertStep(to, 0, from, 'rollback')
    const migrations = status.migrations
      .filter(({ version }) => version > to && version <= from)
      .reverse()
    const stuck = migrations.find(({ reversible }) => !reversible)
    if (stuck !== undefined) throw irreversible(stuck)
    for (const { version } of migrations) {
      const objection = await migrator.objection(version, options)
      if (objection !== undefined) throw new MigrationIrreversibleError(version, objection)
    }
    for (const { version } of dryRun ? [] : migrations) {
      await migrator.down(options)
      options.onProgress?.(version - 1)
    }
    return { adapter, from, to, migrations, dryRun }
  })
}

function irreversible({ version, name }: SchemaMigration): MigrationIrreversibleError {
  return new MigrationIrreversibleError(version, `it is ${name}`)
}

function assertStep(to: unknown, least: number, most: number, what: string): void {
  const isStep = Number.isSafeInteger(to) && (to as number) >= least && (to as number) <= most
  if (isStep) return
  const range = `must be a step from ${least} to ${most} here`
  throw new InvalidArgumentError(
    'to',
    what === 'migrate' ? `${range}; to go back, roll back` : range,
  )
}

async function statusOf(migrator: SchemaMigrator, call: CallOptions): Promise<MigrationStatus> {
  const version = await migrator.version(call)
  const { adapter, steps } = migrator
  return {
    ...{ adapter, version, newest: steps.length },
    migrations: steps.map((step) => ({
      ...step,
      state: step.version <= version ? 'applied' : 'pending',
      reversible: step.back !== undefined,
    })),
    objection: version === 0 ? undefined : await migrator.objection(version, call),
  }
}

async function withMigrator<T>(
  url: string,
  options: MigrationStatusOptions,
  readOnly: boolean,
  work: (migrator: SchemaMigrator) => Promise<T>,
): Promise<T> {
  const { clock = systemClock } = options
  const sources = { clock, random: systemRandom, ids: uuidV7Source(clock, systemRandom) }
  const migrator = await openMigrator(url, options.schema, readOnly, sources)
  try {
    return await work(migrator)
  } finally {
    await migrator.close()
  }
}

async function openMigrator(
  url: string,
  schema: string | undefined,
  readOnly: boolean,
  sources: { readonly clock: Clock; readonly random: Random; readonly ids: IdSource },
): Promise<SchemaMigrator> {
  const scheme = typeof url === 'string' ? url.slice(0, Math.max(0, url.indexOf(':'))) : ''
  if (scheme === 'sqlite') {
    const { openSqliteMigrator } = await import('../stores/sqlite/index.ts')
    return openSqliteMigrator({ ...sources, file: url.slice('sqlite:'.length), readOnly })
  }
  if (scheme === 'postgres' || scheme === 'postgresql') {
    const { openPostgresMigrator } = await import('../stores/postgres/index.ts')
    return openPostgresMigrator({ ...sources, ...withSchema(url, schema) })
  }
  throw new StoreUrlError(String(url), 'has no tables that could be migrated')
}
