import { execFileSync } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { basename } from 'node:path'
import { createInterface } from 'node:readline'

/** One system call that changes files, or makes changes last. */
export type TracedCall =
  | { readonly kind: 'write'; readonly file: string; readonly at: number; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly file: string; readonly size: number }
  | { readonly kind: 'sync'; readonly file: string; readonly failed?: boolean }
  | { readonly kind: 'unlink'; readonly file: string }

/** Calls that would change a file in a way that the simulation does not know end the harness. */
const traced =
  'pwrite64,pwritev,pwritev2,fsync,fdatasync,ftruncate,fallocate,sync_file_range,unlink,rename'
const longestString = 100_000

/** Why nothing can be traced here, or undefined when it can; throws in CI. */
export function straceSkipReason(): string | undefined {
  try {
    execFileSync('strace', ['-f', '-o', '/dev/null', 'true'], { stdio: 'ignore' })
    return undefined
  } catch {
    const reason = 'no strace, or no right to trace: power loss cannot be simulated'
    if (process.env.CI === 'true') throw new Error(reason)
    console.warn(`\n*** SKIPPED: ${reason} ***\n`)
    return reason
  }
}

/** What to put before a command so that its calls are recorded with all they write. */
export function straceCommand(log: string): string[] {
  const calls = ['-e', `trace=${traced}`, '-e', 'signal=none']
  const strings = ['-xx', '-s', String(longestString)]
  return ['strace', '-f', '-y', '--seccomp-bpf', ...calls, ...strings, '-o', log]
}

function unescaped(text: string): Buffer {
  return Buffer.from(text.replaceAll('\\x', ''), 'hex')
}

const hexed = /^(?:\\x[0-9a-f]{2})*$/
/** A call on a descriptor (with its path) or on a path: name, path, the rest. */
const callPattern = /^(\w+)\((?:\d+<([^>]*)>|"([^"]*)")(.*)$/
const writePattern = /^, "((?:\\x..)*)", (\d+), (\d+)\) += (\d+)$/
const truncatePattern = /^, (\d+)\) += 0$/

/** `-xx` spells paths in hex as well. */
function spelled(text: string): string {
  return hexed.test(text) ? unescaped(text).toString() : text
}

/** Undefined for calls on other folders' files, and for those that changed nothing. */
function parseCall(text: string, folder: string): TracedCall | undefined {
  const [, name, descriptor, named, rest = ''] = callPattern.exec(text) ?? []
  const path = spelled(descriptor ?? named ?? '')
  if (path !== folder && !path.startsWith(`${folder}/`)) return undefined
  const file = basename(path)
  const succeeded = / = 0$/.test(rest)
  if (name === 'pwrite64') {
    const [, hex = '', , at, written] = writePattern.exec(rest) ?? []
    const bytes = unescaped(hex)
    if (bytes.length === Number(written)) return { kind: 'write', file, at: Number(at), bytes }
  }
  if (name === 'fsync' || name === 'fdatasync') {
    return succeeded ? { kind: 'sync', file } : { kind: 'sync', file, failed: true }
  }
  const cut = name === 'ftruncate' ? truncatePattern.exec(rest) : null
  if (cut !== null) return { kind: 'truncate', file, size: Number(cut[1]) }
  if (name === 'unlink') return succeeded ? { kind: 'unlink', file } : undefined
  throw new Error(`a call that the simulation does not know: ${name} ${path} ${rest.slice(-200)}`)
}

/** The calls of a trace; interrupted ones are put together again. */
export async function* traceLines(log: string): AsyncGenerator<string> {
  const unfinished = new Map<string, string>()
  for await (const line of createInterface({ input: createReadStream(log) })) {
    const [, pid = '', text = ''] = /^(\d+) +(.*)$/.exec(line) ?? []
    if (text.startsWith('+++') || text.startsWith('---')) continue
    if (text.endsWith(' <unfinished ...>')) {
      unfinished.set(pid, text.slice(0, -' <unfinished ...>'.length))
      continue
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(text)
    yield resumed === null ? text : `${unfinished.get(pid) ?? ''}${resumed[1]}`
  }
}

/** Reads what was done to a folder's files. */
export async function readTrace(log: string, folder: string): Promise<TracedCall[]> {
  const calls: TracedCall[] = []
  for await (const text of traceLines(log)) {
    const call = parseCall(text, folder)
    if (call !== undefined) calls.push(call)
  }
  return calls
}
