import { EventualiError } from '../kernel/index.ts'

/** A record of the read side is not at the revision that its writer has seen. */
export class RecordConflictError extends EventualiError {
  readonly code = 'RECORD_CONFLICT'
  override readonly retryable = true
  readonly kind: string
  readonly key: string

  constructor(kind: string, key: string) {
    super(`${kind} ${JSON.stringify(key)} was changed by somebody else; read it and try again`)
    this.kind = kind
    this.key = key
  }
}

/** A registered inline projection handles the events, and this program does not run it. */
export class ProjectionMissingError extends EventualiError {
  readonly code = 'PROJECTION_MISSING'
  /** `name@version` of each. */
  readonly projections: readonly string[]

  constructor(projections: readonly string[]) {
    super(
      `this store keeps ${projections.join(', ')} inline; open it with openStore(url, { projections: [...] }) holding those versions, or take them off the list with store.projections.demote(name)`,
    )
    this.projections = projections
  }
}
