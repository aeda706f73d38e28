import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmdirSync, statfsSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * What to put before a command so that it finds a file system of its own in the folder, which ends
 * with the command: a mount in a namespace that nobody else sees.
 */
export function smallDiskCommand(folder: string, mebibytes: number): string[] {
  const mount = `mount -t tmpfs -o size=${mebibytes}m tmpfs "$0" && exec "$@"`
  const root = process.getuid?.() === 0 ? [] : ['--map-root-user']
  return ['unshare', '--mount', ...root, 'sh', '-c', mount, folder]
}

/** Why there can be no small disk here, or undefined when there can; throws in CI. */
export function smallDiskSkipReason(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-disk-'))
  try {
    const [command = '', ...args] = smallDiskCommand(folder, 1)
    execFileSync(command, [...args, 'true'], { stdio: 'ignore' })
    return undefined
  } catch {
    const reason = 'no right to mount a small file system: no disk can be full'
    if (process.env.CI === 'true') throw new Error(reason)
    console.warn(`\n*** SKIPPED: ${reason} ***\n`)
    return reason
  } finally {
    rmdirSync(folder)
  }
}

/** A file that takes all of a disk but so many bytes; `remove` gives them back. */
export function takeSpace(folder: string, leaveBytes: number): { readonly remove: () => void } {
  const file = join(folder, 'ballast')
  const { bavail, bsize } = statfsSync(folder)
  writeFileSync(file, Buffer.alloc(Math.max(0, bavail * bsize - leaveBytes)))
  return { remove: () => unlinkSync(file) }
}
