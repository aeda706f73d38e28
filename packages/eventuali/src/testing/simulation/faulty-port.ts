import type { Clock } from '../../kernel/index.ts'
import { ConnectionError, OperationTimeoutError, OutcomeUnknownError } from '../../model/index.ts'
import type { CallOptions, EventStore, ModelReads, StoreTransaction } from '../../ports/index.ts'
import { wrapTransaction } from '../wrap.ts'
import type { CallPlan, FaultModel } from './fault-model.ts'

const lost = () => new ConnectionError('a fault of the simulation')

/** The machine, as its connection sees it. */
export interface Caller {
  readonly clock: Clock
  readonly isGone: boolean
  note(text: string): void
  /** Calls back after `ms` of the simulation's time, while the machine lives; gives a way back. */
  in(ms: number, callback: () => void): () => void
  /** Calls back when the machine crashes; gives a way back. */
  onCrash(callback: () => void): () => void
}

/** What the calls of a machine that is gone give: nothing, ever. */
const never = <T>(): Promise<T> => new Promise<T>(() => {})

/** One machine's connection to the store that all share. */
export function faultyPort(inner: EventStore, machine: Caller, faults: FaultModel): EventStore {
  const connection = new Connection(machine, faults)
  const read = <T>(
    call: string,
    options: CallOptions | undefined,
    run: (options: CallOptions) => Promise<T>,
  ): Promise<T> => connection.call(call, options, false, run)
  const models: ModelReads = {
    get: (table, keys, options) =>
      read('models.get', options, (bound) => inner.models.get(table, keys, bound)),
    find: (table, query, options) =>
      read('models.find', options, (bound) => inner.models.find(table, query, bound)),
    count: (table, filters, options) =>
      read('models.count', options, (bound) => inner.models.count(table, filters, bound)),
    rows: (table, page, options) =>
      read('models.rows', options, (bound) => inner.models.rows(table, page, bound)),
  }
  return {
    adapter: inner.adapter,
    capabilities: inner.capabilities,
    incarnation: inner.incarnation,
    models,
    records: {
      get: (kind, keys, options) =>
        read('records.get', options, (bound) => inner.records.get(kind, keys, bound)),
      list: (query, options) =>
        read('records.list', options, (bound) => inner.records.list(query, bound)),
    },
    append: (request, options) =>
      connection.call('append', options, true, (bound) => inner.append(request, bound)),
    transaction: (work, options) => connection.transaction(inner, work, options),
    readStream: (query, options) =>
      connection.pages('readStream', options, (bound) => inner.readStream(query, bound)),
    readLog: (query, options) =>
      connection.pages('readLog', options, (bound) => inner.readLog(query, bound)),
    streams: (query, options) =>
      connection.pages('streams', options, (bound) => inner.streams(query, bound)),
    faults: (options) => inner.faults(options),
    eventById: (stream, id, options) =>
      read('eventById', options, (bound) => inner.eventById(stream, id, bound)),
    stream: (name, options) => read('stream', options, (bound) => inner.stream(name, bound)),
    positions: (options) => read('positions', options, (bound) => inner.positions(bound)),
    inlineProjections: (options) =>
      read('inlineProjections', options, (bound) => inner.inlineProjections(bound)),
    watch: (listener) => connection.watch(inner, listener),
    join: (client) => inner.join(client),
    settings: () => inner.settings(),
    fork: (request, options) => inner.fork(request, options),
    view: (work, options) => inner.view(work, options),
    // The store goes on without this machine.
    close: async () => {},
  }
}

class Connection {
  readonly #machine: Caller
  readonly #faults: FaultModel

  constructor(machine: Caller, faults: FaultModel) {
    this.#machine = machine
    this.#faults = faults
  }

  async call<T>(
    call: string,
    options: CallOptions | undefined,
    writes: boolean,
    run: (options: CallOptions) => Promise<T>,
  ): Promise<T> {
    const machine = this.#machine
    if (machine.isGone) return never()
    options?.signal?.throwIfAborted()
    const plan = this.#faults.call()
    const endMs = machine.clock.monotonic() + (options?.timeoutMs ?? Number.POSITIVE_INFINITY)
    await this.#before(call, plan, options)
    try {
      const timeoutMs = endMs - machine.clock.monotonic()
      const bound = options?.timeoutMs === undefined ? options : { ...options, timeoutMs }
      const result = await run(bound ?? {})
      if (machine.isGone) return never()
      await this.#after(call, plan, endMs, writes)
      machine.note(call)
      return result
    } catch (error) {
      if (machine.isGone) return never()
      machine.note(`${call} fails: ${codeOf(error)}`)
      throw error
    }
  }

  async *pages<T>(
    call: string,
    options: CallOptions | undefined,
    make: (options: CallOptions) => AsyncIterable<readonly T[]>,
  ): AsyncGenerator<readonly T[]> {
    const { clock } = this.#machine
    const startMs = clock.monotonic()
    const pages = make(options ?? {})[Symbol.asyncIterator]()
    try {
      for (;;) {
        // The bound is that of all pages together.
        const timeoutMs = (options?.timeoutMs ?? 0) + startMs - clock.monotonic()
        if (options?.timeoutMs !== undefined && timeoutMs <= 0) {
          throw new OperationTimeoutError(call, options.timeoutMs)
        }
        const bound = options?.timeoutMs === undefined ? options : { ...options, timeoutMs }
        const step = await this.call(call, bound, false, () => pages.next())
        if (step.done === true) return
        yield step.value
      }
    } finally {
      await pages.return?.()
    }
  }

  transaction<T>(
    inner: EventStore,
    work: (tx: StoreTransaction) => Promise<T>,
    options: CallOptions | undefined,
  ): Promise<T> {
    const machine = this.#machine
    return this.call('transaction', options, true, async (bound) => {
      const { signal } = bound
      const end = new AbortController()
      const onAbort = () => end.abort(signal?.reason)
      signal?.addEventListener('abort', onAbort, { once: true })
      // A server rolls back what a dead client leaves open.
      const forget = machine.onCrash(() => end.abort(lost()))
      try {
        return await inner.transaction((tx) => this.#inside(tx, work), {
          ...bound,
          signal: end.signal,
        })
      } finally {
        forget()
        signal?.removeEventListener('abort', onAbort)
      }
    })
  }

  /** The work of a transaction, which may lose its connection in the midst or at the end. */
  async #inside<T>(tx: StoreTransaction, work: (tx: StoreTransaction) => Promise<T>): Promise<T> {
    const failing = this.#faults.inside()
    let isLost = false
    let count = 0
    const around = async <R>(call: string, run: () => Promise<R>): Promise<R> => {
      isLost ||= count++ === failing
      if (isLost) throw lost()
      this.#machine.note(`in transaction: ${call}`)
      return run()
    }
    const shaky = () =>
      wrapTransaction(tx, {
        readSide: around,
        append: (next, request, options) => around('append', () => next.append(request, options)),
        stream: (next, name, options) => around('stream', () => next.stream(name, options)),
      })
    const result = await work(failing === undefined ? tx : shaky())
    if (this.#faults.atCommit()) isLost = true
    if (isLost) {
      this.#faults.count('transaction lost')
      throw lost()
    }
    return result
  }

  watch(inner: EventStore, listener: () => void): () => void {
    const machine = this.#machine
    const unwatch = inner.watch(() => {
      for (const ms of this.#faults.hints()) machine.in(ms, listener)
    })
    const forget = machine.onCrash(unwatch)
    return () => {
      forget()
      unwatch()
    }
  }

  async #before(call: string, plan: CallPlan, options: CallOptions | undefined): Promise<void> {
    const { waitBeforeMs, fails } = plan
    const timeoutMs = options?.timeoutMs ?? Number.POSITIVE_INFINITY
    if (waitBeforeMs > 0) {
      await this.#wait(Math.min(waitBeforeMs, timeoutMs), options?.signal)
      if (waitBeforeMs >= timeoutMs) {
        this.#machine.note(`${call} times out before its effect`)
        throw new OperationTimeoutError(call, timeoutMs)
      }
    }
    if (fails !== 'before') return
    this.#faults.count('fails before')
    this.#machine.note(`${call} fails before its effect`)
    throw lost()
  }

  /** What was done is done: neither a signal nor a fault takes it back. */
  async #after(call: string, plan: CallPlan, endMs: number, writes: boolean): Promise<void> {
    const { waitAfterMs, fails } = plan
    const leftMs = endMs - this.#machine.clock.monotonic()
    if (waitAfterMs > 0) await this.#wait(Math.min(waitAfterMs, Math.max(0, leftMs)), undefined)
    if (waitAfterMs < leftMs && fails !== 'after') return
    this.#faults.count('fails after')
    throw writes ? new OutcomeUnknownError(call) : lost()
  }

  #wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = this.#machine.in(ms, () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      })
      const onAbort = () => {
        stop()
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return 'code' in error ? String(error.code) : error.name
}
