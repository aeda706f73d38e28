import { EventualiError } from '../kernel/index.ts'

/** There is no process with this name and key. */
export class ProcessNotFoundError extends EventualiError {
  readonly code = 'PROCESS_NOT_FOUND'
  readonly process: string
  readonly key: string

  constructor(process: string, key: string) {
    super(`there is no process ${process} with key ${JSON.stringify(key)}`)
    this.process = process
    this.key = key
  }
}

/** A process is not in a state in which this can be done to it. */
export class ProcessStateError extends EventualiError {
  readonly code = 'PROCESS_STATE'
  readonly process: string
  readonly key: string
  /** What the process is: `running`, `completed`, … */
  readonly status: string

  constructor(process: string, key: string, status: string, why: string) {
    super(`process ${process} ${JSON.stringify(key)} is ${status}: ${why}`)
    this.process = process
    this.key = key
    this.status = status
  }
}
