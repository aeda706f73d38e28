import type { StorageState } from '../../ports/index.ts'
import { freeBytes } from './database.ts'
import type { SqlConnection } from './driver.ts'
import { schemaVersion, schemaVersionOf } from './migrations.ts'
import { walBytes } from './wal-bound.ts'

/** What the file is made of and takes; `file` is undefined for memory. */
export function storageOf(connection: SqlConnection, file: string | undefined): StorageState {
  const number = (pragma: string) => Number(connection.prepare(`PRAGMA ${pragma}`).get()?.[0])
  const bytes = number('page_count') * number('page_size')
  return {
    schemaVersion: schemaVersionOf(connection),
    schemaVersionNewest: schemaVersion,
    bytes: bytes + (file === undefined ? 0 : walBytes(file)),
    freeBytes: file === undefined ? undefined : freeBytes(file),
    connections: undefined,
  }
}
