import { once } from 'node:events'
import type { Writable } from 'node:stream'

/** What the program reads from and writes to; a process's own, or a test's. */
export interface Io {
  readonly stdin: AsyncIterable<Uint8Array | string>
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number }
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number }
  readonly env: Readonly<Record<string, string | undefined>>
}

/** The reader of standard output has gone, `head` for one: nothing is left to do, no failure. */
export class OutputClosed extends Error {}

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
