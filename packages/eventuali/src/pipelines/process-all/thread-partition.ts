import { Worker } from 'node:worker_threads'
import { InvalidArgumentError, type RecordedEvent, WorkerFailedError } from '../../model/index.ts'
import { threadProgram } from '../thread-program.ts'
import type { Partition } from './partition.ts'
import type { FromThread, ThreadJob, ToThread } from './work.ts'

const program = threadProgram('process-all/thread-program')

/** A partition in a thread of its own. */
export class ThreadPartition implements Partition {
  readonly #worker: Worker
  readonly #partition: number
  #waiter: { resolve(message: FromThread): void; reject(error: unknown): void } | undefined
  #ended: unknown

  /** Throws InvalidArgumentError where the library is bundled, so that there is no program. */
  constructor(job: ThreadJob) {
    if (program === undefined) {
      const why = 'needs the library in its own files: leave `eventuali` out of the bundle'
      throw new InvalidArgumentError('work.module', why)
    }
    this.#partition = job.partition
    this.#worker = new Worker(program, { name: 'eventuali-partition', workerData: job })
    this.#worker.on('message', (message: FromThread) => this.#settle(message))
    const fail = (error: unknown): void => {
      this.#ended ??= error
      this.#waiter?.reject(this.#failed(error))
    }
    this.#worker.on('error', fail)
    this.#worker.on('messageerror', fail)
    this.#worker.on('exit', (code) => fail(new Error(`it ended with code ${code}`)))
  }

  async take(events: readonly RecordedEvent[]): Promise<void> {
    await this.#ask({ events })
  }

  async state(): Promise<unknown> {
    const answer = await this.#ask({ asks: 'state' })
    return answer.is === 'state' ? answer.state : undefined
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
  }

  #ask(message: ToThread): Promise<FromThread> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#failed(this.#ended))
        return
      }
      this.#waiter = { resolve, reject }
      this.#worker.postMessage(message)
    })
  }

  #settle(message: FromThread): void {
    if (message.is === 'failed') this.#waiter?.reject(this.#failed(message.error))
    else this.#waiter?.resolve(message)
    this.#waiter = undefined
  }

  #failed(cause: unknown): WorkerFailedError {
    return new WorkerFailedError(this.#partition, { cause })
  }
}
