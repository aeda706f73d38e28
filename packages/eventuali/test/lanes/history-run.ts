import { setTimeout as sleep } from 'node:timers/promises'
import { openStore, type Store } from '../../src/index.ts'
import type { Campaign } from '../harness/campaign.ts'
import { type Child, endChildren, startChild } from '../harness/child.ts'
import type {
  RecordedTransaction,
  TransactionHistory,
  TransactionStep,
} from '../harness/list-append.ts'
import type { FinalStreams, History, Operation, Outcome } from '../harness/stream-history.ts'
import { FaultyProxy } from '../servers/faulty-proxy.ts'
import type { ClientJob, ClientProgramInput } from './client-program.ts'
import { callsOf } from './history-calls.ts'

const processCount = 4
const clientsOfProcess = 4
/** Marks of one client; no client appends so many events. */
const marksOfClient = 10_000
/** In one history; each costs a new connection, and time. */
const cutCountMax = 10

export interface HistorySettings {
  readonly callCount: number
  readonly streamCount: number
  /** One of the processes is killed on the way, or replies are cut off. */
  readonly trouble: 'none' | 'kill' | 'cuts'
  readonly mutant?: string | undefined
}

/** The programs of this folder that write histories. */
export type ClientProgram = './history-clients.ts' | './transaction-clients.ts'

interface Keyed {
  readonly key: string
}

/** A call as it was written down before it was made, and how it ended, unless it never did. */
export interface RecordedCall<Called, Returned> {
  readonly called: Called
  readonly returned: Returned | undefined
}

/** Four processes that live through many histories; one that was killed is replaced. */
export class ClientProcesses {
  readonly #program: ClientProgram
  readonly #url: string
  readonly #proxy: FaultyProxy | undefined
  readonly #store: Store
  readonly #children: Child[]
  #count = 0

  private constructor(
    program: ClientProgram,
    url: string,
    store: Store,
    proxy: FaultyProxy | undefined,
  ) {
    this.#program = program
    this.#url = url
    this.#store = store
    this.#proxy = proxy
    this.#children = Array.from({ length: processCount }, () => this.#start())
  }

  /** A server is reached through a network that can do harm. */
  static async start(program: ClientProgram, url: string): Promise<ClientProcesses> {
    const server = url.startsWith('sqlite:') ? undefined : new URL(url)
    const proxy = server && (await FaultyProxy.open(Number(server.port)))
    const processes = new ClientProcesses(
      program,
      proxy === undefined ? url : proxy.through(url),
      await openStore(url),
      proxy,
    )
    await Promise.all(processes.#children.map((child) => child.message('ready')))
    return processes
  }

  /** Lets 16 clients do what they do, and collects what they wrote down. */
  async record<Called extends Keyed, Returned extends Keyed>(
    run: Campaign,
    settings: HistorySettings,
  ): Promise<RecordedCall<Called, Returned>[]> {
    const { callCount, streamCount, mutant } = settings
    const name = `h${++this.#count}`
    const zero = String(process.hrtime.bigint())
    const calls = Math.ceil(callCount / processCount / clientsOfProcess)
    const victim = settings.trouble === 'kill' ? run.between(0, processCount - 1) : -1
    const children = [...this.#children]
    const calm = settings.trouble === 'cuts' ? this.#cut(run) : undefined
    await Promise.all(
      children.map(async (child, n) => {
        const job: ClientJob = {
          ...{ name, zero, streamCount, mutant, callCount: calls },
          seed: run.between(1, 2 ** 30),
          tellsAt: n === victim ? run.between(1, calls * clientsOfProcess - 1) : 0,
          clients: Array.from({ length: clientsOfProcess }, (_, m) => ({
            name: `p${n}c${m}`,
            firstMark: (n * clientsOfProcess + m + 1) * marksOfClient,
          })),
        }
        child.send(job)
        if (n === victim) await this.#kill(child, n, run.between(0, 8))
        else await child.message('done')
      }),
    )
    await calm?.()
    const texts = await Promise.all(children.map((child) => written(child, name)))
    return texts.flatMap((text) => callsIn<Called, Returned>(text, name))
  }

  async stop(): Promise<void> {
    for (const child of this.#children) child.send({ name: '' })
    await Promise.all(this.#children.map((child) => Promise.race([child.ended, sleep(2000)])))
    await endChildren(this.#children)
    await this.#store.close()
    await this.#proxy?.close()
  }

  /** Cuts replies, a few, until it is told to stop. */
  #cut(run: Campaign): () => Promise<void> {
    let over = false
    const cutting = async (): Promise<void> => {
      for (let n = 0; n < cutCountMax && !over; n++) {
        await sleep(run.between(20, 120))
        if (run.between(1, 4) === 1) this.#proxy?.reset()
        else this.#proxy?.cutNextReply()
      }
    }
    const running = cutting()
    return async () => {
      over = true
      await running
    }
  }

  async #kill(child: Child, n: number, delayMs: number): Promise<void> {
    const next = this.#start()
    this.#children[n] = next
    await child.message('under way')
    await sleep(delayMs)
    child.kill('SIGKILL')
    await child.ended
    await next.message('ready')
  }

  /** What is there when all have ended: what the order of all appends is taken from. */
  async final(streams: Iterable<string>): Promise<FinalStreams> {
    const final: Record<string, readonly number[]> = {}
    const calls = callsOf(this.#store)
    for (const stream of new Set(streams)) {
      const seen = await calls.read(stream, { kind: 'read', last: 'all' })
      final[stream] = seen.is === 'seen' ? seen.marks : []
    }
    return final
  }

  #start(): Child {
    const input: ClientProgramInput = { url: this.#url }
    return startChild(import.meta.url, this.#program, { input })
  }
}

/** What a process wrote; one that lives says when it is all. */
async function written(child: Child, name: string): Promise<string> {
  for (;;) {
    const text = child.output()
    const over = child.process.exitCode !== null || child.process.signalCode !== null
    if (over || text.includes(`${name} end {}\n`)) return text
    await sleep(1)
  }
}

/** Calls with how they ended. */
function callsIn<Called extends Keyed, Returned extends Keyed>(
  text: string,
  name: string,
): RecordedCall<Called, Returned>[] {
  const called = new Map<string, Called>()
  const returned = new Map<string, Returned>()
  // The last line of a process that was killed may be cut.
  for (const line of text.slice(0, text.lastIndexOf('\n')).split('\n')) {
    const [of, kind, ...rest] = line.split(' ')
    if (of !== name) continue
    const value = JSON.parse(rest.join(' '))
    if (kind === 'called') called.set(value.key, value)
    else if (kind === 'returned') returned.set(value.key, value)
  }
  return [...called].map(([key, call]) => ({ called: call, returned: returned.get(key) }))
}

type CalledStream = Keyed & Pick<Operation, 'client' | 'stream' | 'called' | 'call'>
type ReturnedStream = Keyed & Pick<Operation, 'returned' | 'outcome'>

/** A history of calls to streams. */
export async function recordStreams(
  processes: ClientProcesses,
  run: Campaign,
  settings: HistorySettings,
): Promise<History> {
  const calls = await processes.record<CalledStream, ReturnedStream>(run, settings)
  const operations = calls.map(({ called, returned }): Operation => {
    const { client, stream, called: at, call } = called
    const outcome: Outcome = returned?.outcome ?? { is: 'unknown' }
    return { client, stream, called: at, returned: returned?.returned ?? null, call, outcome }
  })
  return { operations, final: await processes.final(operations.map(({ stream }) => stream)) }
}

type CalledTransaction = Keyed & {
  readonly called: number
  readonly planned: readonly TransactionStep[]
}
type ReturnedTransaction = Keyed & Pick<RecordedTransaction, 'returned' | 'steps' | 'outcome'>

/** A history of transactions; of those that never ended only what they were to append is known. */
export async function recordTransactions(
  processes: ClientProcesses,
  run: Campaign,
  settings: HistorySettings,
): Promise<TransactionHistory> {
  const calls = await processes.record<CalledTransaction, ReturnedTransaction>(run, settings)
  const transactions = calls.map(({ called, returned }): RecordedTransaction => {
    const { key: name, called: at, planned } = called
    const { steps = planned, outcome = 'unknown', returned: end = null } = returned ?? {}
    return { name, called: at, returned: end, steps, outcome }
  })
  const streams = transactions.flatMap(({ steps }) => steps.map(({ stream }) => stream))
  return { transactions, final: await processes.final(streams) }
}
