import { openStore, type Store } from 'eventuali'
import { Interrupted, UsageError } from './exit-codes.ts'
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

  /** Opens the store that `--store` or EVENTUALI_STORE names, hands it over and closes it. */
  async withStore<T>(
    url: string | undefined,
    access: 'read' | 'write',
    work: (store: Store) => Promise<T>,
  ): Promise<T> {
    const chosen = url ?? this.io.env.EVENTUALI_STORE
    if (chosen === undefined || chosen === '') {
      throw new UsageError('which store? Give --store URL, or set EVENTUALI_STORE')
    }
    const store = await openStore(chosen, { readOnly: access === 'read' })
    try {
      return await work(store)
    } finally {
      await store.close()
    }
  }
}
