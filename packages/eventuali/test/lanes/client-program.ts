import { openStore, type Store } from '../../src/index.ts'
import { seededRandom } from '../../src/kernel/index.ts'
import { programInput, runProgram, tell, told, writeLine } from '../harness/program.ts'

/** What the program opens; then it waits for jobs. */
export interface ClientProgramInput {
  readonly url: string
}

/** One process's part of one history. */
export interface ClientJob {
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
  /** A planted bug, and what it is called. */
  readonly mutant?: string | undefined
}

/** One client of a job. */
export interface Client {
  readonly store: Store
  readonly job: ClientJob
  readonly name: string
  readonly firstMark: number
  /** Shared by the clients of the process. */
  readonly shared: Map<string, unknown>
  between(low: number, high: number): number
  /** How many calls it has made. */
  readonly count: number
  /** Writes a call down, makes it, writes down how it ended; all of it survives a SIGKILL. */
  make<R extends object>(call: object, work: () => Promise<R>): Promise<R>
}

function clientOf(
  store: Store,
  job: ClientJob,
  { name, firstMark }: ClientJob['clients'][number],
  shared: Map<string, unknown>,
  made: () => void,
): Client {
  const random = seededRandom(job.seed + firstMark)
  const zero = BigInt(job.zero)
  const now = (): number => Number(process.hrtime.bigint() - zero)
  const write = (kind: string, line: object): void => {
    writeLine(`${job.name} ${kind} ${JSON.stringify(line)}`)
  }
  let count = 0
  return {
    ...{ store, job, name, firstMark, shared },
    between: (low, high) => low + Math.floor(random.next() * (high - low + 1)),
    get count() {
      return count
    },
    make: async (call, work) => {
      const key = `${name}-${++count}`
      write('called', { key, client: name, called: now(), ...call })
      const running = work()
      made()
      const outcome = await running
      write('returned', { key, returned: now(), ...outcome })
      return outcome
    },
  }
}

/** Runs the clients of one job after another. */
export function runClients(body: (client: Client) => Promise<void>): void {
  runProgram(async () => {
    const { url } = programInput<ClientProgramInput>()
    await using store = await openStore(url)
    tell('ready')
    for (;;) {
      const job = await told<ClientJob>()
      if (job.name === '') return
      let count = 0
      const made = (): void => {
        if (++count === job.tellsAt) tell('under way', job.name)
      }
      const shared = new Map<string, unknown>()
      await Promise.all(job.clients.map((one) => body(clientOf(store, job, one, shared, made))))
      writeLine(`${job.name} end {}`)
      tell('done', job.name)
    }
  })
}
