import { createReadStream } from 'node:fs'
import { basename } from 'node:path'
import { finished, pipeline, Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { ImportSourceError } from '../model/index.ts'

/** Where an import reads from: the path of a file, or bytes (a file stream, standard input). */
export type ImportSource =
  | string
  | AsyncIterable<Uint8Array | string>
  | Iterable<Uint8Array | string>

// Small on purpose: what is parsed at a time survives collections, and the heap grows with that.
// With eight times as much an import took 70 MB more memory and was no faster.
const READ_BYTES = 32 * 1024

/** The name that derived ids are made with: the file's name without folder and `.gz`. */
export function sourceNameOf(source: ImportSource): string {
  return typeof source === 'string' ? basename(source).replace(/\.gz$/i, '') : 'stream'
}

/** Bytes of a source, unpacked when they begin like a gzip file. */
export interface OpenSource {
  readonly chunks: AsyncIterable<Buffer>
  /** Bytes read so far, as they lie in the source: packed ones of a packed source. */
  bytesRead(): number
  /** Releases the file; safe to call more than once. */
  close(): void
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}

function whyUnreadable(cause: unknown): string {
  const code = (cause as { readonly code?: unknown } | null)?.code
  if (code === 'ENOENT') return 'there is no such file'
  if (code === 'EISDIR') return 'it is a folder'
  if (code === 'EACCES' || code === 'EPERM') return 'it may not be read by this user'
  if (typeof code === 'string' && code.startsWith('Z_')) {
    return `its gzip data is damaged or cut off (${messageOf(cause)})`
  }
  return messageOf(cause)
}

/**
 * Opens a source for one pass. Nothing is read before `chunks` is iterated; reading fails with
 * ImportSourceError, or with the signal's reason as soon as it is aborted.
 */
export function openSource(source: ImportSource, name: string, signal?: AbortSignal): OpenSource {
  const input =
    typeof source === 'string'
      ? createReadStream(source, { highWaterMark: READ_BYTES })
      : source instanceof Readable
        ? source
        : Readable.from(source, { objectMode: true, highWaterMark: 1 })
  let bytes = 0
  const stop = () => input.destroy(signal?.reason)
  signal?.addEventListener('abort', stop, { once: true })
  // A stream that fails while nobody is reading it must not end the process.
  finished(input, () => {})

  async function* counted(): AsyncGenerator<Buffer> {
    for await (const chunk of input) {
      const buffer = typeof chunk === 'string' ? Buffer.from(chunk) : asBuffer(chunk)
      bytes += buffer.length
      if (buffer.length > 0) yield buffer
    }
  }

  async function* guarded(): AsyncGenerator<Buffer> {
    try {
      yield* unpacked(counted())
    } catch (cause) {
      if (signal?.aborted === true) throw signal.reason
      throw new ImportSourceError(name, whyUnreadable(cause), { cause })
    }
    signal?.throwIfAborted()
  }

  return {
    chunks: guarded(),
    bytesRead: () => bytes,
    close: () => {
      signal?.removeEventListener('abort', stop)
      input.destroy()
    },
  }
}

function asBuffer(chunk: unknown): Buffer {
  if (Buffer.isBuffer(chunk)) return chunk
  if (chunk instanceof Uint8Array) {
    return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  }
  throw new TypeError('the source gave something that is neither bytes nor text')
}

async function* unpacked(chunks: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  // Two bytes tell; a source may hand out one at a time.
  let head: Buffer = Buffer.alloc(0)
  while (head.length < 2) {
    const next = await chunks.next()
    if (next.done === true) break
    head = head.length === 0 ? next.value : Buffer.concat([head, next.value])
  }
  async function* whole(): AsyncGenerator<Buffer> {
    if (head.length > 0) yield head
    yield* chunks
  }
  if (head[0] !== 0x1f || head[1] !== 0x8b) {
    yield* whole()
    return
  }
  const gunzip = createGunzip({ chunkSize: READ_BYTES })
  // The error comes out of the iteration below; the callback only keeps it from being thrown twice.
  pipeline(Readable.from(whole(), { objectMode: true, highWaterMark: 1 }), gunzip, () => {})
  yield* gunzip
}
