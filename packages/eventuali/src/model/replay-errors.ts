import { EventualiError } from '../kernel/index.ts'

/** A stream cannot be replayed into another store with the versions that it has. */
export class ReplayTargetError extends EventualiError {
  readonly code = 'REPLAY_TARGET_DIFFERS'
  readonly stream: string
  /** The version of the source that has no place in the target. */
  readonly version: number

  constructor(stream: string, version: number, reason: string) {
    super(
      `version ${version} of stream ${JSON.stringify(stream)} has no place in the other store: ${reason}; replay into a store without this stream, or with { versions: 'renumber' }`,
    )
    this.stream = stream
    this.version = version
  }
}
