import { existsSync } from 'node:fs'
import { openStore, type Store } from 'eventuali'
import { Interrupted, Refused, UsageError } from './exit-codes.ts'
import { type Io, Output } from './io.ts'

/** What one run of a command works with. */
export class Session {
  readonly io: Io
  readonly output: Output
  readonly #interrupt = new AbortController()

  constructor(io: Io) {
    this.io = io
    this.output = new Output(io.stdout)
  }

  /** Aborted by Ctrl-C, or when nobody reads the output any more. */
  get signal(): AbortSignal {
    return AbortSignal.any([this.#interrupt.signal, this.output.closed])
  }

  interrupt(): void {
    this.#interrupt.abort(new Interrupted())
  }

  get isInterrupted(): boolean {
    return this.#interrupt.signal.aborted
  }

  /** A sentence for people, on standard error so that it never mixes with data. */
  say(text: string): void {
    this.io.stderr.write(`${text}\n`)
  }

  /**
   * Opens the store that `--store` or EVENTUALI_STORE names, hands it over and closes it. Only
   * `write` makes a new one; `change` writes to what is there.
   */
  async withStore<T>(
    url: string | undefined,
    access: 'read' | 'change' | 'write',
    work: (store: Store) => Promise<T>,
  ): Promise<T> {
    const chosen = url ?? this.io.env.EVENTUALI_STORE
    if (chosen === undefined || chosen === '') {
      throw new UsageError('which store? Give --store URL, or set EVENTUALI_STORE')
    }
    if (access !== 'write') assertFile(chosen)
    const store = await openStore(chosen, { readOnly: access === 'read' })
    try {
      return await work(store)
    } finally {
      await store.close()
    }
  }
}

/** A mistyped path is better named than met as a database that cannot be opened. */
function assertFile(url: string): void {
  const file = /^sqlite:(.+)$/s.exec(url)?.[1]
  if (file === undefined || file === ':memory:' || existsSync(file)) return
  throw new Refused(`there is no file ${file}; check --store, import and append make a new one`)
}
