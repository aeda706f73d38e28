import type { TuningAdvice } from '../../ports/index.ts'
import type { SqlConnection } from './driver.ts'

const MIB: number = 1024 * 1024
/** Less free room than that is soon filled again. */
const FREE_BYTES_WORTH: number = 16 * MIB
const FREE_SHARE_WORTH = 0.25
/** The log beside the database is begun anew at 40 MiB; far above it somebody holds it. */
const WAL_BYTES_WORTH: number = 64 * MIB
/** SQLite reads a file of other pages as well, but measured with these. */
const PAGE_SIZE = 4096

export type SqliteAdvice = Omit<TuningAdvice, 'applied'>

const mib = (bytes: number): string => `${(bytes / MIB).toFixed(bytes < 10 * MIB ? 1 : 0)} MiB`

const numberOf = (connection: SqlConnection, pragma: string): number =>
  Number(connection.prepare(`PRAGMA ${pragma}`).get()?.[0] ?? 0)

function vacuum(connection: SqlConnection): SqliteAdvice | undefined {
  const pages = numberOf(connection, 'page_count')
  const free = numberOf(connection, 'freelist_count')
  const pageSize = numberOf(connection, 'page_size')
  const freeBytes = free * pageSize
  if (freeBytes < FREE_BYTES_WORTH || free < pages * FREE_SHARE_WORTH) return undefined
  // Only a file made with it can give pages back without being written anew.
  const isIncremental = numberOf(connection, 'auto_vacuum') === 2
  return {
    name: 'vacuum',
    scope: 'store',
    now: `${mib(freeBytes)} of ${mib(pages * pageSize)} are free pages`,
    suggested: 'give them back to the disk',
    why: isIncremental
      ? 'streams were deleted or truncated, or the data recoded; the file keeps the room until then'
      : 'streams were deleted or truncated, or the data recoded; the file is written anew, needs as much room again meanwhile, and appends wait for it',
    statement: isIncremental ? 'PRAGMA incremental_vacuum' : 'VACUUM',
  }
}

function checkpoint(walBytes: number): SqliteAdvice | undefined {
  if (walBytes < WAL_BYTES_WORTH) return undefined
  return {
    name: 'checkpoint',
    scope: 'store',
    now: `the log beside the database has ${mib(walBytes)}`,
    suggested: 'copy it back and begin it anew',
    why: 'a program holds or held a read transaction open for long; when it still does, this changes nothing: look for it first',
    statement: 'PRAGMA wal_checkpoint(TRUNCATE)',
  }
}

function pageSizeAdvice(connection: SqlConnection): SqliteAdvice | undefined {
  const pageSize = numberOf(connection, 'page_size')
  if (pageSize === PAGE_SIZE) return undefined
  return {
    name: 'page-size',
    scope: 'server',
    now: `${pageSize} bytes a page`,
    suggested: `${PAGE_SIZE} bytes`,
    why: 'the figures of the documentation were measured with it; only a new file can have it, so export this one and import it there',
    statement: `PRAGMA page_size = ${PAGE_SIZE}`,
  }
}

/** What would do the file good. */
export function adviceFor(connection: SqlConnection, walBytes: number): readonly SqliteAdvice[] {
  const found = [vacuum(connection), checkpoint(walBytes), pageSizeAdvice(connection)]
  return found.filter((advice) => advice !== undefined)
}
