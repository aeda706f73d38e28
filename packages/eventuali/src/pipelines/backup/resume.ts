import { readdirSync, rmSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { isEventualiError } from '../../kernel/index.ts'
import { BackupChainError, type KeptRow, rowIsIntact } from '../../model/index.ts'
import type { CallOptions, StoreView } from '../../ports/index.ts'
import type { BackupBegin, BackupFile } from './backup-file.ts'
import { FrameReader, parsed, type ReadingOptions, readBegin } from './frame-reader.ts'
import type { FrameWriter } from './frame-writer.ts'
import { frameKinds } from './frames.ts'
import { rowOf } from './lines.ts'

/*
 * A backup that was broken off is gone on with in a file of its own: the frames that are whole are
 * read, checked and written anew. So the new file begins with what it will be (how far it goes,
 * when it was made), and what is encrypted gets another key: going on in place would use the number
 * of a frame that was half written, which is a nonce, a second time.
 *
 * The events that are taken over are of an earlier view of the store than those behind them. That
 * is what a backup and an increment of it are, too: what was removed in between was removed by
 * events that lie above, and a restore does the same again.
 */

const ENDING = '.unfinished'
const FILE_COUNT_MAX = 10_000

/** What a backup that was broken off has left. */
export interface Leftover {
  readonly file: string
  readonly size: number
  readonly modifiedMs: number
}

/** What was taken over of it. */
export interface TakenOver {
  readonly events: number
  readonly damaged: number
  readonly last: { readonly position: number; readonly id: string } | null
}

/** Where a backup to `out` is written until it is whole. */
export const unfinishedName = (file: string, id: string): string => `${file}.${id}${ENDING}`

/**
 * What earlier backups of the log to the same place have left, on the same base, the longest file
 * first. Throws BackupPassphraseError for one that opens with another passphrase or none.
 */
export async function leftoversOf(
  { out, isFolder }: { readonly out: string; readonly isFolder: boolean },
  incarnation: string,
  base: BackupFile | undefined,
  options: ReadingOptions,
): Promise<readonly Leftover[]> {
  const folder = isFolder ? out : dirname(out)
  const isOurs = (name: string): boolean =>
    name.endsWith(ENDING) &&
    (isFolder ? name.includes('.backup.') : name.startsWith(`${basename(out)}.`))
  const found = readdirSync(folder)
    .filter(isOurs)
    .slice(0, FILE_COUNT_MAX)
    .flatMap((name) => leftoverAt(join(folder, name)) ?? [])
    .sort((a, b) => b.size - a.size)
  const same: Leftover[] = []
  for (const leftover of found) {
    const begin = await beginIn(leftover.file, options)
    const isSame = begin?.incarnation === incarnation && begin.base?.link === base?.link
    if (isSame) same.push(leftover)
  }
  return same
}

function leftoverAt(file: string): Leftover | undefined {
  const found = statSync(file, { throwIfNoEntry: false })
  if (found?.isFile() !== true) return undefined
  return { file, size: found.size, modifiedMs: found.mtimeMs }
}

/** How a file begins; undefined when not even that is whole. */
async function beginIn(file: string, options: ReadingOptions): Promise<BackupBegin | undefined> {
  try {
    const reader = await FrameReader.open(file, options)
    try {
      return await readBegin(file, reader)
    } finally {
      await reader.close()
    }
  } catch (error) {
    if (isEventualiError(error, 'BACKUP_INVALID')) return undefined
    throw error
  }
}

/** Events of a frame of a file, and the text that they are. */
interface EventFrame {
  readonly text: string
  readonly rows: readonly KeptRow[]
}

/** The frames of events up to the first part that is not whole, not in order, or beyond `upTo`. */
async function* framesIn(
  { file }: Leftover,
  { from, upTo }: Pick<BackupBegin, 'from' | 'upTo'>,
  options: ReadingOptions,
): AsyncGenerator<EventFrame, void, void> {
  const reader = await FrameReader.open(file, options)
  try {
    await readBegin(file, reader)
    for (let last = from; ; ) {
      const { kind, text } = await reader.next()
      if (kind !== frameKinds.events) return
      const rows = text.split('\n').map((line) => parsed(file, line, rowOf))
      for (const { position } of rows) {
        if (position <= last || position > upTo) return
        last = position
      }
      yield { text, rows }
    }
  } catch (error) {
    // It was broken off there.
    if (!isEventualiError(error, 'BACKUP_INVALID')) throw error
  } finally {
    await reader.close()
  }
}

/**
 * Takes over what is whole of a leftover, behind the beginning of a new file, and removes it once
 * that is on disk. Throws BackupChainError when the store has another event where it ends.
 */
export async function takeOver(
  leftover: Leftover,
  writer: FrameWriter,
  view: StoreView,
  begin: BackupBegin,
  options: ReadingOptions & CallOptions & { readonly onFrame: (taken: TakenOver) => void },
): Promise<TakenOver> {
  const { passphrase, signal, onFrame } = options
  let [events, damaged] = [0, 0]
  let last: TakenOver['last'] = null
  for await (const { text, rows } of framesIn(leftover, begin, { passphrase })) {
    await writer.frame(frameKinds.events, text)
    for (const row of rows) if (!rowIsIntact(row)) damaged += 1
    events += rows.length
    const { position, id } = rows.at(-1) as KeptRow
    last = { position, id }
    onFrame({ events, damaged, last })
    signal?.throwIfAborted()
  }
  if (last !== null) await assertSameLog(leftover, last, view, { signal })
  await writer.sync()
  removeLeftover(leftover)
  return { events, damaged, last }
}

async function assertSameLog(
  { file }: Leftover,
  { position, id }: { readonly position: number; readonly id: string },
  view: StoreView,
  call: CallOptions,
): Promise<void> {
  for await (const [row] of view.rows({ after: position - 1, upTo: position }, call)) {
    if (row === undefined || row.id === id) continue
    const reason = `its event at position ${position} is another one in the store`
    throw new BackupChainError(file, `${reason}; remove it, and begin anew`)
  }
}

/** Removes a leftover, unless somebody has gone on writing to it. */
export function removeLeftover({ file, size, modifiedMs }: Leftover): void {
  const now = leftoverAt(file)
  if (now?.size === size && now.modifiedMs === modifiedMs) rmSync(file, { force: true })
}
