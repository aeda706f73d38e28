import {
  type Clock,
  type IdSource,
  type Random,
  seededRandom,
  uuidV7Source,
} from '../../kernel/index.ts'
import type { EventStore } from '../../ports/index.ts'
import type { FaultModel } from './fault-model.ts'
import { type Caller, faultyPort } from './faulty-port.ts'
import type { Trace } from './trace.ts'
import type { Owner, VirtualTime } from './virtual-time.ts'

/** A program's life in a simulation, from its start to its crash: what to hand to `openStore`. */
export interface Machine {
  readonly name: string
  /** The wall clock is the machine's own and may jump; `monotonic` is the simulation's time. */
  readonly clock: Clock
  readonly random: Random
  readonly ids: IdSource
  /** The store that all machines share, reached over a connection on which things go wrong. */
  readonly port: EventStore
  readonly isGone: boolean
  /** Resolves at the crash. */
  readonly gone: Promise<void>
  /**
   * Ends it without a word: its timers never fire, its calls never return, its open transactions
   * are rolled back. What had reached the store stays there.
   */
  crash(): void
  /** Nothing happens on it for so long: a frozen program, which takes itself for alive after. */
  pause(ms: number): void
  /** Lets its wall clock jump, ahead or back. */
  jump(ms: number): void
}

/** What machines are made of. */
export interface MachineParts {
  readonly time: VirtualTime
  readonly trace: Trace
  readonly faults: FaultModel
  readonly storage: EventStore
  readonly wallMs: number
}

/** The machine as the port sees it. */
export class SimulatedMachine implements Machine, Owner, Caller {
  readonly name: string
  readonly clock: Clock
  readonly random: Random
  readonly ids: IdSource
  readonly port: EventStore
  readonly gone: Promise<void>
  isGone = false
  pausedUntilMs = 0
  readonly #parts: MachineParts
  readonly #atCrash = new Set<() => void>()
  #wallMs: number

  constructor(name: string, seed: number, parts: MachineParts) {
    this.name = name
    this.#parts = parts
    this.#wallMs = parts.wallMs
    const { time } = parts
    this.clock = {
      now: () => Math.trunc(this.#wallMs + time.nowMs),
      monotonic: () => time.nowMs,
      timer: (ms, callback) => this.in(ms, callback),
    }
    this.random = seededRandom(seed)
    this.ids = uuidV7Source(this.clock, this.random)
    const { promise, resolve } = Promise.withResolvers<void>()
    this.gone = promise
    this.#atCrash.add(resolve)
    this.port = faultyPort(parts.storage, this, parts.faults)
  }

  note(text: string): void {
    this.#parts.trace.add(`${this.#parts.time.nowMs.toFixed(3)} ${this.name} ${text}`)
  }

  in(ms: number, run: () => void): () => void {
    return this.#parts.time.in(ms, this, run)
  }

  /** Calls back at the crash unless the returned function was called before. */
  onCrash(callback: () => void): () => void {
    this.#atCrash.add(callback)
    return () => this.#atCrash.delete(callback)
  }

  crash(): void {
    if (this.isGone) return
    this.isGone = true
    this.#parts.faults.count('crash')
    this.note('crashes')
    const callbacks = [...this.#atCrash]
    this.#atCrash.clear()
    for (const callback of callbacks) callback()
  }

  pause(ms: number): void {
    this.#parts.faults.count('pause')
    this.note(`is paused for ${ms.toFixed(3)}`)
    this.pausedUntilMs = Math.max(this.pausedUntilMs, this.#parts.time.nowMs + ms)
  }

  jump(ms: number): void {
    this.#parts.faults.count('clock jump')
    this.note(`jumps by ${ms}`)
    this.#wallMs += ms
  }
}
