import type { RecordedTimes } from '../../model/index.ts'
import type { CallOptions } from '../../ports/index.ts'
import type { BackupFile } from './backup-file.ts'
import { chainOf } from './chain.ts'
import type { ReadingOptions } from './frame-reader.ts'
import { partsOf } from './read-backup.ts'

/** How far a check or a restore has come. */
export interface RestoreProgress {
  readonly phase: 'check' | 'restore' | 'compare'
  /** Bytes of the files that were read in this phase, and those that there are. */
  readonly bytes: number
  readonly bytesTotal: number
  readonly events: number
}

/** Options of `checkBackup`. */
export interface CheckBackupOptions extends Pick<CallOptions, 'signal'>, ReadingOptions {
  readonly onProgress?: ((progress: RestoreProgress) => void) | undefined
}

/** A backup that is whole: the files of it in their order. */
export interface BackupReport {
  readonly files: readonly BackupFile[]
  readonly incarnation: string
  /** The position that it goes up to. */
  readonly upTo: number
  readonly events: number
  /** Events that did not match their checksum in the store already. */
  readonly damaged: number
}

/**
 * Reads a backup from end to end and checks every part of it, without a store. `files` are a full
 * backup and its increments in any order, or one folder, of which the newest backup is meant.
 *
 * Throws BackupInvalidError for a file that is cut off or altered, BackupChainError for files that
 * do not belong together or of which one is missing, BackupPassphraseError.
 *
 * @example
 * ```ts
 * import { checkBackup, isEventualiError } from 'eventuali'
 *
 * const refused = await checkBackup(['no-such.backup']).catch((error: unknown) => error)
 * console.log(isEventualiError(refused, 'BACKUP_INVALID')) // true
 * ```
 */
export async function checkBackup(
  files: readonly string[],
  options: CheckBackupOptions = {},
): Promise<BackupReport> {
  const chain = await chainOf(files, options)
  await readThrough(chain, options, 'check', options)
  const [{ incarnation }] = chain
  const sum = (of: (file: BackupFile) => number) => chain.reduce((total, one) => total + of(one), 0)
  return {
    ...{ files: chain, incarnation, upTo: chain.at(-1)?.upTo ?? 0 },
    events: sum(({ events }) => events),
    damaged: sum(({ damaged }) => damaged),
  }
}

/** What reading all files has shown. */
export interface ReadThrough {
  /** The last position that was recorded by a time; 0 when there is none. */
  readonly position: number
  /** Undefined when there are no events. */
  readonly recorded: RecordedTimes | undefined
}

/** Reads all files in their order, and finds the last position that was recorded by a time. */
export async function readThrough(
  chain: readonly BackupFile[],
  options: ReadingOptions,
  phase: RestoreProgress['phase'],
  { signal, onProgress }: CheckBackupOptions,
  byTime: number = Number.POSITIVE_INFINITY,
): Promise<ReadThrough> {
  const progress = new FileProgress(chain, phase, onProgress)
  let position = 0
  // The least and the greatest: a clock may have been set back in between.
  let [first, last] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const file of chain) {
    for await (const { rows, bytesRead } of partsOf(file, options)) {
      signal?.throwIfAborted()
      for (const row of rows) {
        const { recordedAt } = row
        if (recordedAt <= byTime) position = row.position
        if (recordedAt < first) first = recordedAt
        if (recordedAt > last) last = recordedAt
      }
      progress.show(bytesRead, rows.length)
    }
    progress.next(file)
  }
  return { position, recorded: first <= last ? { first, last } : undefined }
}

/** Adds up what was read of several files. */
export class FileProgress {
  readonly #phase: RestoreProgress['phase']
  readonly #total: number
  readonly #tell: ((progress: RestoreProgress) => void) | undefined
  #before = 0
  #events = 0

  constructor(
    chain: readonly BackupFile[],
    phase: RestoreProgress['phase'],
    tell: ((progress: RestoreProgress) => void) | undefined,
  ) {
    this.#phase = phase
    this.#total = chain.reduce((total, { bytes }) => total + bytes, 0)
    this.#tell = tell
  }

  show(bytesRead: number, events: number): void {
    this.#events += events
    const [phase, bytesTotal] = [this.#phase, this.#total]
    this.#tell?.({ phase, bytes: this.#before + bytesRead, bytesTotal, events: this.#events })
  }

  next({ bytes }: BackupFile): void {
    this.#before += bytes
  }
}
