import { existsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Clock, Random } from '../../kernel/index.ts'
import { compressionDefault, compressorOf, InvalidArgumentError } from '../../model/index.ts'
import type { CallOptions } from '../../ports/index.ts'

/** How far a backup has come. */
export interface BackupProgress {
  /** The last position that was written. */
  readonly position: number
  /** The one above which the events of it begin, and the one it goes up to. */
  readonly from: number
  readonly upTo: number
  readonly events: number
  readonly bytes: number
}

/** Options of `backupStore`. */
export interface BackupOptions extends CallOptions {
  /**
   * A file that is not there yet, or a folder, in which the backup gets a name by itself. With a
   * slash at the end it is a folder, which is made where there is none.
   */
  readonly out: string
  /**
   * Only what came since: the backup that it goes on from (its file), or `true` for the newest one
   * of this store in the folder `out`.
   */
  readonly base?: string | true | undefined
  /**
   * Goes on with what an interrupted backup to the same place, on the same base, has left, and
   * leaves what it has written when it is interrupted itself. Without anything to go on with it
   * begins anew. One backup at a time may go on at a place.
   */
  readonly resume?: boolean | undefined
  /** Encrypts it; without the passphrase nobody gets it back. */
  readonly passphrase?: string | undefined
  /** zstd where Node has it, brotli otherwise. */
  readonly compression?: 'gzip' | 'brotli' | 'zstd' | undefined
  /** Milliseconds for all of it; a day when left out. */
  readonly timeoutMs?: number | undefined
  readonly onProgress?: ((progress: BackupProgress) => void) | undefined
  /** For repeatable runs: the sources of time and chance. */
  readonly clock?: Clock | undefined
  readonly random?: Random | undefined
}

/** Throws InvalidArgumentError, and CapabilityError for a compression that Node has not. */
export function assertOptions({ out, passphrase, base, compression, resume }: BackupOptions): void {
  if (typeof out !== 'string' || out === '') {
    throw new InvalidArgumentError('out', 'must be the path of a file or folder')
  }
  if (passphrase !== undefined && (typeof passphrase !== 'string' || passphrase === '')) {
    throw new InvalidArgumentError('passphrase', 'must be a text that is not empty')
  }
  if (!meansFolder(out) && !isFolder(dirname(out))) {
    throw new InvalidArgumentError('out', `is in ${dirname(out)}, a folder that is not there`)
  }
  if (meansFolder(out) && !isFolder(out) && existsSync(out.replace(/[/\\]+$/, ''))) {
    throw new InvalidArgumentError('out', `is meant as a folder, and ${out} is a file`)
  }
  if (base === true && !meansFolder(out)) {
    const reason = `is looked for in the folder "out", and ${out} is ${existsSync(out) ? 'a file' : 'not there'}`
    throw new InvalidArgumentError('base', `${reason}; name the folder of the backups`)
  }
  if (resume !== undefined && typeof resume !== 'boolean') {
    throw new InvalidArgumentError('resume', 'must be true or false')
  }
  const known = ['gzip', 'brotli', 'zstd']
  if (compression !== undefined && !known.includes(compression)) {
    throw new InvalidArgumentError('compression', `must be one of ${known.join(', ')}`)
  }
  compressorOf(compression ?? compressionDefault())
}

/** Whether a path is to be a folder: one that is there, or one that ends in a slash. */
export function meansFolder(out: string): boolean {
  return /[/\\]$/.test(out) || isFolder(out)
}

export function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}
