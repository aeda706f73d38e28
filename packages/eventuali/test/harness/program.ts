/** What a child program uses to talk to the test that started it. */
import { writeSync } from 'node:fs'

/** The input that the test gave. */
export function programInput<T>(): T {
  return JSON.parse(process.argv[2] ?? 'null') as T
}

let lastTold: Promise<void> = Promise.resolve()

/** Tells the test something; the program does not end before it has left. */
export function tell(kind: string, value?: unknown): void {
  const sent = new Promise<void>((resolve) => {
    if (process.send === undefined) resolve()
    else process.send({ kind, value }, () => resolve())
  })
  lastTold = Promise.all([lastTold, sent]).then(() => {})
}

const waiting = new Int32Array(new SharedArrayBuffer(4))
const fullPipeMs = 60_000

/**
 * Writes a line that the test reads from the output, whatever happens to the program next. The
 * pipe does not block: on a busy machine the test reads late and the pipe is full for a while.
 */
export function writeLine(line: string): void {
  let left = Buffer.from(`${line}\n`)
  const until = performance.now() + fullPipeMs
  while (left.length > 0) {
    try {
      left = left.subarray(writeSync(1, left))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || performance.now() > until)
        throw error
      Atomics.wait(waiting, 0, 0, 1)
    }
  }
}

/** Resolves at the test's next message. */
export function told<T = unknown>(): Promise<T> {
  return new Promise((resolve) => process.once('message', (message) => resolve(message as T)))
}

/** Runs the program; a failure is told, and ends it with code 1. */
export function runProgram(body: () => Promise<void>): void {
  // A test that is gone leaves no process behind.
  const orphaned = (): never => process.exit(3)
  process.on('disconnect', orphaned)
  const leave = async (code: number): Promise<void> => {
    await lastTold
    process.off('disconnect', orphaned)
    if (code !== 0) process.exit(code)
    process.disconnect?.()
  }
  body().then(
    () => leave(0),
    (error: unknown) => {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
      console.error(text)
      tell('failed', text)
      return leave(1)
    },
  )
}
