import type { Clock } from '../../kernel/index.ts'
import {
  type BodyEncoder,
  decodeRow,
  InvalidArgumentError,
  Recoding,
  type RecordedEvent,
  type StreamInfo,
  TransactionTimeoutError,
} from '../../model/index.ts'
import type {
  AppendOutcome,
  AppendRequest,
  CallOptions,
  InlineAccess,
  LogQuery,
  ModelAccess,
  RecodeRequest,
  RecodeStep,
  RecordAccess,
  RestoreRequest,
  StoreTransaction,
  StreamQuery,
} from '../../ports/index.ts'
import { applyAppend, encodeRequest } from './append.ts'
import { infoOf, type MemoryLog, type MemoryRow } from './log.ts'
import { inlineAccess, modelAccess } from './models.ts'
import { logPages, streamPages } from './read.ts'
import { ReadSide } from './read-side.ts'
import { recordAccess } from './records.ts'
import { restorePart } from './view.ts'

/** Works on a draft of the state that its owner puts in place at the commit. */
export class MemoryTransaction implements StoreTransaction {
  readonly sql: unknown = undefined
  readonly records: RecordAccess
  readonly models: ModelAccess
  readonly inline: InlineAccess
  readonly #clock: Clock
  readonly #encoder: BodyEncoder | undefined
  #log: MemoryLog
  #side: ReadSide
  #ended = false

  constructor(log: MemoryLog, side: ReadSide, clock: Clock, encoder: BodyEncoder | undefined) {
    this.#log = log.copy()
    this.#side = new ReadSide(side)
    this.#clock = clock
    this.#encoder = encoder
    const open = (options: CallOptions = {}) => {
      this.#open(options)
      return this.#side
    }
    this.records = recordAccess(open)
    this.models = modelAccess(open)
    this.inline = inlineAccess(open)
  }

  /** Writes the draft's read side into the one below, and gives the log for its place. */
  commit(): MemoryLog {
    this.#side.merge()
    return this.#log
  }

  /** A call that comes later would otherwise write into a log that others read. */
  end(): void {
    this.#ended = true
  }

  async append(request: AppendRequest, options: CallOptions = {}): Promise<AppendOutcome> {
    const log = this.#open(options)
    const encoded = encodeRequest(request, this.#encoder)
    return applyAppend({ log, inline: this.#side.inline }, encoded, this.#clock.now())
  }

  async newestPosition(options: CallOptions = {}): Promise<number> {
    return this.#open(options).lastPosition
  }

  /** A transaction is alone in the store already. */
  async barrier(options: CallOptions = {}): Promise<void> {
    this.#open(options)
  }

  async savepoint<T>(work: () => Promise<T>): Promise<T> {
    const log = this.#open({})
    const side = this.#side
    this.#log = log.copy()
    this.#side = new ReadSide(side)
    try {
      const result = await work()
      this.#side.merge()
      return result
    } catch (error) {
      this.#log = log
      throw error
    } finally {
      this.#side = side
    }
  }

  async recode(request: RecodeRequest, options: CallOptions = {}): Promise<RecodeStep> {
    const log = this.#open(options)
    const { after, upTo, countMax } = request
    const recoding = new Recoding(request.codec, after)
    const rows = log.rows.slice(log.indexAfter(after), log.indexAfter(upTo))
    const part = rows.slice(0, countMax)
    const full = part.some((row) => !recoding.add(row))
    const changed = new Map<number, MemoryRow>()
    for (const { position, data } of recoding.changes) {
      const row = log.rows[log.indexAfter(position - 1)] as MemoryRow
      changed.set(position, { ...row, data })
    }
    log.replace(changed)
    const { seen, bytesBefore, bytesAfter } = recoding
    const position = full || rows.length > part.length ? recoding.position : upTo
    return { position, seen, changed: changed.size, bytesBefore, bytesAfter }
  }

  async restore(request: RestoreRequest, options: CallOptions = {}): Promise<void> {
    restorePart(this.#open(options), request)
  }

  async *readStream(
    query: StreamQuery,
    options: CallOptions = {},
  ): AsyncGenerator<readonly RecordedEvent[]> {
    yield* streamPages(() => this.#open(options), query)
  }

  async *readLog(
    query: LogQuery,
    options: CallOptions = {},
  ): AsyncGenerator<readonly RecordedEvent[]> {
    yield* logPages(() => this.#open(options), query)
  }

  async eventById(
    stream: string,
    id: string,
    options: CallOptions = {},
  ): Promise<RecordedEvent | undefined> {
    const row = this.#open(options).stream(stream)?.ids.get(id)
    return row === undefined ? undefined : decodeRow(row)
  }

  async stream(name: string, options: CallOptions = {}): Promise<StreamInfo | undefined> {
    const found = this.#open(options).stream(name)
    return found === undefined ? undefined : infoOf(found)
  }

  #open(options: CallOptions): MemoryLog {
    if (this.#ended) throw new InvalidArgumentError('tx', 'was used after its transaction ended')
    options.signal?.throwIfAborted()
    return this.#log
  }
}

/** Ends when `work` does, or earlier by the time or the signal, whichever comes first. */
export function runBounded<T>(
  work: () => Promise<T>,
  bounds: {
    readonly clock: Clock
    readonly timeoutMs: number
    readonly signal: AbortSignal | undefined
  },
): Promise<T> {
  const { clock, timeoutMs, signal } = bounds
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => settle(() => reject(signal?.reason))
    const stop = clock.timer(timeoutMs, () => {
      settle(() => reject(new TransactionTimeoutError(timeoutMs)))
    })
    const settle = (how: () => void) => {
      stop()
      signal?.removeEventListener('abort', onAbort)
      how()
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    // `then` of an async function: a synchronous throw of `work` is a rejection as well.
    const run = async () => work()
    run().then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error)),
    )
  })
}
