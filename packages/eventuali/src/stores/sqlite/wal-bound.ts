import { statSync } from 'node:fs'
import type { Clock } from '../../kernel/index.ts'
import type { SqlConnection } from './driver.ts'

/** From this size on the log is copied back and begun anew, whoever else writes. */
const WAL_BYTES_MAX: number = 40 * 1024 * 1024
/** What a program writes between two looks at the size: others write at the same time. */
const LOOK_BYTES: number = 2 * 1024 * 1024
/** A reader in the way is asked again after so long, at most. */
const RETRY_FIRST_MS = 25
const RETRY_MAX_MS = 1000

/** Bytes of the log beside the database; 0 when there is none. */
export function walBytes(file: string): number {
  return statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0
}

/**
 * Keeps the log beside the database small. With many writers SQLite's own checkpoint copies the
 * log back but never finds the moment to begin it anew, so that it would grow without end.
 */
export class WalBound {
  readonly #file: string
  readonly #clock: Clock
  /** Bytes of own commits until the next look. */
  #bytesLeft = 0
  #retryMs = RETRY_FIRST_MS
  #retryAtMs = Number.NEGATIVE_INFINITY

  constructor(file: string, clock: Clock) {
    this.#file = file
    this.#clock = clock
  }

  /**
   * After a commit that has written so many bytes at most. Takes no longer than a copy of what is
   * in the log and the few milliseconds of a busy wait.
   */
  afterCommit(connection: SqlConnection, bytesMax: number): void {
    this.#bytesLeft -= bytesMax
    if (this.#bytesLeft >= 0) return
    this.#bytesLeft = 0
    try {
      const room = WAL_BYTES_MAX - walBytes(this.#file)
      if (room > 0) this.#bytesLeft = Math.min(room, LOOK_BYTES)
      else this.#beginAnew(connection)
    } catch {
      // The disk is in the way; the next look tries again.
    }
  }

  #beginAnew(connection: SqlConnection): void {
    const now = this.#clock.monotonic()
    if (now < this.#retryAtMs) return
    const busy = connection.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()?.[0] !== 0
    // A read transaction of another program keeps its part of the log for as long as it lasts;
    // nobody can shorten it, so it is not asked at every commit.
    this.#retryAtMs = busy ? now + this.#retryMs : Number.NEGATIVE_INFINITY
    this.#retryMs = busy ? Math.min(RETRY_MAX_MS, 2 * this.#retryMs) : RETRY_FIRST_MS
  }
}
