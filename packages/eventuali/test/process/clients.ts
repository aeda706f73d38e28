import { monitorEventLoopDelay } from 'node:perf_hooks'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { openStore, type Store } from '../../src/index.ts'
import { seededRandom } from '../../src/kernel/index.ts'
import { programInput, runProgram, tell, told } from '../harness/program.ts'

/** Clients of one process that append to few streams, all at the same time. */
export interface ClientsInput {
  readonly url: string
  readonly seed: number
  readonly clients: readonly string[]
  readonly streamCount: number
  /** Appends of each client; or for so long. */
  readonly appendCount?: number | undefined
  readonly durationMs?: number | undefined
  /** Characters of filler in each event; none when left out. */
  readonly fillerLength?: number | undefined
  /** Milliseconds between two appends of a client. */
  readonly pauseMs?: number | undefined
  readonly timeoutMs: number
  /** Planted bugs, which the test must find. */
  readonly mutant?: 'doubles' | 'stale-writes' | 'does-not-wait' | undefined
}

/** What one process reports at its end. */
export interface ClientsReport {
  readonly acknowledged: readonly string[]
  readonly conflicts: number
  /** Codes of errors that reached a client. */
  readonly errors: readonly string[]
  readonly latenciesMs: readonly number[]
  /** The event loop's delay, beyond the 1 ms between two looks. */
  readonly loopDelayP99Ms: number
}

const input = programInput<ClientsInput>()
const filler = 'x'.repeat(input.fillerLength ?? 0)
const delay = monitorEventLoopDelay({ resolution: 1 })
const acknowledged: string[] = []
const latenciesMs: number[] = []
const errors: string[] = []
let conflicts = 0

function codeOf(error: unknown): string {
  return String((error as { code?: unknown } | null)?.code ?? error)
}

/** Appends once, with the version it has read or without; again after a conflict. */
async function appendOnce(store: Store, stream: string, mark: string, checked: boolean) {
  for (;;) {
    const version = checked ? ((await store.stream(stream))?.version ?? 0) : undefined
    const stale = version === undefined || input.mutant === 'stale-writes'
    const expectedVersion = stale ? 'any' : version
    const startedAt = performance.now()
    try {
      const event = { type: 'Noted', data: { mark, after: version ?? null, filler } }
      await store.append(stream, event, { expectedVersion, timeoutMs: input.timeoutMs })
      const doubles = input.mutant === 'doubles' && acknowledged.length === 3
      if (doubles) await store.append(stream, event)
      acknowledged.push(mark)
      latenciesMs.push(performance.now() - startedAt)
      return
    } catch (error) {
      if (codeOf(error) !== 'VERSION_CONFLICT') {
        errors.push(codeOf(error))
        return
      }
      conflicts++
    }
  }
}

/** Planted bug: takes the lock of a SQLite file as a program does that waits for nobody. */
async function touch(url: string): Promise<void> {
  const database = new DatabaseSync(url.slice('sqlite:'.length), { timeout: 0 })
  try {
    database.exec('BEGIN IMMEDIATE; COMMIT')
  } catch (error) {
    errors.push(String((error as Error).message))
  } finally {
    database.close()
  }
}

runProgram(async () => {
  const store = await openStore(input.url)
  tell('ready')
  await told()
  delay.enable()
  const startedAt = performance.now()
  const client = async (name: string, number: number): Promise<void> => {
    const random = seededRandom(input.seed + number)
    for (let n = 0; n < (input.appendCount ?? Number.POSITIVE_INFINITY); n++) {
      if (performance.now() - startedAt > (input.durationMs ?? Number.POSITIVE_INFINITY)) return
      const stream = `shared-${Math.floor(random.next() * input.streamCount)}`
      if (input.mutant === 'does-not-wait') await touch(input.url)
      else await appendOnce(store, stream, `${name} ${n}`, random.next() < 0.5)
      if (input.pauseMs !== undefined) await sleep(input.pauseMs)
    }
  }
  await Promise.all(input.clients.map(client))
  delay.disable()
  const loopDelayP99Ms = delay.percentile(99) / 1e6 - 1
  const report: ClientsReport = { acknowledged, conflicts, errors, latenciesMs, loopDelayP99Ms }
  tell('report', report)
  await store.close()
})
