import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'

const bin = join(import.meta.dirname, '../../eventuali/bin/eventuali.js')

/** How a run of the program ended, and what it printed. */
export interface RunResult {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** What a run may have besides its arguments. */
export interface RunOptions {
  /** Standard input, closed after it; left open when there is none. */
  readonly input?: string
  readonly cwd?: string
  readonly nodeFlags?: readonly string[]
  /** Gets the process while it runs: to send signals, to close pipes. */
  readonly during?: (child: ChildProcess) => void
}

/** Runs the real program until it ends. */
export function runCli(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const { input, cwd, nodeFlags = [], during } = options
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...nodeFlags, bin, ...argv], {
      cwd,
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    let out = ''
    let err = ''
    child.stdout.on('data', (chunk) => {
      out += chunk
    })
    child.stderr.on('data', (chunk) => {
      err += chunk
    })
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, out, err }))
    if (input !== undefined) child.stdin.end(input)
    during?.(child)
  })
}
