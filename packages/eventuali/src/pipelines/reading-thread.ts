import { statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import { ImportSourceError } from '../model/index.ts'
import type { SendJob, SentFailure, SentMessage } from './batch-sender.ts'
import { type BatchJob, type BatchSource, readHere } from './batch-source.ts'
import type { ImportBatch } from './import-lines.ts'
import { BatchUnpacker } from './packed-batch.ts'
import { threadProgram } from './thread-program.ts'

/** When and how a file is read by a second thread. */
export interface ThreadChoice {
  /** Only files of so many bytes and more; a thread takes longer to start than a small one. */
  readonly fromBytes: number
  /** Undefined where it is not to be found. */
  readonly program: URL | undefined
}

export const threadDefault: ThreadChoice = {
  fromBytes: availableParallelism() > 1 ? 512 * 1024 : Number.POSITIVE_INFINITY,
  program: threadProgram('import-worker'),
}

// More is no faster: what survives fewer collections of the young takes more room when it is old.
const limits = { maxYoungGenerationSizeMb: 16 }

/** Opens the batches of a source; a large file is read by a thread of its own where possible. */
export function openBatches(job: BatchJob, choice: ThreadChoice): BatchSource {
  const { source, name, bounds, signal } = job
  if (typeof source !== 'string' || signal?.aborted === true || !isLarge(source, choice)) {
    return readHere(job)
  }
  const worker = startWorker({ path: resolve(source), name, bounds }, choice)
  return worker === undefined ? readHere(job) : new ThreadBatches(worker, job)
}

function isLarge(path: string, { fromBytes }: ThreadChoice): boolean {
  try {
    const found = statSync(path)
    return found.isFile() && found.size >= fromBytes
  } catch {
    // What is wrong with it is said by reading it.
    return false
  }
}

function startWorker(job: SendJob, { program }: ThreadChoice): Worker | undefined {
  if (program === undefined) return undefined
  try {
    // Nothing that the program was started with is loaded a second time: no hooks, no tracing.
    const fresh = { execArgv: [], env: {}, resourceLimits: limits }
    return new Worker(program, { name: 'eventuali-import', workerData: job, ...fresh })
  } catch {
    // The permission model forbids it, say.
    return undefined
  }
}

class ThreadBatches implements BatchSource {
  readonly batches: AsyncIterable<ImportBatch>
  readonly #worker: Worker
  readonly #job: BatchJob
  readonly #inbox: SentMessage[] = []
  #crash: unknown
  #wake: (() => void) | undefined
  #bytesRead = 0
  #streamCount = 0
  /** Reads in the place of a thread that did not start. */
  #instead: BatchSource | undefined

  constructor(worker: Worker, job: BatchJob) {
    this.#worker = worker
    this.#job = job
    this.batches = this.#read()
    worker.on('message', (message: SentMessage) => {
      if ('bytesRead' in message) this.#bytesRead = message.bytesRead
      this.#inbox.push(message)
      this.#wake?.()
    })
    const fail = (cause: unknown): void => {
      this.#crash ??= cause
      this.#wake?.()
    }
    worker.on('error', fail)
    worker.on('messageerror', fail)
    worker.on('exit', (code) => fail(new Error(`it ended with code ${code}`)))
    job.signal?.addEventListener('abort', this.#stop, { once: true })
  }

  bytesRead(): number {
    return this.#instead?.bytesRead() ?? this.#bytesRead
  }

  streamCount(): number {
    return this.#instead?.streamCount() ?? this.#streamCount
  }

  async close(): Promise<void> {
    this.#job.signal?.removeEventListener('abort', this.#stop)
    await this.#instead?.close()
    await this.#worker.terminate()
  }

  readonly #stop = (): void => {
    this.#wake?.()
    void this.#worker.terminate()
  }

  async *#read(): AsyncGenerator<ImportBatch> {
    if ((await this.#next()) === undefined) {
      this.#instead = readHere(this.#job)
      yield* this.#instead.batches
      return
    }
    const unpacker = new BatchUnpacker(this.#job.now)
    this.#request()
    for (;;) {
      const message = await this.#next()
      switch (message?.kind) {
        case 'batch':
          // One batch is stored, the next waits here, and the thread makes the one after it.
          this.#request()
          yield unpacker.unpack(message.batch)
          break
        case 'end':
          this.#streamCount = message.streamCount
          return
        case 'failed':
          throw this.#sourceError(message.failure)
        default:
          throw this.#crashError()
      }
    }
  }

  #request(): void {
    this.#worker.postMessage(undefined)
  }

  /** The next message, or undefined when the thread has ended. Throws the signal's reason. */
  async #next(): Promise<SentMessage | undefined> {
    for (;;) {
      this.#job.signal?.throwIfAborted()
      const message = this.#inbox.shift()
      if (message !== undefined || this.#crash !== undefined) return message
      await new Promise<void>((wake) => {
        this.#wake = wake
      })
    }
  }

  #sourceError({ reason, cause, fields }: SentFailure): ImportSourceError {
    if (cause instanceof Error) Object.assign(cause, fields)
    return new ImportSourceError(this.#job.name, reason, { cause })
  }

  #crashError(): ImportSourceError {
    const cause = this.#crash
    const why = cause instanceof Error ? cause.message : String(cause)
    const reason = `the thread that reads it has failed (${why})`
    return new ImportSourceError(this.#job.name, reason, { cause })
  }
}
