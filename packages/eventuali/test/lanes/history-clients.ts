import { writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { openStore } from '../../src/index.ts'
import { seededRandom } from '../../src/kernel/index.ts'
import { programInput, runProgram, tell, told } from '../harness/program.ts'
import type { AppendCall, Expected, Operation, Outcome } from '../harness/stream-history.ts'
import { type CallBounds, callsOf, type StreamCalls } from './history-calls.ts'
import { mutate, type StreamMutant } from './history-mutants.ts'

/** What the program opens; then it waits for jobs. */
export interface HistoryClientsInput {
  readonly url: string
}

/** One process's part of one history. */
export interface HistoryJob {
  /** Names the history: its streams, and the lines that tell of it. */
  readonly name: string
  readonly seed: number
  /** Nanoseconds of the monotonic clock that count as 0. */
  readonly zero: string
  readonly clients: readonly { readonly name: string; readonly firstMark: number }[]
  readonly callCount: number
  readonly streamCount: number
  /** Tells the test when so many calls were made: it may kill then. */
  readonly tellsAt: number
  readonly mutant?: StreamMutant | undefined
}

/** A call as it is written down before it is made; it survives a SIGKILL. */
export type CalledLine = Pick<Operation, 'client' | 'stream' | 'called' | 'call'> & {
  readonly key: string
}

/** How it ended. */
export type ReturnedLine = Pick<Operation, 'returned' | 'outcome'> & { readonly key: string }

const timeoutMs = 20_000

/** One client: draws calls, makes them one after another and writes down what happens. */
async function client(
  job: HistoryJob,
  calls: StreamCalls,
  { name, firstMark }: HistoryJob['clients'][number],
  made: () => void,
): Promise<void> {
  const random = seededRandom(job.seed + firstMark)
  const between = (low: number, high: number) => low + Math.floor(random.next() * (high - low + 1))
  const zero = BigInt(job.zero)
  const now = (): number => Number(process.hrtime.bigint() - zero)
  const write = (kind: string, line: CalledLine | ReturnedLine): void => {
    writeSync(1, `${job.name} ${kind} ${JSON.stringify(line)}\n`)
  }
  const seen = new Map<string, number>()
  let mark = firstMark
  let count = 0
  const make = async (
    stream: string,
    call: Operation['call'],
    work: () => Promise<Outcome>,
  ): Promise<Outcome> => {
    const key = `${name}-${++count}`
    write('called', { key, client: name, stream, called: now(), call })
    const running = work()
    made()
    const outcome = await running
    write('returned', { key, returned: now(), outcome })
    if ('version' in outcome && outcome.version >= 0) seen.set(stream, outcome.version)
    return outcome
  }
  const bounds = (): CallBounds & { readonly givenUp: boolean } => {
    const chance = between(1, 100)
    if (chance <= 8) return { timeoutMs: random.next() * 8 + 0.1, givenUp: true }
    if (chance > 14) return { timeoutMs, givenUp: false }
    const abort = new AbortController()
    setTimeout(() => abort.abort(), random.next() * 6)
    return { signal: abort.signal, timeoutMs, givenUp: true }
  }
  const append = async (stream: string): Promise<void> => {
    const known = seen.get(stream) ?? 0
    const choices: readonly Expected[] = [known, known, known, known, 'any', 'any', 'exists', 0]
    const call: AppendCall = {
      kind: 'append',
      marks: Array.from({ length: between(1, 3) }, () => ++mark),
      expected: choices[between(0, choices.length - 1)] ?? 'any',
      given: between(1, 10) <= 4,
    }
    const attempt = () => {
      const { givenUp: _, ...given } = bounds()
      return make(stream, call, () => calls.append(stream, call, given))
    }
    const { is } = await attempt()
    // With ids it may come again, whatever was told: after a doubt, and just so.
    const again = call.given && (is === 'unknown' || is === 'refused' || between(1, 3) === 1)
    if (again && count < job.callCount) await attempt()
  }
  while (count < job.callCount) {
    // New streams come up all the time, so that there are absent ones.
    const stream = `${job.name}-${between(0, job.streamCount - 1 + Math.floor(count / 12))}`
    if (between(1, 4) > 1) await append(stream)
    else {
      const last = ([0, 2, 'all', 'all'] as const)[between(0, 3)] ?? 'all'
      const call = { kind: 'read', last } as const
      await make(stream, call, () => calls.read(stream, call))
    }
    if (between(1, 8) === 1) await sleep(between(0, 4))
  }
}

runProgram(async () => {
  const { url } = programInput<HistoryClientsInput>()
  await using store = await openStore(url)
  tell('ready')
  for (;;) {
    const job = await told<HistoryJob | { readonly name: '' }>()
    if (job.name === '') return
    const history = job as HistoryJob
    const chance = seededRandom(history.seed)
    const calls = mutate(callsOf(store), history.mutant, () => chance.next() < 0.2)
    let count = 0
    const made = (): void => {
      if (++count === history.tellsAt) tell('under way', history.name)
    }
    await Promise.all(history.clients.map((one) => client(history, calls, one, made)))
    writeSync(1, `${history.name} end {}\n`)
    tell('done', history.name)
  }
})
