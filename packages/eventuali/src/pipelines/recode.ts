import { type Clock, isRetryable, retry, systemClock, systemRandom } from '../kernel/index.ts'
import { bodyEncoder, type CodecOptions, InvalidArgumentError } from '../model/index.ts'
import type { CallOptions, EventStore, RecodeStep } from '../ports/index.ts'
import { type PortOrStore, portOf } from './port-or-store.ts'

const KIND = 'recoding'
const BATCH_DEFAULT = 500
const BATCH_MAX = 10_000
const policy = { retryCountMax: 8, firstDelayMs: 20, delayMaxMs: 2000 } as const

/** What a recoding needs of a store. */
export type RecodeTarget = Pick<EventStore, 'positions' | 'records' | 'transaction'>

/** How far a recoding has come. */
export interface RecodeProgress {
  /** The last position that was looked at. */
  readonly position: number
  /** The position that it ends at: the safe one when it began. */
  readonly upTo: number
  /** Events that were looked at since it was started or resumed. */
  readonly events: number
  /** Events among them that are stored in another way now. */
  readonly changed: number
  /** Bytes of the data of these events, as stored before and after. */
  readonly bytesBefore: number
  readonly bytesAfter: number
}

/** The result of a recoding that has reached its end. */
export interface RecodeResult extends RecodeProgress {
  /** The position that an interrupted recoding had reached, which this one went on after; or 0. */
  readonly resumedAfter: number
}

/** Options of `recode`. */
export interface RecodeOptions extends CallOptions {
  /** How the data is to be stored; `{}` is plain JSON text. */
  readonly codec: CodecOptions
  /** Events in one transaction, at most 10,000; 500. Large events make it fewer. */
  readonly batchSize?: number | undefined
  /** Called after each transaction. */
  readonly onProgress?: ((progress: RecodeProgress) => void) | undefined
  /** For repeatable runs: the source of time for waits between tries. */
  readonly clock?: Clock | undefined
}

/**
 * Stores the data of all events in another way, in place, while the store is in use. Events, ids,
 * positions and checksums stay as they are; only new events go by the `codec` that their store was
 * opened with. Each batch is a transaction that also notes how far it came: a recoding to the same
 * codec that was interrupted goes on there.
 *
 * Damaged rows are left alone, and so is what the codec would not give back exactly. Throws
 * InvalidArgumentError and CodecMissingError before anything is written.
 *
 * @example
 * ```ts
 * import { openStore, recode } from 'eventuali'
 *
 * await using store = await openStore('memory:')
 * await store.append('page-1', { type: 'PageSaved', data: { text: 'la '.repeat(2000) } })
 * const { changed } = await recode(store, { codec: { compress: { with: 'gzip', above: 1024 } } })
 * console.log(changed) // 1
 * ```
 */
export async function recode(
  store: PortOrStore<RecodeTarget>,
  options: RecodeOptions,
): Promise<RecodeResult> {
  const { codec, batchSize = BATCH_DEFAULT, onProgress, signal, timeoutMs } = options
  if (!Number.isSafeInteger(batchSize) || batchSize < 1 || batchSize > BATCH_MAX) {
    throw new InvalidArgumentError('batchSize', `must be an integer from 1 to ${BATCH_MAX}`)
  }
  const port = portOf(store)
  const call: CallOptions = { signal, timeoutMs }
  const key = bodyEncoder(codec)?.name ?? 'json'
  const { safe: upTo } = await port.positions(call)
  const [noted] = await port.records.get(KIND, [key], call)
  const resumedAfter = Math.min(positionOf(noted?.value), upTo)
  let after = resumedAfter
  let progress = { position: after, upTo, events: 0, changed: 0, bytesBefore: 0, bytesAfter: 0 }
  const clock = options.clock ?? systemClock
  const retries = { policy, retryable: isRetryable, clock, random: systemRandom, signal }
  while (after < upTo) {
    signal?.throwIfAborted()
    const request = { codec, after, upTo, countMax: batchSize }
    const step = await retry(() => batch(port, key, request, call), retries)
    after = step.position
    progress = added(progress, step)
    onProgress?.(progress)
  }
  return { ...progress, position: upTo, resumedAfter }
}

function positionOf(value: unknown): number {
  const position = (value as { position?: unknown } | undefined)?.position
  return typeof position === 'number' && Number.isSafeInteger(position) ? position : 0
}

/** One transaction: the rows, and how far they go. At the end the note is removed. */
function batch(
  port: RecodeTarget,
  key: string,
  request: { codec: CodecOptions; after: number; upTo: number; countMax: number },
  call: CallOptions,
): Promise<RecodeStep> {
  return port.transaction(async (tx) => {
    const step = await tx.recode(request, call)
    const ended = step.position >= request.upTo
    const value = ended ? undefined : { position: step.position }
    const [there] = await tx.records.get(KIND, [key], call)
    if (value !== undefined || there !== undefined) {
      await tx.records.write([{ kind: KIND, key, expected: 'any', value }], call)
    }
    return step
  }, call)
}

function added(progress: RecodeProgress, step: RecodeStep): RecodeProgress {
  return {
    position: step.position,
    upTo: progress.upTo,
    events: progress.events + step.seen,
    changed: progress.changed + step.changed,
    bytesBefore: progress.bytesBefore + step.bytesBefore,
    bytesAfter: progress.bytesAfter + step.bytesAfter,
  }
}
