import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { isEventualiError } from '../../src/kernel/index.ts'
// Not the door of everything: each thread loads it anew.
import { openStore, type Store } from '../../src/store/index.ts'
import type { FailingCall } from '../harness/failing-calls.ts'
import { programInput, runProgram, tell } from '../harness/program.ts'

/** A writer whose system calls are made to fail from outside, one round after the other. */
export interface FailingInput {
  /** Holds a folder for each round, with a database in it. */
  readonly folder: string
  readonly rounds: readonly number[]
  readonly call: FailingCall
  /**
   * The injection comes at this number of calls of a thread: a round `k` makes `base - k` calls of
   * its own first, so that the fault meets the store at its call number `k`. 0: as it comes.
   */
  readonly base: number
  /** A thread for each round, for faults that stay; otherwise one thread, every `base` calls. */
  readonly threads: boolean
  /** Notes acknowledgements in a file beside the database, where the trace sees them. */
  readonly marks?: boolean | undefined
  /** The store gets a connection and cannot make another one. */
  readonly handedIn?: boolean | undefined
  /** Planted bugs, which the test must find. `raw`: SQL of its own, on one connection for ever. */
  readonly mutant?: 'acknowledges-failed' | 'hangs' | 'untyped' | 'raw' | undefined
}

/** What a round did. */
export interface FailingRound {
  readonly round: number
  /** Lines as the ledger has them. */
  readonly acknowledged: readonly string[]
  /** Batches whose append was refused, so that nothing of them may be there. */
  readonly refused: readonly string[]
  /** Codes of errors, in the order in which they came. */
  readonly codes: readonly string[]
  readonly wrong: readonly string[]
}

const HUNG_MS = 60_000

class Round {
  readonly number: number
  readonly acknowledged: string[] = []
  readonly refused: string[] = []
  readonly codes: string[] = []
  readonly wrong: string[] = []
  readonly #input: FailingInput
  readonly #marks: number | undefined
  #markAt = 0
  #batch = 0

  constructor(input: FailingInput, number: number) {
    this.#input = input
    this.number = number
    const place = join(input.folder, `r${number}`, 'marks')
    this.#marks = input.marks === true ? openSync(place, 'w') : undefined
  }

  async run(): Promise<FailingRound> {
    const file = join(this.#input.folder, `r${this.number}`, 'log.db')
    if (this.#input.mutant === 'raw') writeRaw(file)
    const connection = this.#input.handedIn === true ? new DatabaseSync(file) : undefined
    const store = await this.#open(file, connection)
    if (store !== undefined) {
      await this.#write(store)
      await this.#attempt('close', () => store.close())
    }
    connection?.close()
    if (this.#marks !== undefined) closeSync(this.#marks)
    const { number: round, acknowledged, refused, codes, wrong } = this
    return { round, acknowledged, refused, codes, wrong }
  }

  async #open(file: string, connection: DatabaseSync | undefined): Promise<Store | undefined> {
    for (let tries = 0; tries < 3; tries++) {
      const store = await this.#attempt('open', () => openStore(`sqlite:${file}`, { connection }))
      if (store !== undefined) return store
    }
    return undefined
  }

  /** Groups of two, a transaction, reads, a large batch; the log is copied back meanwhile. */
  async #write(store: Store): Promise<void> {
    await this.#attempt('pragma', () =>
      store.transaction(async (tx) => {
        const connection = tx.sql as DatabaseSync
        connection.exec('PRAGMA wal_autocheckpoint = 8')
      }),
    )
    for (let n = 0; n < 2; n++) {
      await Promise.all([this.#append(store, 1), this.#append(store, 2)])
      await this.#attempt('read', () => store.readStream('ledger-1').toArray())
    }
    await this.#append(store, 3, async (stream, events) => {
      const outcome = await store.transaction(async (tx) => {
        const appended = await tx.append(stream, events)
        const models = tx.sql as DatabaseSync
        models.exec('CREATE TABLE IF NOT EXISTS own (n INTEGER); INSERT INTO own VALUES (1)')
        return appended
      })
      return outcome
    })
    await this.#append(store, 6)
    await this.#append(store, 1)
  }

  async #append(
    store: Store,
    size: number,
    how: (
      stream: string,
      events: readonly { type: string; data: object }[],
    ) => Promise<{ version: number; position: number }> = (stream, events) =>
      store.append(stream, events, { timeoutMs: 10_000 }),
  ): Promise<void> {
    const name = ++this.#batch
    const stream = `ledger-${1 + (name % 2)}`
    const filler = 'x'.repeat(300)
    const events = Array.from({ length: size }, (_, index) => ({
      type: 'Noted',
      data: { writer: 'w', batch: name, size, index, filler },
    }))
    const { mutant } = this.#input
    let failure: unknown
    const done = await this.#attempt('append', async () => {
      try {
        return await how(stream, events)
      } catch (error) {
        failure = error
        if (mutant === 'acknowledges-failed') return { version: 0, position: 0 }
        if (mutant === 'untyped') throw new Error('disk I/O error')
        if (mutant === 'hangs') await sleep(HUNG_MS * 10, undefined, { ref: false })
        throw error
      }
    })
    if (done !== undefined) {
      this.#acknowledge(`w ${name} ${size} ${stream} ${done.version} ${done.position}`)
    } else if ((failure as { code?: unknown } | undefined)?.code !== 'OUTCOME_UNKNOWN') {
      this.refused.push(`w ${name}`)
    }
  }

  #acknowledge(line: string): void {
    this.acknowledged.push(line)
    if (this.#marks !== undefined) this.#markAt += writeSync(this.#marks, `${line}\n`, this.#markAt)
  }

  /** Undefined after a typed failure; anything else is noted as wrong. */
  async #attempt<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    const hung = Symbol('hung')
    const bound = new AbortController()
    const hungMs = this.#input.mutant === 'hangs' ? 300 : HUNG_MS
    try {
      const watch = sleep(hungMs, hung, { signal: bound.signal })
      const result = await Promise.race([work(), watch])
      if (result !== hung) return result as T
      this.wrong.push(`${what} hangs`)
    } catch (error) {
      if (isEventualiError(error)) this.codes.push(`${what} ${error.code}`)
      else this.wrong.push(`${what} fails with no error of the library: ${String(error)}`)
    } finally {
      bound.abort()
    }
    return undefined
  }
}

/** A writer that takes no notice of a commit that fails. */
function writeRaw(file: string): void {
  const connection = new DatabaseSync(file)
  const statements = ['PRAGMA synchronous = FULL', 'CREATE TABLE IF NOT EXISTS own (n INTEGER)']
  for (let n = 0; n < 6; n++) statements.push(`INSERT INTO own VALUES (${n})`)
  for (const statement of statements) {
    try {
      connection.exec(statement)
    } catch {
      // The bug: as if nothing had been.
    }
  }
  connection.close()
}

/** Makes the same system call as the store would, on a file that is not its own. */
function padding(input: FailingInput): { readonly make: () => void; readonly end: () => void } {
  const path = join(input.folder, 'pad')
  const fd = openSync(join(input.folder, input.call === 'openat' ? 'other' : 'pad'), 'w+')
  const calls: Partial<Record<FailingCall, () => void>> = {
    pwrite64: () => void writeSync(fd, 'x', 0),
    pread64: () => void readSync(fd, Buffer.alloc(1), 0, 1, 0),
    fsync: () => fsyncSync(fd),
    ftruncate: () => ftruncateSync(fd, 0),
    openat: () => closeSync(openSync(path, 'w')),
    unlink: () => {
      try {
        unlinkSync(path)
      } catch (error) {
        if ((error as { code?: unknown }).code !== 'ENOENT') throw error
      }
    },
  }
  const make = calls[input.call]
  if (make === undefined) throw new Error(`${input.call} cannot be made here`)
  return { make, end: () => closeSync(fd) }
}

async function runRound(input: FailingInput, number: number): Promise<FailingRound> {
  if (input.base === 0) return new Round(input, number).run()
  const { make, end } = padding(input)
  if (!input.threads) {
    // The counter of the injection is at a multiple of `base` when one of ours has failed.
    for (let failed = false; !failed; ) {
      try {
        make()
      } catch {
        failed = true
      }
    }
  }
  for (let n = number; n < input.base; n++) make()
  end()
  return new Round(input, number).run()
}

if (isMainThread) {
  runProgram(async () => {
    const input = programInput<FailingInput>()
    for (const number of input.rounds) {
      if (!input.threads) tell('round', await runRound(input, number))
      else {
        const worker = new Worker(new URL(import.meta.url), { workerData: { input, number } })
        const result = await new Promise<FailingRound>((resolve, reject) => {
          worker.once('message', resolve)
          worker.once('error', reject)
          worker.once('exit', (code) => reject(new Error(`the thread ended with ${code}`)))
        })
        tell('round', result)
      }
    }
    tell('done')
  })
} else {
  const { input, number } = workerData as { input: FailingInput; number: number }
  parentPort?.postMessage(await runRound(input, number))
}
