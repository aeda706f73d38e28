import { nodeMajor } from '../../kernel/index.ts'
import { DriverMissingError } from '../../model/index.ts'
import type { HandedIn, SqlConnection, SqlDriver, SqlStatement } from './driver.ts'

interface BetterStatement extends SqlStatement {
  readonly reader: boolean
  raw(on: boolean): BetterStatement
}

interface BetterDatabase {
  readonly inTransaction: boolean
  readonly memory: boolean
  readonly name: string
  exec(sql: string): unknown
  prepare(sql: string): BetterStatement
  pragma(sql: string): unknown
  close(): unknown
  backup(
    file: string,
    options: {
      readonly progress: (pages: { totalPages: number; remainingPages: number }) => number
    },
  ): Promise<unknown>
}

type BetterDatabaseClass = new (
  file: string,
  options: { readonly readonly: boolean },
) => BetterDatabase

const PART_PAGES = 1000
const INSTALL = 'npm install better-sqlite3@13'

function wrap(raw: BetterDatabase): SqlConnection {
  return {
    raw,
    get inTransaction() {
      return raw.inTransaction
    },
    exec: (sql) => {
      raw.exec(sql)
    },
    prepare: (sql) => {
      const statement = raw.prepare(sql)
      return statement.reader ? statement.raw(true) : statement
    },
    close: () => {
      raw.close()
    },
  }
}

function driverOf(Database: BetterDatabaseClass): SqlDriver {
  return {
    name: 'better-sqlite3',
    open: (file, readOnly) => wrap(new Database(file, { readonly: readOnly })),
    copy: async (source, file, onPart) => {
      const progress = (pages: { totalPages: number; remainingPages: number }): number => {
        onPart(pages.totalPages === 0 ? 0 : 1 - pages.remainingPages / pages.totalPages)
        return PART_PAGES
      }
      await (source.raw as BetterDatabase).backup(file, { progress })
    },
  }
}

/** Loads better-sqlite3. Throws DriverMissingError where it is not, or would crash the process. */
export async function loadBetterDriver(): Promise<SqlDriver> {
  if (nodeMajor < 22) throw new DriverMissingError('better-sqlite3 on Node 22 or newer', INSTALL)
  // Through a variable, since the package is an optional peer without types of its own.
  const name: string = 'better-sqlite3'
  try {
    const module = (await import(name)) as { readonly default: BetterDatabaseClass }
    return driverOf(module.default)
  } catch (cause) {
    throw new DriverMissingError('better-sqlite3', INSTALL, { cause })
  }
}

/** Recognises a better-sqlite3 `Database` by its shape. */
export function fromBetterConnection(connection: unknown): HandedIn | undefined {
  const raw = connection as BetterDatabase
  if (typeof raw.inTransaction !== 'boolean' || typeof raw.pragma !== 'function') return undefined
  return {
    // More connections come from the same class, so from the same SQLite build.
    driver: driverOf(raw.constructor as BetterDatabaseClass),
    connection: wrap(raw),
    file: raw.memory ? undefined : raw.name,
  }
}
