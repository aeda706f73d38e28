import { setImmediate } from 'node:timers/promises'
import type { Store } from 'eventuali'
import { type Latencies, latenciesOf } from './percentiles.ts'
import type { RawDriver } from './raw-driver.ts'

/** What one workload came to. */
export interface WorkloadResult {
  readonly workload: string
  readonly operations: number
  readonly events: number
  readonly seconds: number
  readonly eventsPerSecond: number
  /** Of one operation. */
  readonly latency: Latencies | undefined
  /** The same events by the driver alone; undefined where there is no such thing. */
  readonly rawEventsPerSecond: number | undefined
  /** Ours over the driver's. */
  readonly ratio: number | undefined
}

/** How much to do. */
export interface BenchmarkOptions {
  /** For each workload, and as long again for the driver alone. */
  readonly milliseconds: number
  /** Bytes of an event's data, about. */
  readonly bytes: number
  readonly callers: number
  readonly signal: AbortSignal
  readonly onProgress: (workload: string, share: number) => void
}

/** All streams of a benchmark are of this category: no other program should use it. */
export const benchmarkCategory = 'EventualiBenchmark'

const TYPE = 'BenchmarkRan'
const BATCH_COUNT = 100
const STREAM_COUNT = 16
const READ_COUNT = 50
/** Ours and the driver's in turns, so that neither has the quieter machine. */
const SLICE_COUNT = 4
const EVENTS_MAX = 200_000
/** Synchronous drivers let nobody else run; Ctrl-C is looked for this often. */
const YIELD_MS = 50

/** One operation; gives how many events it moved. */
type Operation = (n: number) => Promise<number> | number

interface Workload {
  readonly name: string
  readonly callers: number
  readonly ours: Operation
  readonly raw?: Operation | undefined
}

interface Measured {
  readonly latenciesMs: number[]
  events: number
  ms: number
}

const nothing = (): Measured => ({ latenciesMs: [], events: 0, ms: 0 })

function dataOf(bytes: number): { readonly text: string } {
  return { text: 'x'.repeat(Math.max(0, bytes - '{"text":""}'.length)) }
}

function workloadsOf(
  store: Store,
  space: string,
  raw: RawDriver | undefined,
  { bytes, callers }: BenchmarkOptions,
): readonly Workload[] {
  const data = dataOf(bytes)
  const text = JSON.stringify(data)
  const event = { type: TYPE, data }
  const batch = Array.from({ length: BATCH_COUNT }, () => event)
  const texts = Array.from({ length: BATCH_COUNT }, () => text)
  const append = async (stream: string, count: number): Promise<number> => {
    await store.append(`${space}-${stream}`, count === 1 ? event : batch)
    return count
  }
  const read = `${space}-read`
  const filled = async () => {
    const there = await store.stream(read)
    if (there === undefined) await store.append(read, batch.slice(0, READ_COUNT))
  }
  return [
    {
      ...{ name: 'append, one caller', callers: 1 },
      ours: (n) => append(`single-${n % STREAM_COUNT}`, 1),
      raw: raw && (() => raw.one(text)),
    },
    {
      ...{ name: `append, ${callers} callers`, callers },
      ours: (n) => append(`callers-${n % (2 * STREAM_COUNT)}`, 1),
    },
    {
      ...{ name: `append, ${BATCH_COUNT} events at once`, callers: 1 },
      ours: (n) => append(`batch-${n % STREAM_COUNT}`, BATCH_COUNT),
      raw: raw && (() => raw.many(texts)),
    },
    {
      ...{ name: `read a stream of ${READ_COUNT}`, callers: 1 },
      ours: async () => {
        await filled()
        return (await store.readStream(read).toArray()).length
      },
      raw: raw && (() => raw.read(READ_COUNT, text)),
    },
    {
      ...{ name: 'read the log, 1,000 events', callers: 1 },
      ours: async () => {
        const options = { categories: [benchmarkCategory], limit: 1000 }
        return (await store.readAll(options).toArray()).length
      },
    },
  ]
}

/** Runs an operation for so long with so many callers, and adds up what it took. */
async function runFor(
  operation: Operation,
  callers: number,
  ms: number,
  measured: Measured,
  signal: AbortSignal,
): Promise<void> {
  const begun = performance.now()
  let yieldAt = begun + YIELD_MS
  let next = measured.latenciesMs.length
  const caller = async (): Promise<void> => {
    for (;;) {
      signal.throwIfAborted()
      const start = performance.now()
      if (start - begun >= ms || measured.events >= EVENTS_MAX) return
      const moved = await operation(next++)
      // Added after the wait: others have added theirs meanwhile.
      measured.events += moved
      const end = performance.now()
      measured.latenciesMs.push(end - start)
      if (end < yieldAt) continue
      await setImmediate()
      yieldAt = performance.now() + YIELD_MS
    }
  }
  const ended = await Promise.allSettled(Array.from({ length: callers }, caller))
  const failed = ended.find(({ status }) => status === 'rejected')
  if (failed !== undefined) throw (failed as PromiseRejectedResult).reason
  measured.ms += performance.now() - begun
}

const perSecond = ({ events, ms }: Measured): number => (ms === 0 ? 0 : (1000 * events) / ms)

/**
 * Measures appends and reads in a space of streams of their own, and the driver alone beside it.
 * What it appends is for the caller to remove, also when it throws.
 */
export async function runBenchmark(
  store: Store,
  space: string,
  raw: RawDriver | undefined,
  options: BenchmarkOptions,
): Promise<readonly WorkloadResult[]> {
  const { milliseconds, signal, onProgress } = options
  const results: WorkloadResult[] = []
  const workloads = workloadsOf(store, space, raw, options)
  for (const [i, { name, callers, ours, raw: rawOperation }] of workloads.entries()) {
    const own = nothing()
    const driver = nothing()
    // The first ones meet cold code and connections that are yet to open.
    await ours(0)
    await rawOperation?.(0)
    for (let slice = 0; slice < SLICE_COUNT; slice++) {
      onProgress(name, (i + slice / SLICE_COUNT) / workloads.length)
      const ms = milliseconds / SLICE_COUNT
      await runFor(ours, callers, ms, own, signal)
      if (rawOperation !== undefined) await runFor(rawOperation, 1, ms, driver, signal)
    }
    const eventsPerSecond = perSecond(own)
    const rawEventsPerSecond = rawOperation === undefined ? undefined : perSecond(driver)
    results.push({
      workload: name,
      operations: own.latenciesMs.length,
      ...{ events: own.events, seconds: own.ms / 1000, eventsPerSecond, rawEventsPerSecond },
      latency: latenciesOf(own.latenciesMs),
      ratio: rawEventsPerSecond && eventsPerSecond / rawEventsPerSecond,
    })
  }
  return results
}

/** Deletes all streams of benchmarks, of this one or of every one; gives how many there were. */
export async function removeBenchmarks(store: Store, prefix: string): Promise<number> {
  let count = 0
  for await (const { stream, state } of store.streams({ prefix })) {
    if (state === 'deleted') continue
    await store.deleteStream(stream, { reason: 'end of a benchmark' })
    count++
  }
  return count
}
