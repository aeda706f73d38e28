import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { BackupChainError, BackupInvalidError, InvalidArgumentError } from '../../model/index.ts'
import type { BackupFile } from './backup-file.ts'
import { describeBackup, type ReadingOptions } from './frame-reader.ts'

const ENDING = '.backup'
const FILE_COUNT_MAX = 10_000

/** All backups in a folder, by the names that they get by themselves. */
async function backupsIn(folder: string, options: ReadingOptions): Promise<BackupFile[]> {
  const names = readdirSync(folder)
    .filter((name) => name.endsWith(ENDING))
    .sort()
  if (names.length > FILE_COUNT_MAX) {
    throw new InvalidArgumentError('files', `are more than ${FILE_COUNT_MAX} in ${folder}`)
  }
  const found: BackupFile[] = []
  for (const name of names) found.push(await describeBackup(join(folder, name), options))
  return found
}

const byAge = (a: BackupFile, b: BackupFile): number => a.createdAt - b.createdAt

/** The newest backup of a log in a folder, which an increment goes on from. */
export async function newestIn(
  folder: string,
  incarnation: string,
  options: ReadingOptions,
): Promise<BackupFile | undefined> {
  const found = await backupsIn(folder, options)
  return found
    .filter((one) => one.incarnation === incarnation)
    .sort(byAge)
    .at(-1)
}

/**
 * The files of one backup in their order: a full one, and increments of it. Of a folder it is the
 * newest one in it, with what that goes on from. Throws BackupChainError for a gap, for two of the
 * same, and for what belongs to something else.
 */
export async function chainOf(
  files: readonly string[],
  options: ReadingOptions,
): Promise<readonly [BackupFile, ...BackupFile[]]> {
  const [first] = files
  if (first === undefined) throw new InvalidArgumentError('files', 'must name a backup')
  if (files.length === 1 && statSync(first, { throwIfNoEntry: false })?.isDirectory() === true) {
    const all = (await backupsIn(first, options)).sort(byAge)
    const newest = all.at(-1)
    if (newest === undefined) throw new BackupInvalidError(first, 'there is no *.backup in it')
    return upTo(newest, all)
  }
  const given: BackupFile[] = []
  for (const file of files) given.push(await describeBackup(file, options))
  const bases = new Set(given.flatMap(({ base }) => base?.link ?? []))
  const [newest, other] = given.filter(({ link }) => !bases.has(link))
  if (newest === undefined) throw new BackupChainError(first, 'the files go on from each other')
  if (other !== undefined) {
    throw new BackupChainError(other.file, `neither it nor ${newest.file} goes on from the other`)
  }
  const chain = upTo(newest, given)
  const extra = given.find((one) => !chain.includes(one))
  if (extra !== undefined) throw new BackupChainError(extra.file, 'it is there twice')
  return chain
}

/** A backup with all that it goes on from. */
function upTo(
  newest: BackupFile,
  all: readonly BackupFile[],
): readonly [BackupFile, ...BackupFile[]] {
  const chain: [BackupFile, ...BackupFile[]] = [newest]
  for (let { base } = newest; base !== null; base = chain[0].base) {
    const [next] = chain
    const before = all.find(({ link }) => link === base?.link)
    if (before === undefined) {
      const reason = `it goes on from position ${base.position} of a backup that is not here`
      throw new BackupChainError(next.file, `${reason} (its end is ${base.link})`)
    }
    if (before.upTo !== next.from || before.incarnation !== next.incarnation) {
      throw new BackupChainError(next.file, `it does not go on where ${before.file} ends`)
    }
    chain.unshift(before)
  }
  return chain
}
