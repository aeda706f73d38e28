import { existsSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import {
  type Clock,
  type IdSource,
  publishFile,
  type Random,
  systemClock,
  systemRandom,
  uuidV7Source,
} from '../../kernel/index.ts'
import {
  BackupChainError,
  BackupExistsError,
  compressionDefault,
  compressorOf,
  InvalidArgumentError,
  rowIsIntact,
} from '../../model/index.ts'
import type { CallOptions, EventStore, StoreView } from '../../ports/index.ts'
import { type PortOrStore, portOf } from '../port-or-store.ts'
import type { BackupBegin, BackupEnd, BackupFile } from './backup-file.ts'
import { newestIn } from './chain.ts'
import { describeBackup } from './frame-reader.ts'
import { FrameWriter } from './frame-writer.ts'
import { frameKinds } from './frames.ts'
import { recordLine, rowLine } from './lines.ts'
import { checkpointIn, isKeptKind } from './read-side.ts'
import { newParameters, sealingOf } from './sealing.ts'

const DAY_MS: number = 24 * 60 * 60 * 1000

/** What a backup needs of a store. */
export type BackupSource = Pick<EventStore, 'view' | 'adapter' | 'incarnation'>

/** How far a backup has come. */
export interface BackupProgress {
  /** The last position that was written. */
  readonly position: number
  /** The one above which the events of it begin, and the one it goes up to. */
  readonly from: number
  readonly upTo: number
  readonly events: number
  readonly bytes: number
}

/** Options of `backupStore`. */
export interface BackupOptions extends CallOptions {
  /** A file that is not there yet, or a folder, in which the backup gets a name by itself. */
  readonly out: string
  /**
   * Only what came since: the backup that it goes on from (its file), or `true` for the newest one
   * of this store in the folder `out`.
   */
  readonly base?: string | true | undefined
  /** Encrypts it; without the passphrase nobody gets it back. */
  readonly passphrase?: string | undefined
  /** zstd where Node has it, brotli otherwise. */
  readonly compression?: 'gzip' | 'brotli' | 'zstd' | undefined
  /** Milliseconds for all of it; a day when left out. */
  readonly timeoutMs?: number | undefined
  readonly onProgress?: ((progress: BackupProgress) => void) | undefined
  /** For repeatable runs: the sources of time and chance. */
  readonly clock?: Clock | undefined
  readonly random?: Random | undefined
}

/** A backup that is complete and on disk. */
export interface BackupResult extends BackupFile {
  readonly seconds: number
}

/**
 * Writes the store into a file, as it stands at one moment, while it is in use: the log up to the
 * safe position with positions, versions, ids, times and stored data as they are, and the records
 * of the read side that cannot be made anew. The file has its name when it is complete and on
 * disk; a crash leaves none.
 *
 * Throws BackupExistsError, BackupChainError for a base that is not of this log, BackupInvalidError
 * and BackupPassphraseError for one that cannot be read, InvalidArgumentError, CapabilityError.
 *
 * @example
 * ```ts
 * import { mkdtemp, rm } from 'node:fs/promises'
 * import { tmpdir } from 'node:os'
 * import { join } from 'node:path'
 * import { backupStore, openStore } from 'eventuali'
 *
 * const folder = await mkdtemp(join(tmpdir(), 'backup-'))
 * await using store = await openStore('memory:')
 * await store.append('order-1', { type: 'OrderPlaced', data: { total: 30 } })
 * const { events, upTo } = await backupStore(store, { out: join(folder, 'shop.backup') })
 * console.log(events, upTo) // 1 1
 * await rm(folder, { recursive: true })
 * ```
 */
export async function backupStore(
  store: PortOrStore<BackupSource>,
  options: BackupOptions,
): Promise<BackupResult> {
  const port = portOf(store)
  assertOptions(options)
  const { clock = systemClock, random = systemRandom, signal } = options
  const { timeoutMs = DAY_MS, passphrase } = options
  const ids: IdSource = uuidV7Source(clock, random)
  const startedMs = clock.monotonic()
  const base = await baseOf(port, options)
  const call: CallOptions = { signal, timeoutMs }
  const make = async (view: StoreView): Promise<BackupResult> => {
    const begin = await beginningOf(port, view, base, clock.now(), call)
    const file = fileFor(options.out, begin)
    if (existsSync(file)) throw new BackupExistsError(file)
    const unfinished = `${file}.${ids.next()}.unfinished`
    try {
      const writer = await FrameWriter.create(unfinished)
      let end: BackupEnd
      try {
        end = await writeAll(view, writer, begin, base, options)
      } catch (error) {
        await writer.abandon()
        throw error
      }
      await writer.finish()
      signal?.throwIfAborted()
      if (!publishFile(unfinished, file)) throw new BackupExistsError(file)
      const { link, bytes } = writer
      const seconds = (clock.monotonic() - startedMs) / 1000
      return { ...begin, ...end, file, bytes, link, encrypted: passphrase !== undefined, seconds }
    } finally {
      rmSync(unfinished, { force: true })
    }
  }
  let made: Promise<BackupResult> | undefined
  try {
    return await port.view((view) => {
      made = make(view)
      return made
    }, call)
  } finally {
    // A view that is stopped ends before what was done with it, which cleans up.
    await made?.catch(() => {})
  }
}

function assertOptions({ out, passphrase, base, compression }: BackupOptions): void {
  if (typeof out !== 'string' || out === '') {
    throw new InvalidArgumentError('out', 'must be the path of a file or folder')
  }
  if (passphrase !== undefined && (typeof passphrase !== 'string' || passphrase === '')) {
    throw new InvalidArgumentError('passphrase', 'must be a text that is not empty')
  }
  if (!isFolder(out) && !isFolder(dirname(out))) {
    throw new InvalidArgumentError('out', `is in ${dirname(out)}, a folder that is not there`)
  }
  if (base === true && !isFolder(out)) {
    throw new InvalidArgumentError('base', 'is to be found in the folder that "out" is not')
  }
  const known = ['gzip', 'brotli', 'zstd']
  if (compression !== undefined && !known.includes(compression)) {
    throw new InvalidArgumentError('compression', `must be one of ${known.join(', ')}`)
  }
  compressorOf(compression ?? compressionDefault())
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

function fileFor(out: string, { createdAt, from, upTo }: BackupBegin): string {
  if (!isFolder(out)) return out
  const time = new Date(createdAt).toISOString().replaceAll(/[-:.]/g, '')
  return join(out, `${time}-${from === 0 ? 'full' : from}-${upTo}.backup`)
}

async function baseOf(
  { incarnation }: BackupSource,
  { base, out, passphrase }: BackupOptions,
): Promise<BackupFile | undefined> {
  if (base === undefined) return undefined
  if (base !== true) return describeBackup(base, { passphrase })
  const found = await newestIn(out, incarnation, { passphrase })
  if (found !== undefined) return found
  throw new BackupChainError(out, 'it holds no backup of this store; make a full one first')
}

async function beginningOf(
  { adapter, incarnation }: BackupSource,
  view: StoreView,
  base: BackupFile | undefined,
  createdAt: number,
  call: CallOptions,
): Promise<BackupBegin> {
  let upTo = view.safe
  // A checkpoint proves its position safe, though it may be higher than what was known here.
  for await (const page of view.records(call)) {
    for (const record of page) upTo = Math.max(upTo, checkpointIn(record, incarnation))
  }
  upTo = Math.min(upTo, view.newest)
  const from = base?.upTo ?? 0
  if (base !== undefined) await assertBase(base, incarnation, view, upTo, call)
  return {
    ...{ incarnation, adapter, createdAt, from, upTo },
    base: base === undefined ? null : { link: base.link, position: base.upTo },
  }
}

/** Throws BackupChainError unless the base is of this very log. */
async function assertBase(
  base: BackupFile,
  incarnation: string,
  view: StoreView,
  upTo: number,
  call: CallOptions,
): Promise<void> {
  const refuse = (reason: string) =>
    new BackupChainError(base.file, `${reason}; make a full backup of this store`)
  if (base.incarnation !== incarnation) {
    throw refuse(`it is of the log ${base.incarnation}, and the store's is ${incarnation}`)
  }
  if (base.upTo > upTo) {
    throw refuse(`it goes up to position ${base.upTo}, and the store only to ${upTo}`)
  }
  if (base.last === null) return
  const { position, id } = base.last
  for await (const [row] of view.rows({ after: position - 1, upTo: position }, call)) {
    if (row?.id === id) continue
    throw refuse(`its last event, at position ${position}, is another one in the store`)
  }
}

async function writeAll(
  view: StoreView,
  writer: FrameWriter,
  begin: BackupBegin,
  base: BackupFile | undefined,
  options: BackupOptions,
): Promise<BackupEnd> {
  const { compression = compressionDefault(), passphrase, random = systemRandom } = options
  const parameters = passphrase === undefined ? null : newParameters(random)
  await writer.frame(frameKinds.settings, JSON.stringify({ compression, sealing: parameters }))
  const sealing =
    passphrase === undefined || parameters === null
      ? undefined
      : await sealingOf(parameters, passphrase, options.out)
  writer.pack({ compression, sealing })
  await writer.frame(frameKinds.begin, JSON.stringify(begin))
  const call: CallOptions = { signal: options.signal }
  let [events, records, damaged] = [0, 0, 0]
  let last = base?.last ?? null
  const { from, upTo } = begin
  for await (const page of view.rows({ after: from, upTo }, call)) {
    for (const row of page) {
      if (!rowIsIntact(row)) damaged += 1
      await writer.line(frameKinds.events, rowLine(row))
      last = { position: row.position, id: row.id }
    }
    events += page.length
    const position = last?.position ?? from
    options.onProgress?.({ position, from, upTo, events, bytes: writer.bytes })
    options.signal?.throwIfAborted()
  }
  await writer.flush()
  for await (const page of view.records(call)) {
    for (const record of page) {
      if (!isKeptKind(record)) continue
      records += 1
      await writer.line(frameKinds.records, recordLine(record))
    }
  }
  await writer.flush()
  const end: BackupEnd = { events, records, damaged, last }
  await writer.frame(frameKinds.end, JSON.stringify(end))
  return end
}
