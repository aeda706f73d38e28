import { EventualiError } from '../kernel/index.ts'

abstract class ProjectionError extends EventualiError {
  readonly projection: string

  constructor(projection: string, message: string, cause?: unknown) {
    super(`projection ${projection} ${message}`, { cause })
    this.projection = projection
  }
}

/** An inline projection's handler threw: the append that it belongs to was not stored. */
export class InlineProjectionError extends ProjectionError {
  readonly code = 'PROJECTION_INLINE_FAILED'

  constructor(projection: string, cause: unknown) {
    const what = cause instanceof Error ? cause.message : String(cause)
    super(projection, `failed inline, nothing was stored: ${what}; mend its handler`, cause)
  }
}

/** The handlers of an append or of a batch took longer than they may. */
export class ProjectionTimeoutError extends ProjectionError {
  readonly code = 'PROJECTION_TIMEOUT'
  readonly timeLimitMs: number

  constructor(projection: string, timeLimitMs: number) {
    super(
      projection,
      `took longer than ${timeLimitMs} ms; await nothing but the context in a handler, or raise timeLimitMs`,
    )
    this.timeLimitMs = timeLimitMs
  }
}

/** An event of another stream that lies later in the log has written the document already. */
export class ProjectionOrderError extends ProjectionError {
  readonly code = 'PROJECTION_ORDER'
  override readonly retryable = true
  readonly key: string

  constructor(projection: string, key: string, position: number, lastPosition: number) {
    super(
      projection,
      `has document ${JSON.stringify(key)} from position ${lastPosition}, and the event at ${position} comes too late; append again, or say orderInsensitive: true, or make it async`,
    )
    this.key = key
  }
}

/** No generation of the projection is live yet: its first build has not ended. */
export class ProjectionNotReadyError extends ProjectionError {
  readonly code = 'PROJECTION_NOT_READY'
  override readonly retryable = true

  constructor(projection: string) {
    super(
      projection,
      'has nothing to read yet; start the projections, and await store.projected(name, position)',
    )
  }
}

/** A build cannot go on: a handler failed at an event. */
export class ProjectionBuildError extends ProjectionError {
  readonly code = 'PROJECTION_BUILD_FAILED'
  /** The event's position. */
  readonly position: number

  constructor(projection: string, position: number, cause: unknown) {
    const what = cause instanceof Error ? cause.message : String(cause)
    super(
      projection,
      `cannot be built, its handler failed at position ${position}: ${what}; mend the handler, or build with onError: 'skip'`,
      cause,
    )
    this.position = position
  }
}

/** Another process has taken the build over, or it was given up. */
export class ProjectionBuildLostError extends ProjectionError {
  readonly code = 'PROJECTION_BUILD_LOST'

  constructor(projection: string) {
    super(projection, 'is built by another process now, or its build was given up')
  }
}

/** The new generation is not what the old one is, and equality was asked for. */
export class ProjectionDiffersError extends ProjectionError {
  readonly code = 'PROJECTION_DIFFERS'
  /** A report as `compare` gives it. */
  readonly report: unknown

  constructor(projection: string, count: number, report: unknown) {
    super(
      projection,
      `has ${count} row(s) in which the new generation differs from the old; look at the report, the old one stays live`,
    )
    this.report = report
  }
}
