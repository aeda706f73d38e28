import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { type Config, loadConfig, type Store, type StorePlace } from 'eventuali'
import { Interrupted, Refused, UsageError } from './exit-codes.ts'
import { type Io, LineReader, Output } from './io.ts'

/** Which configuration a run asks for; see `loadConfig`. */
export interface ConfigChoice {
  /** `--config`, once or (verify) more than once; `false` is `--no-config`. */
  readonly files: readonly string[] | false
  readonly profile: string | undefined
}

/** `read`: looks; `change`: writes to what is there; `write`: makes what is not there, too. */
export type Access = 'read' | 'change' | 'write'

/** What one run of a command works with. */
export class Session {
  readonly io: Io
  readonly output: Output
  readonly #interrupt = new AbortController()
  readonly #input: LineReader
  #choice: ConfigChoice = { files: [], profile: undefined }
  #config: Promise<Config> | undefined
  #isDebug = false

  constructor(io: Io) {
    this.io = io
    this.output = new Output(io.stdout)
    this.#input = new LineReader(io.stdin)
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

  /** Whether the configuration asks to be told where errors come from, as `--debug` does. */
  get isDebug(): boolean {
    return this.#isDebug
  }

  /** A sentence for people, on standard error so that it never mixes with data. */
  say(text: string): void {
    this.io.stderr.write(`${text}\n`)
  }

  /** What a command did: one line of JSON for programs, or a sentence for people. */
  async answer(json: boolean | undefined, value: object, text: string): Promise<void> {
    await this.output.write(`${json === true ? JSON.stringify(value) : text}\n`)
  }

  /** The next line of standard input; undefined at its end. Rejects on Ctrl-C. */
  readLine(): Promise<string | undefined> {
    return this.#input.next(this.signal)
  }

  /** Lets go of the streams, so that the process can end. */
  async release(): Promise<void> {
    this.output.release()
    await this.#input.release()
  }

  /** What `--config` and `--profile` say; before the first call of `config`. */
  choose(choice: ConfigChoice): void {
    this.#choice = choice
    this.#config = undefined
  }

  get choice(): ConfigChoice {
    return this.#choice
  }

  /** The configuration of this run. `flags` are settings that this command has flags for. */
  config(flags?: Readonly<Record<string, unknown>>): Promise<Config> {
    if (flags !== undefined) return this.#load(flags)
    this.#config ??= this.#load({})
    return this.#config
  }

  async #load(flags: Readonly<Record<string, unknown>>): Promise<Config> {
    const { files, profile } = this.#choice
    if (files !== false && files.length > 1) {
      throw new UsageError('--config may be given once: there is one configuration')
    }
    const { env, cwd } = this.io
    const file = files === false ? false : files[0]
    const config = await loadConfig({ file, profile, flags, env, cwd })
    this.#isDebug = config.log.level === 'debug'
    return config
  }

  /** Where the store is that `--store`, EVENTUALI_STORE or the configuration names. */
  async place(store: string | undefined): Promise<StorePlace> {
    const place = (await this.config()).place(store)
    if (place !== undefined) return place
    throw new UsageError(
      'which store? Give --store URL, set EVENTUALI_STORE, or say it in eventuali.config.ts',
    )
  }

  /**
   * Opens the store that `--store` (a url, or a name of the configuration's stores),
   * EVENTUALI_STORE or the configuration names, with the configuration's events, projections,
   * processes, snapshots and caches, hands it over and closes it. Only `write` makes a new one;
   * `change` writes to what is there. `more` goes before the configuration's own options.
   */
  withStore<T>(
    store: string | undefined,
    access: Access,
    work: (store: Store) => Promise<T>,
    more: Parameters<Config['open']>[1] = {},
  ): Promise<T> {
    return this.#with(store, access, work, more)
  }

  /** The same without the definitions: for commands about what is stored, as it is stored. */
  withRawStore<T>(
    store: string | undefined,
    access: Access,
    work: (store: Store) => Promise<T>,
  ): Promise<T> {
    return this.#with(store, access, work, { definitions: false })
  }

  /** Opens a store, or makes it, for a backup to be put into; the caller closes it. */
  async openToRestore(store: string | undefined): Promise<Store> {
    await this.place(store)
    const config = await this.config()
    return config.open(store, { definitions: false, restoring: true })
  }

  /** Where the store is; unless it is to be written, its file has to be there. */
  async placeFor(store: string | undefined, access: Access): Promise<StorePlace> {
    const place = await this.place(store)
    if (access === 'write') assertFolder(place.url)
    else assertFile(place.url)
    return place
  }

  async #with<T>(
    store: string | undefined,
    access: Access,
    work: (store: Store) => Promise<T>,
    more: Parameters<Config['open']>[1],
  ): Promise<T> {
    await this.placeFor(store, access)
    const config = await this.config()
    const opened = await config.open(store, {
      readOnly: access === 'read',
      // For a store behind a server.
      token: this.io.env.EVENTUALI_TOKEN,
      ...more,
    })
    try {
      return await work(opened)
    } finally {
      await opened.close()
    }
  }
}

/** A mistyped path is better named than met as a database that cannot be opened. */
function assertFile(url: string): void {
  const file = fileOf(url)
  if (file === undefined || existsSync(file)) return
  throw new Refused(`there is no file ${file}; check --store, import and append make a new one`)
}

/** A store makes its file, and no folder: that is more likely a mistake. */
function assertFolder(url: string): void {
  const file = fileOf(url)
  if (file === undefined || existsSync(dirname(file))) return
  throw new Refused(
    `there is no folder ${dirname(file)} for the file ${file}; make it, or check --store`,
  )
}

function fileOf(url: string): string | undefined {
  const file = /^sqlite:(.+)$/s.exec(url)?.[1]
  return file === ':memory:' ? undefined : file
}
