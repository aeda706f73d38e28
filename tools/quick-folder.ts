import { chmodSync, existsSync, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { join } from 'node:path'

const memoryFolder = '/dev/shm'
/** Tests, a server and programs run at the same time, and each takes a part of it. */
const memoryBytesMin = 4 * 2 ** 30

function made(): string | undefined {
  if (process.env.TMPDIR !== undefined || !existsSync(memoryFolder)) return undefined
  const { bavail, bsize } = statfsSync(memoryFolder)
  if (bavail * bsize < memoryBytesMin) return undefined
  const folder = mkdtempSync(join(memoryFolder, 'eventuali-tests-'))
  // A server that a test starts as another user has its files below.
  chmodSync(folder, 0o711)
  return folder
}

/**
 * Runs tests that ask what is written and in which order, not how long a disk takes, with their
 * temporary files in memory where there is room: waiting for syncs was most of a run. What
 * measures runs without it.
 */
export async function inQuickFolder<T>(
  work: (env: Readonly<Record<string, string>>) => Promise<T>,
): Promise<T> {
  const folder = made()
  try {
    return await work(folder === undefined ? {} : { TMPDIR: folder })
  } finally {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  }
}
