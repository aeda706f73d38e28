import { once } from 'node:events'
import type { Writable } from 'node:stream'

/** What the program reads from and writes to; a process's own, or a test's. */
export interface Io {
  readonly stdin: AsyncIterable<Uint8Array | string> & { readonly isTTY?: boolean }
  readonly stdout: Writable & {
    readonly isTTY?: boolean
    readonly columns?: number
    readonly rows?: number
  }
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number }
  readonly env: Readonly<Record<string, string | undefined>>
  /** Where the configuration is looked for; the process's own when left out. */
  readonly cwd?: string
}

/** The reader of standard output has gone, `head` for one: nothing is left to do, no failure. */
export class OutputClosed extends Error {
  constructor() {
    super('nobody read its output any more')
  }
}

/** Standard output with back-pressure: `write` resolves when more may be written. */
export class Output {
  readonly #stream: Writable
  readonly #closed = new AbortController()

  constructor(stream: Writable) {
    this.#stream = stream
    stream.on('error', this.#onError)
  }

  /** Aborted with OutputClosed as soon as nobody reads any more. */
  get closed(): AbortSignal {
    return this.#closed.signal
  }

  async write(text: string): Promise<void> {
    this.#closed.signal.throwIfAborted()
    if (this.#stream.write(text)) return
    await once(this.#stream, 'drain', { signal: this.#closed.signal }).catch((error) => {
      this.#closed.signal.throwIfAborted()
      throw error
    })
  }

  release(): void {
    // The listener stays once the pipe is broken: later errors of the stream must not be uncaught.
    if (!this.#closed.signal.aborted) this.#stream.off('error', this.#onError)
  }

  readonly #onError = (error: Error & { code?: string }): void => {
    const isGone = error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED'
    this.#closed.abort(isGone ? new OutputClosed() : error)
  }
}

const LINE_BYTES_MAX = 64 * 1024

/** Lines that a person types, one at a time; input that nobody asks for stays unread. */
export class LineReader {
  readonly #input: AsyncIterable<Uint8Array | string>
  #chunks: AsyncIterator<Uint8Array | string> | undefined
  readonly #decoder = new TextDecoder()
  #text = ''

  constructor(input: AsyncIterable<Uint8Array | string>) {
    this.#input = input
  }

  /** The next line without its end; undefined when there is none. Rejects when aborted. */
  async next(signal: AbortSignal): Promise<string | undefined> {
    signal.throwIfAborted()
    this.#chunks ??= this.#input[Symbol.asyncIterator]()
    let stop: (() => void) | undefined
    const aborted = new Promise<never>((_resolve, reject) => {
      stop = () => reject(signal.reason)
      signal.addEventListener('abort', stop)
    })
    try {
      while (!this.#text.includes('\n')) {
        const { done, value } = await Promise.race([this.#chunks.next(), aborted])
        if (done === true) return this.#rest()
        this.#text += typeof value === 'string' ? value : this.#decoder.decode(value, streaming)
        if (this.#text.length > LINE_BYTES_MAX) return this.#rest()
      }
    } finally {
      if (stop !== undefined) signal.removeEventListener('abort', stop)
    }
    const end = this.#text.indexOf('\n')
    const line = this.#text.slice(0, end)
    this.#text = this.#text.slice(end + 1)
    return line.replace(/\r$/, '')
  }

  #rest(): string | undefined {
    const line = this.#text
    this.#text = ''
    return line === '' ? undefined : line
  }

  /** Stops reading; a terminal that is still read from would keep the process alive. */
  async release(): Promise<void> {
    // A read may still wait for a person: destroying the stream ends it, waiting for it would not.
    const { destroy } = this.#input as { readonly destroy?: unknown }
    if (this.#chunks === undefined) return
    if (typeof destroy === 'function') destroy.call(this.#input)
    else await this.#chunks.return?.()
  }
}

const streaming = { stream: true } as const
