import type { MessagePort } from 'node:worker_threads'
import { isEventualiError } from '../kernel/index.ts'
import type { ImportSourceError } from '../model/index.ts'
import {
  type BatchBounds,
  isSkipped,
  LineReader,
  readBatches,
  splitSource,
} from './import-lines.ts'
import { BatchPacker, type PackedBatch, packLine } from './packed-batch.ts'
import { openSource } from './source.ts'

/** What the thread is to read. */
export interface SendJob {
  readonly path: string
  readonly name: string
  readonly bounds: BatchBounds
}

/** A failure of the source; a copy of an error keeps neither its class nor its code. */
export interface SentFailure {
  readonly reason: string
  readonly cause: unknown
  /** Fields of the cause, such as `code`. */
  readonly fields: object
}

/** What the thread says: that it is there, and then one answer to each request. */
export type SentMessage =
  | { readonly kind: 'started' }
  | { readonly kind: 'batch'; readonly batch: PackedBatch; readonly bytesRead: number }
  | { readonly kind: 'end'; readonly streamCount: number; readonly bytesRead: number }
  | { readonly kind: 'failed'; readonly failure: SentFailure }

/** Reads a file and answers each message with its next batch, at last with how it ended. */
export function sendBatches(port: MessagePort, { path, name, bounds }: SendJob): void {
  const source = openSource(path, name)
  const reader = new LineReader(name)
  const packer = new BatchPacker()
  const batches = readBatches(
    splitSource(source.chunks, name),
    (line) => {
      const read = reader.read(line)
      return isSkipped(read) ? read : packLine(read)
    },
    bounds,
  )
  const answer = async (): Promise<void> => {
    const next = await nextOf(batches)
    if (isFailure(next)) return end({ kind: 'failed', failure: next })
    const bytesRead = source.bytesRead()
    if (next.done === true) {
      return end({ kind: 'end', streamCount: reader.streamCount, bytesRead })
    }
    send({ kind: 'batch', batch: packer.pack(next.value), bytesRead })
  }
  const send = (message: SentMessage): void => port.postMessage(message)
  const end = (message: SentMessage): void => {
    send(message)
    source.close()
    // Nothing else holds the thread.
    port.close()
  }
  let answered = Promise.resolve()
  port.on('message', () => {
    answered = answered.then(answer)
  })
  send({ kind: 'started' })
}

function isFailure(next: object): next is SentFailure {
  return 'reason' in next
}

/** The next batch, or why the source cannot be read on; other errors are the thread's end. */
async function nextOf<T>(batches: AsyncGenerator<T>): Promise<IteratorResult<T> | SentFailure> {
  try {
    return await batches.next()
  } catch (error) {
    if (!isEventualiError(error, 'IMPORT_SOURCE_FAILED')) throw error
    const { reason, cause } = error as ImportSourceError
    const fields = Object.entries(cause ?? {}).filter(([, value]) => typeof value !== 'object')
    return { reason, cause, fields: Object.fromEntries(fields) }
  }
}
