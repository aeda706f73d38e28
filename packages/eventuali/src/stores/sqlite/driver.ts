/** What SQLite takes and gives; integers come back as numbers. */
export type SqlValue = number | string | null | Uint8Array

/** What a statement takes; a bigint is an integer that a number does not hold exactly. */
export type SqlInput = SqlValue | bigint

/** A row, its values in the order of the columns. */
export type SqlRow = readonly SqlValue[]

/** The little that both drivers' statements have in common; rows are arrays. */
export interface SqlStatement {
  run(...values: readonly SqlInput[]): {
    readonly lastInsertRowid: number | bigint
    readonly changes: number | bigint
  }
  get(...values: readonly SqlInput[]): SqlRow | undefined
  all(...values: readonly SqlInput[]): readonly SqlRow[]
  iterate(...values: readonly SqlInput[]): IterableIterator<SqlRow>
}

/** One connection of a driver. */
export interface SqlConnection {
  /** The driver's own object: what `tx.sql` hands out. */
  readonly raw: unknown
  readonly inTransaction: boolean
  exec(sql: string): void
  prepare(sql: string): SqlStatement
  close(): void
}

export type DriverName = 'node:sqlite' | 'better-sqlite3'

/** Opens connections through one SQLite build. */
export interface SqlDriver {
  readonly name: DriverName
  open(file: string, readOnly: boolean): SqlConnection
  /**
   * Copies a database through SQLite's backup API, part by part, into a file that is not there.
   * `onPart` gets the share that is done; what it throws ends the copy.
   */
  copy(source: SqlConnection, file: string, onPart: (share: number) => void): Promise<void>
}

/** A connection that the caller opened, and the driver that opens more of the same build. */
export interface HandedIn {
  readonly driver: SqlDriver
  readonly connection: SqlConnection
  /** Undefined for a database in memory. */
  readonly file: string | undefined
}
