import { createHash } from 'node:crypto'
import { type Clock, isRetryable, retry, systemClock, systemRandom } from '../../kernel/index.ts'
import {
  InvalidArgumentError,
  type KeptRow,
  nothingRecordedBy,
  RestoreTargetError,
} from '../../model/index.ts'
import type { CallOptions, EventStore, StoreTransaction } from '../../ports/index.ts'
import { type PortOrStore, portOf } from '../port-or-store.ts'
import type { BackupFile } from './backup-file.ts'
import { chainOf } from './chain.ts'
import { FileProgress, type RestoreProgress, readThrough } from './check.ts'
import { compareLog } from './compare.ts'
import type { ReadingOptions } from './frame-reader.ts'
import type { KeptRecord } from './lines.ts'
import { partsOf } from './read-backup.ts'
import { changeFor, type PutBack } from './read-side.ts'

const KIND = 'restore'
const KEY = 'log'
const BATCH_COUNT = 500
const BATCH_CHARS: number = 4 * 1024 * 1024
const DAY_MS: number = 24 * 60 * 60 * 1000
const policy = { retryCountMax: 8, firstDelayMs: 20, delayMaxMs: 2000 } as const

/** What a restore needs of a store: one opened with `restoring: true`. */
export type RestoreStore = Pick<
  EventStore,
  'incarnation' | 'positions' | 'records' | 'transaction' | 'view' | 'inlineProjections'
>

/** Options of `restoreBackup`. */
export interface RestoreOptions extends CallOptions {
  readonly passphrase?: string | undefined
  /** The last position that is restored; all when left out. */
  readonly toPosition?: number | undefined
  /**
   * The same by the store's clock: up to the last event that was recorded by then (inclusive). An
   * import records its events all at once, whatever their own times are; a time before the first
   * one was recorded is refused.
   */
  readonly toTime?: Date | undefined
  readonly onProgress?: ((progress: RestoreProgress) => void) | undefined
  /** For repeatable runs: the source of time for waits between tries. */
  readonly clock?: Clock | undefined
}

/** A store that is restored. */
export interface RestoreResult {
  /** The files that were used, in their order. */
  readonly files: readonly BackupFile[]
  /** The last position; the next event gets one above it. */
  readonly position: number
  /** Of the log that was backed up, and of the one that was made of it. */
  readonly before: string
  readonly incarnation: string
  /** Events of the files, of which later ones may have removed some. */
  readonly events: number
  readonly records: number
  /** The position that an interrupted restore had reached, which this one went on after; or 0. */
  readonly resumedAfter: number
  /**
   * Where the records were taken from: as they were at this position; undefined when the log ends
   * before the first backup, so that only schemas, audit and rewound subscriptions are kept.
   */
  readonly recordsFrom: number | undefined
}

interface Plan {
  readonly chain: readonly BackupFile[]
  readonly upTo: number
  readonly recordsFile: BackupFile
  readonly place: PutBack
  readonly reading: ReadingOptions
  /** What an interrupted restore is recognised by. */
  readonly id: string
}

/**
 * Puts a backup into an empty store: same events at the same positions, in the stored form that
 * they had. All files are read and checked before anything is written; afterwards the log is
 * compared with them, field by field. The new store has an incarnation of its own, goes on above
 * the position that it ends at, and holds its consumers' checkpoints as they were.
 *
 * A restore that was broken off goes on when it is called again with the same files; meanwhile the
 * store opens with `restoring: true` only. In the place of a store it takes a function that opens
 * one, called when the files have been checked.
 *
 * Throws RestoreTargetError, RestoreDiffersError, what `checkBackup` throws, and
 * InvalidArgumentError.
 *
 * @example
 * ```ts
 * import { mkdtemp, rm } from 'node:fs/promises'
 * import { tmpdir } from 'node:os'
 * import { join } from 'node:path'
 * import { backupStore, openStore, restoreBackup } from 'eventuali'
 *
 * const out = await mkdtemp(join(tmpdir(), 'backup-'))
 * await using store = await openStore('memory:')
 * await store.append('order-1', { type: 'OrderPlaced', data: { total: 30 } })
 * const { file } = await backupStore(store, { out })
 * await using again = await openStore(`sqlite:${join(out, 'again.db')}`, { restoring: true })
 * const { position } = await restoreBackup(again, [file])
 * console.log(position, (await again.stream('order-1'))?.version) // 1 1
 * await rm(out, { recursive: true })
 * ```
 */
export async function restoreBackup(
  store: PortOrStore<RestoreStore> | (() => Promise<PortOrStore<RestoreStore>>),
  files: readonly string[],
  options: RestoreOptions = {},
): Promise<RestoreResult> {
  const checked = await checkedPlan(files, options)
  const port = portOf(typeof store === 'function' ? await store() : store)
  const plan: Plan = { ...checked, place: { ...checked.place, now: port.incarnation } }
  const resumedAfter = await begin(port, plan, options)
  await putRows(port, plan, resumedAfter, options)
  const { timeoutMs = DAY_MS, signal } = options
  await port.view((view) => compareLog(rowsOf(plan, 'compare', options), view, options), {
    ...{ timeoutMs, signal },
  })
  const records = await putRecords(port, plan, options)
  await finish(port, plan, options)
  const { chain, upTo, place, recordsFile } = plan
  return {
    ...{ files: chain, position: upTo, before: place.before, incarnation: place.now },
    events: chain.reduce((total, { events }) => total + events, 0),
    ...{ records, resumedAfter },
    recordsFrom: place.cutAt === undefined ? recordsFile.upTo : undefined,
  }
}

/** What is to be done, once all files have been read. */
async function checkedPlan(
  files: readonly string[],
  options: RestoreOptions,
): Promise<Omit<Plan, 'place'> & { readonly place: Omit<PutBack, 'now'> }> {
  const { passphrase, toPosition, toTime } = options
  const reading = { passphrase }
  const all = await chainOf(files, reading)
  const end = all.at(-1)?.upTo ?? 0
  if (toPosition !== undefined && toTime !== undefined) {
    throw new InvalidArgumentError('toTime', 'cannot be joined with "toPosition"')
  }
  if (toPosition !== undefined && (!Number.isSafeInteger(toPosition) || toPosition < 0)) {
    throw new InvalidArgumentError('toPosition', 'must be a position: an integer of 0 or more')
  }
  if (toPosition !== undefined && toPosition > end) {
    throw new InvalidArgumentError('toPosition', `is ${toPosition}, the backup ends at ${end}`)
  }
  const time = toTime?.getTime()
  if (Number.isNaN(time)) throw new InvalidArgumentError('toTime', 'is no valid Date')
  // All of it, whatever is used: what is altered anywhere is not to be relied on.
  const { position, recorded } = await readThrough(all, reading, 'check', options, time)
  if (time !== undefined && recorded !== undefined && time < recorded.first) {
    const instead = 'give a later time, or a position: 0 restores no event'
    throw nothingRecordedBy('toTime', time, recorded, instead)
  }
  const upTo = toPosition ?? (time === undefined ? end : position)
  const chain = all.filter(({ from }, at) => at === 0 || from < upTo)
  const whole = chain.findLast((file) => file.upTo <= upTo)
  const hash = createHash('sha256').update(`${upTo}\n${chain.map(({ link }) => link).join('\n')}`)
  return {
    ...{ chain, upTo, reading, recordsFile: whole ?? (chain[0] as BackupFile) },
    place: {
      before: all[0].incarnation,
      cutAt: whole === undefined ? upTo : undefined,
    },
    id: hash.digest('hex'),
  }
}

interface Note {
  readonly plan: string
  readonly position: number
}

async function noteIn({ records }: Pick<EventStore, 'records'>, call: CallOptions) {
  const [found] = await records.get(KIND, [KEY], call)
  return found?.value as Note | undefined
}

/** The position after which to go on. Throws RestoreTargetError. */
async function begin(port: RestoreStore, plan: Plan, options: RestoreOptions): Promise<number> {
  const call = callOf(options)
  const note = await noteIn(port, call)
  const { newest } = await port.positions(call)
  if (note === undefined) {
    if (newest > 0) throw new RestoreTargetError(`it has events, up to position ${newest}`)
    if (await isAnythingIn(port, call)) throw new RestoreTargetError('it has records already')
    await write(port, plan, [], 0, options)
    return 0
  }
  if (note.plan !== plan.id) {
    throw new RestoreTargetError('a restore of another backup, or to another end, was broken off')
  }
  if (newest > note.position) {
    throw new RestoreTargetError(`something else was written to it, at position ${newest}`)
  }
  return note.position
}

async function isAnythingIn(port: RestoreStore, call: CallOptions): Promise<boolean> {
  if ((await port.inlineProjections(call)).length > 0) return true
  return port.view(async (view) => {
    for await (const _ of view.records(call)) return true
    return false
  }, call)
}

async function putRows(
  port: RestoreStore,
  plan: Plan,
  after: number,
  options: RestoreOptions,
): Promise<void> {
  let batch: KeptRow[] = []
  let chars = 0
  const flush = async (): Promise<void> => {
    const rows = batch
    batch = []
    chars = 0
    const last = rows.at(-1)
    if (last !== undefined) await write(port, plan, rows, last.position, options)
  }
  for await (const row of rowsOf(plan, 'restore', options)) {
    if (row.position <= after) continue
    batch.push(row)
    chars += row.data.length
    if (batch.length >= BATCH_COUNT || chars >= BATCH_CHARS) await flush()
  }
  await flush()
}

/** One transaction: rows, and how far they go. Made again, it sees what it has done before. */
async function write(
  port: RestoreStore,
  { id }: Plan,
  rows: readonly KeptRow[],
  position: number,
  options: RestoreOptions,
): Promise<void> {
  const call = callOf(options)
  await again(options, () =>
    port.transaction(async (tx) => {
      const done = (await noteIn(tx, call))?.position ?? 0
      const left = rows.filter((row) => row.position > done)
      await tx.restore({ rows: left, last: false }, call)
      const value = { plan: id, position: Math.max(position, done) }
      await tx.records.write([{ kind: KIND, key: KEY, expected: 'any', value }], call)
    }, call),
  )
}

async function putRecords(
  port: RestoreStore,
  { recordsFile, reading, place }: Plan,
  options: RestoreOptions,
): Promise<number> {
  const call = callOf(options)
  let count = 0
  const put = async (records: readonly KeptRecord[]): Promise<void> => {
    const changes = records.flatMap((record) => changeFor(record, place) ?? [])
    count += changes.length
    if (changes.length === 0) return
    await again(options, () => port.transaction((tx) => tx.records.write(changes, call), call))
  }
  for await (const { records } of partsOf(recordsFile, reading)) {
    options.signal?.throwIfAborted()
    for (let from = 0; from < records.length; from += BATCH_COUNT) {
      await put(records.slice(from, from + BATCH_COUNT))
    }
  }
  return count
}

/** The store is whole from here on. */
async function finish(port: RestoreStore, { upTo }: Plan, options: RestoreOptions): Promise<void> {
  const call = callOf(options)
  const end = async (tx: StoreTransaction): Promise<void> => {
    await tx.restore({ rows: [], upTo, last: true }, call)
    await tx.records.write([{ kind: KIND, key: KEY, expected: 'any' }], call)
  }
  await again(options, () => port.transaction(end, call))
}

async function* rowsOf(
  { chain, reading, upTo }: Plan,
  phase: RestoreProgress['phase'],
  { signal, onProgress }: RestoreOptions,
): AsyncGenerator<KeptRow, void, void> {
  const progress = new FileProgress(chain, phase, onProgress)
  for (const file of chain) {
    for await (const { rows, bytesRead } of partsOf(file, reading)) {
      signal?.throwIfAborted()
      progress.show(bytesRead, rows.length)
      for (const row of rows) if (row.position <= upTo) yield row
    }
    progress.next(file)
  }
}

const callOf = ({ signal, timeoutMs }: RestoreOptions): CallOptions => ({ signal, timeoutMs })

function again<T>(options: RestoreOptions, work: () => Promise<T>): Promise<T> {
  const { clock = systemClock, signal } = options
  return retry(work, { policy, retryable: isRetryable, clock, random: systemRandom, signal })
}
