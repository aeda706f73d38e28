import { EventualiError } from '../kernel/index.ts'

/** A file is not a whole backup: cut off, altered, put together otherwise, or none at all. */
export class BackupInvalidError extends EventualiError {
  readonly code = 'BACKUP_INVALID'
  readonly file: string

  constructor(file: string, reason: string, options: { readonly cause?: unknown } = {}) {
    super(
      `${JSON.stringify(file)} is refused: ${reason}; nothing of it was taken: use another copy of it, or another backup`,
      options,
    )
    this.file = file
  }
}

/** A backup is encrypted and cannot be opened with the passphrase, or there is none. */
export class BackupPassphraseError extends EventualiError {
  readonly code = 'BACKUP_PASSPHRASE'
  readonly file: string

  constructor(file: string, reason: string) {
    super(`${JSON.stringify(file)}: ${reason}`)
    this.file = file
  }
}

/** Backups that do not follow one another, or an increment of something that is not there. */
export class BackupChainError extends EventualiError {
  readonly code = 'BACKUP_CHAIN'
  readonly file: string

  constructor(file: string, reason: string) {
    super(`${JSON.stringify(file)} does not fit: ${reason}`)
    this.file = file
  }
}

/** A backup would go where something is already. Nothing was changed. */
export class BackupExistsError extends EventualiError {
  readonly code = 'BACKUP_EXISTS'
  readonly file: string

  constructor(file: string) {
    super(
      `${JSON.stringify(file)} exists already, and a backup never writes over anything; choose another name, or remove it first`,
    )
    this.file = file
  }
}

/** A restore goes into an empty store only, or on where it was broken off. Nothing was changed. */
export class RestoreTargetError extends EventualiError {
  readonly code = 'RESTORE_TARGET'

  constructor(reason: string) {
    super(`the store cannot take the backup: ${reason}; restore into a new, empty store`)
  }
}

/** What is in the store after a restore is not what is in the backup. It stays unfinished. */
export class RestoreDiffersError extends EventualiError {
  readonly code = 'RESTORE_DIFFERS'
  readonly position: number

  constructor(position: number, reason: string) {
    super(
      `what was restored is not what the backup holds, at position ${position}: ${reason}; the store stays marked as unfinished: remove it, and restore into another`,
    )
    this.position = position
  }
}

/** The store is being restored, or a restore of it was broken off. */
export class RestoreUnfinishedError extends EventualiError {
  readonly code = 'RESTORE_UNFINISHED'

  constructor() {
    super(
      'the store is being restored, or a restore was broken off, so that it is only a part of what it is to be; run the same restore again to go on with it, or remove the store',
    )
  }
}
