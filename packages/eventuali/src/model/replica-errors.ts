import { type ErrorOptionsWithCause, EventualiError } from '../kernel/index.ts'

/** A server that was named as a replica is none, or none of this store's log. */
export class NotAReplicaError extends EventualiError {
  readonly code = 'NOT_A_REPLICA'

  constructor(what: string, options?: ErrorOptionsWithCause) {
    super(`${what}; name a streaming replica of this store's primary`, options)
  }
}
