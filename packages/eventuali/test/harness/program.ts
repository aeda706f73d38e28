/** What a child program uses to talk to the test that started it. */

/** The input that the test gave. */
export function programInput<T>(): T {
  return JSON.parse(process.argv[2] ?? 'null') as T
}

/** Tells the test something. */
export function tell(kind: string, value?: unknown): void {
  process.send?.({ kind, value })
}

/** Resolves at the test's next message. */
export function told<T = unknown>(): Promise<T> {
  return new Promise((resolve) => process.once('message', (message) => resolve(message as T)))
}

/** Runs the program; a failure is told, and ends it with code 1. */
export function runProgram(body: () => Promise<void>): void {
  // A test that is gone leaves no process behind.
  process.on('disconnect', () => process.exit(3))
  body().then(
    () => process.disconnect?.(),
    (error: unknown) => {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
      console.error(text)
      if (process.send === undefined) process.exit(1)
      process.send({ kind: 'failed', value: text }, () => process.exit(1))
    },
  )
}
