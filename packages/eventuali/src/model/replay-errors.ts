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

/** A thread that works on a part of the log failed; `cause` is what its work threw. */
export class WorkerFailedError extends EventualiError {
  readonly code = 'WORKER_FAILED'
  /** Which one, from 0. */
  readonly partition: number

  constructor(partition: number, options: { readonly cause: unknown }) {
    const { cause } = options
    const why = cause instanceof Error ? cause.message : String(cause)
    super(
      `the thread of partition ${partition} failed: ${why}; mend its work and run again`,
      options,
    )
    this.partition = partition
  }
}
