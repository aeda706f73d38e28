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
  /** The user that it runs as; only root may choose. */
  readonly uid?: number
  /** Variables beside those of this process. */
  readonly env?: Readonly<Record<string, string>>
  /** Gets the process while it runs: to send signals, to close pipes. */
  readonly during?: (child: ChildProcess) => void
}

/** Runs the real program until it ends. */
export function runCli(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const { input, cwd, nodeFlags = [], during, env, uid } = options
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...nodeFlags, bin, ...argv], {
      cwd,
      env: { ...process.env, ...env },
      ...(uid === undefined ? {} : { uid }),
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
