import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import {
  type IdSource,
  isEventualiError,
  publishFile,
  systemClock,
  systemRandom,
  uuidV7Source,
} from '../../kernel/index.ts'
import {
  BackupChainError,
  BackupExistsError,
  compressionDefault,
  rowIsIntact,
} from '../../model/index.ts'
import type { CallOptions, EventStore, StoreView } from '../../ports/index.ts'
import { type PortOrStore, portOf } from '../port-or-store.ts'
import type { BackupBegin, BackupEnd, BackupFile } from './backup-file.ts'
import { assertOptions, type BackupOptions, isFolder, meansFolder } from './backup-options.ts'
import { newestIn } from './chain.ts'
import { describeBackup } from './frame-reader.ts'
import { FrameWriter } from './frame-writer.ts'
import { frameKinds } from './frames.ts'
import { recordLine, rowLine } from './lines.ts'
import { checkpointIn, isKeptKind } from './read-side.ts'
import {
  type Leftover,
  leftoversOf,
  removeLeftover,
  type TakenOver,
  takeOver,
  unfinishedName,
} from './resume.ts'
import { newParameters, sealingOf } from './sealing.ts'

const DAY_MS: number = 24 * 60 * 60 * 1000

/** What a backup needs of a store. */
export type BackupSource = Pick<EventStore, 'view' | 'adapter' | 'incarnation'>

/** A backup that is complete and on disk. */
export interface BackupResult extends BackupFile {
  readonly seconds: number
  /** The position that an interrupted one had come to, after which this one went on; or 0. */
  readonly resumedAfter: number
  /**
   * The highest position that was there. What lies above `upTo` could not be read safely yet: a
   * transaction is open below it, or a replica does not know what its primary has proved.
   */
  readonly newest: number
}

/**
 * Writes the store into a file, as it stands at one moment, while it is in use: the log up to the
 * safe position with positions, versions, ids, times and stored data as they are, and the records
 * of the read side that cannot be made anew. The file has its name when it is complete and on
 * disk; a crash leaves one that ends in `.unfinished`, with which `resume` goes on.
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
    const leftovers = await leftoversFor(port, base, options)
    const unfinished = unfinishedName(file, ids.next())
    let isKept = options.resume === true
    try {
      const writer = await FrameWriter.create(unfinished)
      let written: Written
      try {
        written = await writeAll(view, writer, { begin, base, leftover: leftovers[0] }, options)
      } catch (error) {
        isKept &&= !isEventualiError(error, 'BACKUP_CHAIN')
        await writer.abandon(isKept)
        throw error
      }
      await writer.finish()
      signal?.throwIfAborted()
      if (!publishFile(unfinished, file)) {
        isKept = false
        throw new BackupExistsError(file)
      }
      isKept = false
      for (const leftover of leftovers) removeLeftover(leftover)
      const { link, bytes } = writer
      const { end, resumedAfter } = written
      const seconds = (clock.monotonic() - startedMs) / 1000
      const encrypted = passphrase !== undefined
      const { newest } = view
      return { ...begin, ...end, file, bytes, link, encrypted, seconds, resumedAfter, newest }
    } finally {
      if (!isKept) rmSync(unfinished, { force: true })
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

function fileFor(out: string, { createdAt, from, upTo }: BackupBegin): string {
  if (!meansFolder(out)) return out
  mkdirSync(out, { recursive: true })
  const time = new Date(createdAt).toISOString().replaceAll(/[-:.]/g, '')
  return join(out, `${time}-${from === 0 ? 'full' : from}-${upTo}.backup`)
}

async function baseOf(
  { incarnation }: BackupSource,
  { base, out, passphrase }: BackupOptions,
): Promise<BackupFile | undefined> {
  if (base === undefined) return undefined
  if (base !== true) return describeBackup(base, { passphrase })
  const found = isFolder(out) ? await newestIn(out, incarnation, { passphrase }) : undefined
  if (found !== undefined) return found
  throw new BackupChainError(out, 'it holds no backup of this store; make a full one first')
}

/** What earlier backups have left to go on with. */
async function leftoversFor(
  { incarnation }: BackupSource,
  base: BackupFile | undefined,
  { out, resume, passphrase }: BackupOptions,
): Promise<readonly Leftover[]> {
  if (resume !== true) return []
  return leftoversOf({ out, isFolder: isFolder(out) }, incarnation, base, { passphrase })
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

interface Written {
  readonly end: BackupEnd
  readonly resumedAfter: number
}

async function writeAll(
  view: StoreView,
  writer: FrameWriter,
  {
    begin,
    base,
    leftover,
  }: {
    readonly begin: BackupBegin
    readonly base: BackupFile | undefined
    readonly leftover: Leftover | undefined
  },
  options: BackupOptions,
): Promise<Written> {
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
  const { from, upTo } = begin
  const tell = (at: TakenOver): void => {
    const position = at.last?.position ?? from
    options.onProgress?.({ position, from, upTo, events: at.events, bytes: writer.bytes })
  }
  const taken =
    leftover === undefined
      ? { events: 0, damaged: 0, last: null }
      : await takeOver(leftover, writer, view, begin, { ...call, passphrase, onFrame: tell })
  const resumedAfter = taken.last?.position ?? 0
  let [events, records, damaged] = [taken.events, 0, taken.damaged]
  let last = taken.last ?? base?.last ?? null
  for await (const page of view.rows({ after: taken.last?.position ?? from, upTo }, call)) {
    for (const row of page) {
      if (!rowIsIntact(row)) damaged += 1
      await writer.line(frameKinds.events, rowLine(row))
      last = { position: row.position, id: row.id }
    }
    events += page.length
    tell({ events, damaged, last })
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
  return { end, resumedAfter }
}
