import type { Clock } from '../../kernel/index.ts'
import {
  decodeRow,
  InvalidArgumentError,
  type RecordedEvent,
  type StreamInfo,
  TransactionTimeoutError,
} from '../../model/index.ts'
import type {
  AppendOutcome,
  AppendRequest,
  CallOptions,
  LogQuery,
  StoreTransaction,
  StreamQuery,
} from '../../ports/index.ts'
import { applyAppend, encodeRequest } from './append.ts'
import { infoOf, type MemoryLog } from './log.ts'
import { logPages, streamPages } from './read.ts'

/** Works on a copy of the log that its owner puts in place at the commit. */
export class MemoryTransaction implements StoreTransaction {
  readonly sql: unknown = undefined
  readonly #clock: Clock
  readonly #draft: MemoryLog
  #ended = false
  #changed = false

  constructor(draft: MemoryLog, clock: Clock) {
    this.#draft = draft
    this.#clock = clock
  }

  /** Whether anything was appended. */
  get changed(): boolean {
    return this.#changed
  }

  /** A call that comes later would otherwise write into a log that others read. */
  end(): void {
    this.#ended = true
  }

  async append(request: AppendRequest, options: CallOptions = {}): Promise<AppendOutcome> {
    const log = this.#open(options)
    const outcome = applyAppend(log, encodeRequest(request), this.#clock.now())
    if (outcome.ok) this.#changed = true
    return outcome
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
    return this.#draft
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
