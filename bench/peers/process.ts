import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { PeerAnswer, PeerOrder } from './orders.ts'

/** How a peer's process is started. */
export interface PeerCommand {
  readonly command: string
  readonly args: readonly string[]
}

/** What of a peer's complaints is kept. */
const complaintLengthMax = 4000

/** The line that names the error, or the last one. */
function reasonIn(complaints: string): string {
  const lines = complaints.trim().split('\n')
  const named = lines.find((line) => /\b\w*Error: /.test(line))
  return (named ?? lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? '').trim()
}

/**
 * Another library at work in a process of its own. It reads orders as lines of JSON and answers
 * each with one on descriptor 3: its standard output is its own, some libraries print there.
 */
export class PeerProcess {
  readonly #child: ChildProcess
  readonly #timeoutMs: number
  #waiting: { resolve(line: string): void; reject(error: Error): void } | undefined
  #complaints = ''
  #end: Error | undefined

  constructor({ command, args }: PeerCommand, timeoutMs: number) {
    this.#timeoutMs = timeoutMs
    this.#child = spawn(command, [...args], { stdio: ['pipe', 'ignore', 'pipe', 'pipe'] })
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#complaints = (this.#complaints + chunk.toString()).slice(-complaintLengthMax)
    })
    const answers = createInterface({ input: this.#child.stdio[3] as Readable })
    answers.on('line', (line) => this.#waiting?.resolve(line))
    // Its end is told by 'close'; a write to a process that has ended must not end this one.
    this.#child.stdin?.on('error', () => {})
    this.#child.on('error', (error) => this.#ended(error))
    this.#child.on('close', (code, signal) => {
      const reason = reasonIn(this.#complaints)
      this.#ended(new Error(`its process ended (${signal ?? code})${reason && `: ${reason}`}`))
    })
  }

  /** Rejects with the peer's own error, when it is silent for too long, and when it has ended. */
  async ask(order: PeerOrder): Promise<number | string> {
    if (this.#end !== undefined) throw this.#end
    let timer: NodeJS.Timeout | undefined
    try {
      const line = await new Promise<string>((resolve, reject) => {
        this.#waiting = { resolve, reject }
        const late = () => {
          this.#child.kill('SIGKILL')
          reject(new Error(`no answer to "${order.do}" within ${this.#timeoutMs / 1000} s`))
        }
        timer = setTimeout(late, this.#timeoutMs)
        this.#child.stdin?.write(`${JSON.stringify(order)}\n`)
      })
      const { ok, error } = JSON.parse(line) as PeerAnswer
      if (ok === undefined) throw new Error(error ?? 'an answer without a result')
      return ok
    } finally {
      clearTimeout(timer)
      this.#waiting = undefined
    }
  }

  /** Ends it: by the end of its input, or by force when it does not listen. */
  async close(): Promise<void> {
    if (this.#end !== undefined) return
    const closed = once(this.#child, 'close')
    this.#child.stdin?.end()
    const force = setTimeout(() => this.#child.kill('SIGKILL'), 3000)
    await closed
    clearTimeout(force)
  }

  #ended(error: Error): void {
    this.#end ??= error
    this.#waiting?.reject(this.#end)
  }
}
