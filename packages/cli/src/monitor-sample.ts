import { freemem, loadavg, totalmem } from 'node:os'
import {
  type ConsumerLag,
  consumerLag,
  type PoolStatistics,
  type StorageState,
  type Store,
} from 'eventuali'
import { type MeasuredLag, withRates } from './lag-rates.ts'
import { type Latencies, latenciesOf } from './percentiles.ts'

/** What the monitor shows at a moment. */
export interface MonitorSample {
  readonly at: Date
  readonly adapter: string
  readonly positions: { readonly safe: number; readonly newest: number }
  /** Positions that the log grew by in a second, since the sample before. */
  readonly positionsPerSecond: number | undefined
  /** Reads of the newest event, the last ones: how long they took. */
  readonly read: Latencies | undefined
  readonly consumers: readonly MeasuredLag[]
  readonly deadLetters: number
  /** Whether there are more than were counted. */
  readonly deadLettersMore: boolean
  readonly storage: StorageState | undefined
  readonly pool: PoolStatistics | undefined
  /** The monitor's own program: the one that holds the store, where it holds it itself. */
  readonly program: {
    /** Of one core, since the sample before. */
    readonly cpuShare: number | undefined
    readonly residentBytes: number
    readonly heapBytes: number
  }
  readonly machine: {
    readonly load1: number
    readonly freeBytes: number
    readonly totalBytes: number
  }
}

interface Before {
  readonly ms: number
  readonly newest: number
  readonly cpu: NodeJS.CpuUsage
  readonly consumers: readonly ConsumerLag[]
}

const PROBES_KEPT = 120
const LETTERS_COUNTED_MAX = 1000

/** Takes samples of a store, each with what changed since the one before. */
export class Sampler {
  readonly #store: Store
  readonly #signal: AbortSignal
  readonly #probesMs: number[] = []
  #before: Before | undefined

  constructor(store: Store, signal: AbortSignal) {
    this.#store = store
    this.#signal = signal
  }

  async take(): Promise<MonitorSample> {
    const { port, adapter } = this.#store
    const call = { signal: this.#signal }
    const positions = await this.#probe()
    const consumers = await consumerLag(this.#store, call)
    const query = { kind: 'letter', state: 'parked', limit: LETTERS_COUNTED_MAX + 1 }
    const letters = await port.records.list(query, call)
    const storage = await port.storage?.(call)
    const before = this.#before
    const now = { ms: performance.now(), cpu: process.cpuUsage() }
    this.#before = { ...now, newest: positions.newest, consumers }
    const elapsedMs = before === undefined ? undefined : now.ms - before.ms
    const { rss, heapUsed } = process.memoryUsage()
    return {
      ...{ at: new Date(), adapter, positions, storage, pool: port.pool?.() },
      positionsPerSecond:
        before && elapsedMs && (1000 * (positions.newest - before.newest)) / elapsedMs,
      read: latenciesOf(this.#probesMs),
      consumers: withRates(before?.consumers ?? [], consumers, elapsedMs ?? 1),
      deadLetters: Math.min(letters.length, LETTERS_COUNTED_MAX),
      deadLettersMore: letters.length > LETTERS_COUNTED_MAX,
      program: {
        cpuShare: before && elapsedMs && cpuMs(before.cpu, now.cpu) / elapsedMs,
        ...{ residentBytes: rss, heapBytes: heapUsed },
      },
      machine: { load1: loadavg()[0] ?? 0, freeBytes: freemem(), totalBytes: totalmem() },
    }
  }

  /** Reads the newest event, and remembers how long it took. */
  async #probe(): Promise<MonitorSample['positions']> {
    const { port } = this.#store
    const call = { signal: this.#signal }
    const begun = performance.now()
    const { safe, newest } = await port.positions(call)
    const query = { upTo: newest, limit: 1, pageSize: 1, direction: 'backward' } as const
    for await (const _ of port.readLog(query, call)) break
    this.#probesMs.push(performance.now() - begun)
    if (this.#probesMs.length > PROBES_KEPT) this.#probesMs.shift()
    return { safe, newest }
  }
}

const cpuMs = (before: NodeJS.CpuUsage, now: NodeJS.CpuUsage): number =>
  (now.user + now.system - before.user - before.system) / 1000
