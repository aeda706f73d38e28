import { isEventualiError, type Store } from '../../src/index.ts'
import type { Random } from '../../src/kernel/index.ts'
import type { Acknowledged } from './ledger.ts'

/** Writers in this process that go on through whatever happens, and keep the books. */
export interface BoundedWriters {
  readonly ledger: readonly Acknowledged[]
  /** How long calls took beyond their own deadline. */
  readonly overdueMs: readonly number[]
  /** Codes of errors with how often each came. */
  readonly errors: ReadonlyMap<string, number>
  /** Stops after the call at hand. */
  stop(): Promise<void>
  /** Resolves when every writer has had another append acknowledged. */
  allSucceed(): Promise<void>
}

export interface BoundedWritersOptions {
  readonly writerCount: number
  readonly batchCountMax: number
  readonly timeoutMs: number
  readonly random: Random
  /** Planted bug: appends again after an error, as new events. */
  readonly mutant?: 'retries-blindly' | undefined
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Starts them. */
export function startBoundedWriters(store: Store, options: BoundedWritersOptions): BoundedWriters {
  const { random, timeoutMs, writerCount } = options
  const ledger: Acknowledged[] = []
  const overdueMs: number[] = []
  const errors = new Map<string, number>()
  const successes = Array.from({ length: writerCount }, () => 0)
  let stopped = false
  const attempt = async (
    stream: string,
    events: readonly { type: string; data: unknown }[],
  ): Promise<{ version: number; position: number } | undefined> => {
    const startedAt = performance.now()
    try {
      return await store.append(stream, events, { timeoutMs })
    } catch (error) {
      const code = isEventualiError(error) ? error.code : `not ours: ${String(error)}`
      errors.set(code, (errors.get(code) ?? 0) + 1)
      return undefined
    } finally {
      overdueMs.push(performance.now() - startedAt - timeoutMs)
    }
  }
  const write = async (number: number): Promise<void> => {
    for (let batch = 1; !stopped; batch++) {
      const size = 1 + Math.floor(random.next() * options.batchCountMax)
      const stream = `ledger-${1 + Math.floor(random.next() * 20)}`
      const events = Array.from({ length: size }, (_, index) => ({
        type: 'Noted',
        data: { writer: `w${number}`, batch, size, index },
      }))
      let result = await attempt(stream, events)
      while (result === undefined && options.mutant === 'retries-blindly' && !stopped) {
        await pause(200)
        result = await attempt(stream, events)
      }
      if (result === undefined) {
        await pause(20)
        continue
      }
      const { version, position } = result
      ledger.push({ batch: `w${number} ${batch}`, size, stream, version, position })
      successes[number] = (successes[number] ?? 0) + 1
    }
  }
  const running = Promise.all(successes.map((_, number) => write(number)))
  return {
    ...{ ledger, overdueMs, errors },
    stop: async () => {
      stopped = true
      await running
    },
    allSucceed: async () => {
      const before = [...successes]
      while (successes.some((count, n) => count <= (before[n] ?? 0))) await pause(5)
    },
  }
}
