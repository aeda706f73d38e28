import { basename } from 'node:path'
import { traceLines } from './trace.ts'

/** System calls of a database that can be made to fail one by one. */
export type FailingCall =
  | 'pwrite64'
  | 'fsync'
  | 'ftruncate'
  | 'openat'
  | 'pread64'
  | 'unlink'
  | 'mmap'

export interface Injection {
  readonly call: FailingCall
  readonly error: 'EIO' | 'ENOSPC' | 'EINTR' | 'ENOMEM'
  /** Counted for each thread; as strace has it: `5` once, `5+` from then on, `5+5` every fifth. */
  readonly when: string
}

export interface FailingOptions {
  /** Undefined: only recorded. */
  readonly injection: Injection | undefined
  /** Only calls on these count and fail. */
  readonly paths: readonly string[]
  /** With all that is written, for the simulated disk. */
  readonly bytes?: boolean | undefined
}

const recorded = 'pwrite64,pread64,fsync,fdatasync,ftruncate,openat,close,unlink,mmap'
/** What the simulated disk needs; it ends where a call comes that it does not know. */
const simulated = 'pwrite64,pwritev,fdatasync,fsync,ftruncate,fallocate,unlink,rename'

/** What to put before a command so that calls on the paths fail as the injection says. */
export function failingCommand(log: string, options: FailingOptions): string[] {
  const { injection, paths, bytes } = options
  const inject =
    injection === undefined
      ? []
      : ['-e', `inject=${injection.call}:error=${injection.error}:when=${injection.when}`]
  const which = bytes === true ? simulated : recorded
  const strings = bytes === true ? ['-xx', '-s', '100000'] : ['-s', '0']
  const calls = ['-e', `trace=${which}`, '-e', 'signal=none', ...inject]
  const only = paths.flatMap((path) => ['-P', path])
  return [
    'strace',
    '-f',
    '-y',
    '--seccomp-bpf',
    '--quiet=all',
    ...calls,
    ...only,
    ...strings,
    '-o',
    log,
  ]
}

/** Of a descriptor its path; otherwise the last one named: before it is what it is relative to. */
function fileOf(text: string): string {
  const descriptor = /^\w+\(\d+<([^>]*)>/.exec(text)
  if (descriptor !== null) return descriptor[1] as string
  const named = [...text.replace(/ = .*$/, '').matchAll(/<([^>]*)>|"([^"]*)"/g)].at(-1)
  return named?.[1] ?? named?.[2] ?? ''
}

/** How often each call was made on a database's own files, and how often it was made to fail. */
export async function callCounts(
  log: string,
  name: string,
): Promise<ReadonlyMap<string, { readonly made: number; readonly failed: number }>> {
  const counts = new Map<string, { made: number; failed: number }>()
  for await (const text of traceLines(log)) {
    const call = /^(\w+)\(/.exec(text)?.[1]
    const file = basename(fileOf(text))
    if (call === undefined || !(file === name || file.startsWith(`${name}-`))) continue
    const count = counts.get(call) ?? { made: 0, failed: 0 }
    count.made++
    if (text.endsWith('(INJECTED)')) count.failed++
    counts.set(call, count)
  }
  return counts
}

/**
 * What was written through a descriptor of a write-ahead log after a sync of it had
 * failed, before it was closed: the kernel may have dropped the pages by then. The sync of a
 * checkpoint has nothing to save, since the commits have synced what is in the log.
 */
export async function usesAfterFailedSync(log: string): Promise<string[]> {
  const failed = new Set<string>()
  const unsynced = new Set<string>()
  const wrong: string[] = []
  for await (const text of traceLines(log)) {
    const [, call, descriptor = '', path = ''] = /^(\w+)\((\d+)<([^>]*)>/.exec(text) ?? []
    if (!path.endsWith('-wal')) continue
    const key = `${descriptor} ${path}`
    const isSync = call === 'fsync' || call === 'fdatasync'
    const isWrite = call === 'pwrite64'
    if (call === 'close') failed.delete(key)
    if (isWrite && failed.has(key)) {
      wrong.push(`${basename(path)} is written to by a connection whose sync had failed`)
    }
    if (isWrite) unsynced.add(path)
    if (isSync && !text.includes(' = -1 ')) unsynced.delete(path)
    else if (isSync && unsynced.has(path)) failed.add(key)
  }
  return wrong
}
