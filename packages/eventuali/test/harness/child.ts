import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A process that runs one of the programs of this folder's neighbours. */
export interface Child {
  readonly process: ChildProcess
  /** Everything it wrote to its standard output so far; it survives a SIGKILL. */
  readonly output: () => string
  /** Resolves when it has ended, however. */
  readonly ended: Promise<number | NodeJS.Signals>
  send(message: unknown): void
  /** The next message of this kind; rejects when the child ends or fails before. */
  message<T = unknown>(kind: string, timeoutMs?: number): Promise<T>
  kill(signal?: NodeJS.Signals): void
}

export interface ChildOptions {
  /** What the program gets; `childArguments()` reads it there. */
  readonly input: unknown
  /** In front of the command: `strace …`. */
  readonly before?: readonly string[]
  readonly nodeOptions?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

interface Message {
  readonly kind: string
  readonly value?: unknown
}

const tests = fileURLToPath(new URL('..', import.meta.url))
const cache = join(tmpdir(), 'eventuali-compile-cache')

/** The program in few files, where the run of the tests has built it: it starts sooner. */
function builtProgram(source: string): string | undefined {
  const folder = process.env.EVENTUALI_PROGRAMS
  if (folder === undefined) return undefined
  const name = relative(tests, source).replace(/\.ts$/, '.mjs')
  const file = join(folder, name)
  return existsSync(file) ? file : undefined
}

/** Starts a program beside the calling file. */
export function startChild(from: string, program: string, options: ChildOptions): Child {
  const source = fileURLToPath(new URL(program, from))
  const file = builtProgram(source) ?? source
  mkdirSync(cache, { recursive: true })
  const node = [process.execPath, '--disable-warning=ExperimentalWarning']
  const words = [...(options.before ?? []), ...node, ...(options.nodeOptions ?? [])]
  const [command = '', ...args] = [...words, file, JSON.stringify(options.input)]
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...process.env, NODE_COMPILE_CACHE: cache, NODE_OPTIONS: '', ...options.env },
  })
  return watched(child, program)
}

function watched(child: ChildProcess, program: string): Child {
  const out: Buffer[] = []
  const complaints: Buffer[] = []
  const queue: Message[] = []
  const waiters = new Set<() => void>()
  let over: number | NodeJS.Signals | undefined
  const wake = (): void => {
    for (const waiter of [...waiters]) waiter()
  }
  child.stdout?.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => complaints.push(chunk))
  child.on('message', (message) => {
    queue.push(message as Message)
    wake()
  })
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    // `close` comes after the last byte of the pipes, which `exit` does not wait for.
    child.once('close', (code, signal) => {
      over = signal ?? code ?? 0
      resolve(over)
      wake()
    })
  })
  const take = (kind: string): Message | undefined => {
    const at = queue.findIndex((message) => message.kind === kind || message.kind === 'failed')
    return at === -1 ? undefined : queue.splice(at, 1)[0]
  }
  const message = async <T>(kind: string, timeoutMs = 120_000): Promise<T> => {
    const until = performance.now() + timeoutMs
    for (;;) {
      const found = take(kind)
      if (found?.kind === kind) return found.value as T
      const why = Buffer.concat(complaints).toString().slice(-4000)
      if (found !== undefined) throw new Error(`${program} failed: ${String(found.value)}\n${why}`)
      if (over !== undefined) throw new Error(`${program} ended with ${over}\n${why}`)
      const leftMs = until - performance.now()
      if (leftMs <= 0) throw new Error(`${program} sent no ${kind} in ${timeoutMs} ms\n${why}`)
      await new Promise<void>((resolve) => {
        const done = (): void => {
          clearTimeout(timer)
          waiters.delete(done)
          resolve()
        }
        const timer = setTimeout(done, leftMs)
        waiters.add(done)
      })
    }
  }
  return {
    process: child,
    ended,
    message,
    output: () => Buffer.concat(out).toString(),
    send: (value) => {
      if (child.connected) child.send(value as object, () => {})
    },
    kill: (signal = 'SIGKILL') => {
      child.kill(signal)
    },
  }
}

/** Ends children that a failed test left behind. */
export async function endChildren(children: readonly Child[]): Promise<void> {
  for (const child of children) child.kill('SIGKILL')
  await Promise.all(children.map((child) => child.ended))
}
