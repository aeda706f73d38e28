import { openStore, type RecordedEvent, type Store } from '../../src/index.ts'
import { programInput, runProgram, tell } from '../harness/program.ts'

/** A consumer that handles one batch in a while, over a backlog far larger than its memory. */
export interface SlowConsumerInput {
  readonly url: string
  readonly name: string
  /** `plain` makes nothing of its name, `group` has 64 partitions, `loop` iterates. */
  readonly kind: 'plain' | 'alone' | 'group' | 'loop'
  readonly batchIntervalMs: number
  readonly durationMs: number
  /** Planted bug: takes every batch at once and keeps it until its turn. */
  readonly mutant?: 'unbounded-buffer' | undefined
}

export interface SlowConsumerReport {
  readonly handled: number
  /** Above what the program took before it subscribed, after a collection of garbage. */
  readonly residentGrowthMiB: number
  readonly heapGrowthMiB: number
  readonly samples: number
}

const input = programInput<SlowConsumerInput>()
const { batchIntervalMs, durationMs } = input
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

interface Memory {
  readonly resident: number
  readonly used: number
}

/** What is really held: Buffers lie beside the heap. */
function memory(): Memory {
  if (globalThis.gc === undefined) throw new Error('needs --expose-gc')
  // The thorough kind, which also hands free pages back to the system.
  globalThis.gc({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  const { rss, heapUsed, external } = process.memoryUsage()
  return { resident: rss, used: heapUsed + external }
}

let handled = 0
const kept: (readonly RecordedEvent[])[] = []

async function slowly(events: readonly RecordedEvent[]): Promise<void> {
  handled += events.length
  if (input.mutant === 'unbounded-buffer') kept.push(events)
  else await pause(batchIntervalMs)
}

function start(store: Store): { stop(): Promise<void>; readonly state: string; error?: unknown } {
  const { kind, name } = input
  const handler = { batch: slowly }
  if (kind === 'plain') return store.subscribe({}, handler)
  if (kind === 'alone') return store.subscribe({ name }, handler)
  if (kind === 'group') return store.subscribe({ name, group: true }, handler)
  const subscription = store.subscribe({ name })
  const loop = async (): Promise<void> => {
    for await (const event of subscription) await slowly([event])
  }
  loop().catch((error: unknown) => tell('failed', String(error)))
  return subscription
}

/** What any program that reads pays once: code and connections, not pages of large events. */
async function warmUp(store: Store): Promise<void> {
  let read = 0
  for (let round = 0; round < 20; round++) {
    for await (const _ of store.readStream('warm-1')) read++
    for await (const _ of store.readAll({ limit: 10 })) read++
  }
  if (read === 0) throw new Error('nothing to read')
}

runProgram(async () => {
  const store = await openStore(input.url)
  await warmUp(store)
  const before = memory()
  const subscription = start(store)
  const endAt = performance.now() + durationMs
  let resident = 0
  let used = 0
  let samples = 0
  while (performance.now() < endAt) {
    await pause(500)
    if (subscription.state === 'failed') throw subscription.error
    const now = memory()
    resident = Math.max(resident, now.resident)
    used = Math.max(used, now.used)
    samples++
  }
  const mebibytes = (bytes: number): number => Math.round(bytes / 1024 / 1024)
  const report: SlowConsumerReport = {
    ...{ handled, samples },
    residentGrowthMiB: mebibytes(resident - before.resident),
    heapGrowthMiB: mebibytes(used - before.used),
  }
  tell('report', report)
  // Waits for the handler at work, as a program would that is asked to end.
  await subscription.stop()
  await store.close()
})
