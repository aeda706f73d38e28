import { isEventualiError, type Store } from '../../src/index.ts'
import type { Random } from '../../src/kernel/index.ts'
import type { Acknowledged } from './ledger.ts'

/** Writers in this process that go on through whatever happens, and keep the books. */
export interface BoundedWriters {
  readonly ledger: readonly Acknowledged[]
  /** How long calls took beyond their own deadline. */
  readonly overdueMs: readonly number[]
  /** Reads that showed something else than what was acknowledged before. */
  readonly wrong: readonly string[]
  readonly readCount: number
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
  /** Readers beside them; none when left out. */
  readonly readerCount?: number | undefined
  /** Planted bugs: appends again after an error, as new events; takes four times as long. */
  readonly mutant?: 'retries-blindly' | 'ignores-its-deadline' | undefined
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const batchOf = (writer: string, batch: number, size: number) =>
  Array.from({ length: size }, (_, index) => ({
    type: 'Noted',
    data: { writer, batch, size, index },
  }))

/** Reads the end of a stream; what is wrong with it, or the empty text. */
async function problemInRead(
  store: Store,
  stream: string,
  known: number,
  timeoutMs: number,
): Promise<string> {
  const newest = { timeoutMs, direction: 'backward', limit: 50 } as const
  const events = await store.readStream(stream, newest).toArray()
  const last = events[0]?.version ?? 0
  if (last < known) return `${stream}: no version ${known} in a read`
  return events.some(({ version }, n) => version !== last - n) ? `${stream}: a hole` : ''
}

/** Starts them. */
export function startBoundedWriters(store: Store, options: BoundedWritersOptions): BoundedWriters {
  const { random, timeoutMs, writerCount } = options
  const ledger: Acknowledged[] = []
  const overdueMs: number[] = []
  const errors = new Map<string, number>()
  const successes = Array.from({ length: writerCount }, () => 0)
  let stopped = false
  const bound = { timeoutMs: options.mutant === 'ignores-its-deadline' ? 4 * timeoutMs : timeoutMs }
  const attempt = async <T>(call: () => Promise<T>): Promise<T | undefined> => {
    const startedAt = performance.now()
    try {
      return await call()
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
      const events = batchOf(`w${number}`, batch, size)
      const append = () => store.append(stream, events, bound)
      let result = await attempt(append)
      while (result === undefined && options.mutant === 'retries-blindly' && !stopped) {
        await pause(200)
        result = await attempt(append)
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
  const wrong: string[] = []
  let readCount = 0
  const read = async (): Promise<void> => {
    while (!stopped) {
      const stream = `ledger-${1 + Math.floor(random.next() * 20)}`
      const known = ledger.filter((entry) => entry.stream === stream).at(-1)?.version ?? 0
      const problem = await attempt(() => problemInRead(store, stream, known, bound.timeoutMs))
      if (problem !== undefined) readCount++
      if (problem) wrong.push(problem)
      await pause(10)
    }
  }
  const readers = Array.from({ length: options.readerCount ?? 0 }, read)
  const running = Promise.all([...successes.map((_, number) => write(number)), ...readers])
  return {
    ...{ ledger, overdueMs, errors, wrong },
    get readCount() {
      return readCount
    },
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
