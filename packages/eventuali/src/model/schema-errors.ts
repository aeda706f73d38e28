import { EventualiError } from '../kernel/index.ts'

/** What one stored type and version has against the definitions of a program. */
export interface SchemaObjection {
  /** The type under which events are stored. */
  readonly type: string
  /** Version of the schema. */
  readonly version: number
  readonly reason: string
}

const SHOWN_MAX = 5

/** The definitions of a program do not go with the schemas that the store has seen. */
export class SchemaIncompatibleError extends EventualiError {
  readonly code = 'SCHEMA_INCOMPATIBLE'
  readonly compatibility: string
  readonly problems: readonly SchemaObjection[]

  constructor(compatibility: string, problems: readonly SchemaObjection[]) {
    const shown = problems.slice(0, SHOWN_MAX).map(({ reason }) => reason)
    const more = problems.length > SHOWN_MAX ? `; and ${problems.length - SHOWN_MAX} more` : ''
    super(`the definitions are not "${compatibility}" compatible: ${shown.join('; ')}${more}`)
    this.compatibility = compatibility
    this.problems = problems
  }
}
