import type { Clock } from '../../kernel/index.ts'
import {
  CapabilityError,
  InvalidArgumentError,
  TransactionTimeoutError,
} from '../../model/index.ts'
import type {
  CallOptions,
  InlineAccess,
  InlineProjection,
  ModelAccess,
  RecodeStep,
  RecordAccess,
  StoreTransaction,
  StreamAccess,
} from '../../ports/index.ts'
import { type Call, modelReads, recordReads, recordsFrom, streamAccess } from './calls.ts'
import type { Connection, RequestBounds } from './connection.ts'
import { manifest } from './manifest.ts'

/** An open transaction of the server's; every call in it is a request. */
class HttpTransaction implements StoreTransaction {
  readonly sql: unknown = undefined
  readonly records: RecordAccess
  readonly models: ModelAccess
  readonly inline: InlineAccess
  readonly append: StoreTransaction['append']
  readonly readStream: StoreTransaction['readStream']
  readonly readLog: StoreTransaction['readLog']
  readonly eventById: StoreTransaction['eventById']
  readonly stream: StoreTransaction['stream']
  readonly recode: StoreTransaction['recode']
  readonly #call: Call

  constructor(call: Call) {
    this.#call = call
    const access: StreamAccess = streamAccess(call)
    this.append = access.append
    this.readStream = access.readStream
    this.readLog = access.readLog
    this.eventById = access.eventById
    this.stream = access.stream
    this.recode = async (request, options) =>
      (await call('recode', request, 'write', options)) as RecodeStep
    this.records = {
      ...recordReads(call),
      lock: async (kind, keys, options) =>
        recordsFrom(await call('records.lock', { kind, keys }, 'write', options)),
      write: async (changes, options) =>
        (await call('records.write', { changes }, 'write', options)) as readonly number[],
    }
    this.models = modelAccess(call)
    this.inline = {
      list: async () => (await call('inline.list', {}, 'read')) as readonly InlineProjection[],
      register: async (projection) => void (await call('inline.register', projection, 'write')),
      unregister: async (name) => void (await call('inline.unregister', { name }, 'write')),
    }
  }

  async restore(): Promise<never> {
    throw new CapabilityError('http', 'backup', manifest.denied.backup ?? '')
  }

  async newestPosition(options?: CallOptions): Promise<number> {
    return (await this.#call('newest-position', {}, 'read', options)) as number
  }

  async barrier(options?: CallOptions): Promise<void> {
    await this.#call('barrier', {}, 'write', options)
  }

  async savepoint<T>(work: () => Promise<T>): Promise<T> {
    await this.#call('savepoint.begin', {}, 'write')
    let value: T
    try {
      value = await work()
    } catch (error) {
      await this.#call('savepoint.rollback', {}, 'write')
      throw error
    }
    await this.#call('savepoint.release', {}, 'write')
    return value
  }
}

function modelAccess(call: Call): ModelAccess {
  return {
    ...modelReads(call),
    create: async (table) => void (await call('models.create', table, 'write')),
    drop: async (table) => void (await call('models.drop', { table }, 'write')),
    publish: async (view, table) => void (await call('models.publish', { view, table }, 'write')),
    unpublish: async (view) => void (await call('models.unpublish', { view }, 'write')),
    put: async (table, documents, options) =>
      void (await call('models.put', { table, documents }, 'write', options)),
    remove: async (table, keys, options) =>
      void (await call('models.remove', { table, keys }, 'write', options)),
    lock: async (table, keys, options) =>
      void (await call('models.lock', { table, keys }, 'write', options)),
  }
}

/** Waits for `work` within the bounds of its transaction. */
function bounded<T>(
  clock: Clock,
  work: Promise<T>,
  leftMs: number,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => settle(() => reject(signal?.reason))
    const stop = clock.timer(Math.max(0, leftMs), () =>
      settle(() => reject(new TransactionTimeoutError(timeoutMs))),
    )
    const settle = (how: () => void) => {
      stop()
      signal?.removeEventListener('abort', onAbort)
      how()
    }
    if (signal?.aborted) onAbort()
    else signal?.addEventListener('abort', onAbort, { once: true })
    work.then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error)),
    )
  })
}

/** Milliseconds that a transaction may take which names no bound. */
const TIMEOUT_MS = 30_000

/** Runs `work` in a transaction of the server's. */
export async function runTransaction<T>(
  connection: Connection,
  work: (tx: StoreTransaction) => Promise<T>,
  { signal, timeoutMs = TIMEOUT_MS }: CallOptions,
): Promise<T> {
  const { clock } = connection
  const startedMs = clock.monotonic()
  const send = (path: string, body: string, what: string, bounds: RequestBounds) =>
    connection.call(`v1/port/transactions${path}`, body, 'write', what, bounds)
  const begun = await connection.call(
    'v1/port/transactions',
    JSON.stringify({ timeoutMs }),
    // Nothing is stored by beginning: what is left open the server ends by itself.
    'read',
    'a transaction',
    { signal, timeoutMs },
  )
  const { id } = begun as { readonly id: string }
  let isOver = false
  const call: Call = async (name, input, _kind, options, text) => {
    if (isOver) throw new InvalidArgumentError('tx', 'was used after its transaction ended')
    const { timeoutMs: boundMs, signal: own } = options ?? {}
    own?.throwIfAborted()
    const body = `{"input":${text ?? JSON.stringify(input)},"options":${JSON.stringify({ timeoutMs: boundMs })}}`
    // A call whose answer is lost ends the transaction: nothing of it is stored then.
    const path = `v1/port/transactions/${id}/${name}`
    return connection.call(path, body, 'read', name, { signal: own, timeoutMs: boundMs })
  }
  try {
    const leftMs = timeoutMs - (clock.monotonic() - startedMs)
    const running = (async () => work(new HttpTransaction(call)))()
    const value = await bounded(clock, running, leftMs, timeoutMs, signal)
    isOver = true
    await send(`/${id}/commit`, '{}', 'the transaction', { timeoutMs })
    return value
  } catch (error) {
    isOver = true
    // After a commit that was refused there is nothing to undo, and the server says so.
    await send(`/${id}/rollback`, '{}', 'the transaction', { timeoutMs: 5000 }).catch(() => {})
    throw error
  }
}
