import { EventualiError } from '../kernel/index.ts'

/** A migration would write into a stream that it reads. A log is not rewritten in place. */
export class MigrationInPlaceError extends EventualiError {
  readonly code = 'MIGRATION_IN_PLACE'
  readonly stream: string

  constructor(stream: string) {
    super(
      `stream ${JSON.stringify(stream)} would be rewritten in place; migrate into another store, or give events of the same store another stream ("stream") and choose the source by "filter"`,
    )
    this.stream = stream
  }
}

/** A fork would go where something is already. Nothing was changed. */
export class ForkTargetExistsError extends EventualiError {
  readonly code = 'FORK_TARGET_EXISTS'
  readonly into: string

  constructor(into: string) {
    super(
      `${JSON.stringify(into)} exists already, and a fork never writes over anything; choose another name, or remove it first`,
    )
    this.into = into
  }
}

/** Two events of a migration would be one in the target, since they have the same id there. */
export class MigrationCollisionError extends EventualiError {
  readonly code = 'MIGRATION_COLLISION'

  constructor(what: string) {
    super(
      `${what}; give such events ids of their own in "transform" (uuidV5 of the old stream and id), or choose a target without them`,
    )
  }
}

/** A `transform` gave something that is no event. */
export class MigrationPlanError extends EventualiError {
  readonly code = 'MIGRATION_PLAN_INVALID'
  /** Position of the source's event. */
  readonly position: number

  constructor(position: number, what: string, cause?: unknown) {
    super(`the plan of the migration ${what} at position ${position}; nothing of it is stored`, {
      cause,
    })
    this.position = position
  }
}

/** A step of the schema cannot be taken back as things stand. Nothing was changed. */
export class MigrationIrreversibleError extends EventualiError {
  readonly code = 'MIGRATION_IRREVERSIBLE'
  /** The step. */
  readonly version: number

  constructor(version: number, reason: string) {
    super(
      `schema ${version} cannot be rolled back: ${reason}; or restore a backup into a new store (eventuali restore), which an older program can be given`,
    )
    this.version = version
  }
}
