import { spawn } from 'node:child_process'
import { delimiter, dirname } from 'node:path'

/** How a child process went. */
export interface RunResult {
  readonly exitCode: number
  /** Standard output and standard error, as they came. */
  readonly output: string
  readonly stdout: string
  readonly seconds: number
}

/** Bounds and surroundings of a child process. */
export interface RunOptions {
  readonly timeoutMs: number
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** Also shows the output while it comes. */
  readonly show?: boolean
}

/** Runs a program to its end. A `node` it starts by name is the one it runs on itself. */
export function run(
  program: string,
  args: readonly string[],
  options: RunOptions,
): Promise<RunResult> {
  const started = performance.now()
  const path = `${dirname(program)}${delimiter}${process.env.PATH ?? ''}`
  const child = spawn(program, args, {
    cwd: options.cwd ?? process.cwd(),
    env: { ...process.env, PATH: path, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: options.timeoutMs,
    killSignal: 'SIGTERM',
  })
  let output = ''
  let stdout = ''
  const take = (chunk: string): void => {
    output += chunk
    if (options.show === true) process.stdout.write(chunk)
  }
  // Characters of several bytes may be cut by the pipe; the decoder puts them together.
  child.stdout.setEncoding('utf8')
  child.stderr.setEncoding('utf8')
  child.stdout.on('data', (chunk: string) => {
    stdout += chunk
    take(chunk)
  })
  child.stderr.on('data', take)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    // A grandchild that outlives the program must not hold us by the pipe it has inherited.
    child.once('exit', () => setTimeout(() => child.stdout.destroy(), 5_000).unref())
    child.once('exit', () => setTimeout(() => child.stderr.destroy(), 5_000).unref())
    child.once('close', (code, signal) => {
      const seconds = (performance.now() - started) / 1000
      const ended = signal === null ? '' : `\nended by ${signal} after ${seconds.toFixed(0)} s\n`
      resolve({ exitCode: code ?? 1, output: output + ended, stdout, seconds })
    })
  })
}
