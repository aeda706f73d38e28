import { setTimeout as sleep } from 'node:timers/promises'
import { openStore, type Store } from '../../src/index.ts'
import type { Campaign } from '../harness/campaign.ts'
import { type Child, endChildren, startChild } from '../harness/child.ts'
import type { History, Operation, Outcome } from '../harness/stream-history.ts'
import { FaultyProxy } from '../servers/faulty-proxy.ts'
import { callsOf } from './history-calls.ts'
import type {
  CalledLine,
  HistoryClientsInput,
  HistoryJob,
  ReturnedLine,
} from './history-clients.ts'
import type { StreamMutant } from './history-mutants.ts'

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
  readonly mutant?: StreamMutant | undefined
}

/** Four processes that live through many histories; one that was killed is replaced. */
export class HistoryProcesses {
  readonly #url: string
  readonly #proxy: FaultyProxy | undefined
  readonly #store: Store
  readonly #children: Child[]
  #count = 0

  private constructor(url: string, store: Store, proxy: FaultyProxy | undefined) {
    this.#url = url
    this.#store = store
    this.#proxy = proxy
    this.#children = Array.from({ length: processCount }, () => startClients(url))
  }

  /** A server is reached through a network that can do harm. */
  static async start(url: string): Promise<HistoryProcesses> {
    const server = url.startsWith('sqlite:') ? undefined : new URL(url)
    const proxy = server && (await FaultyProxy.open(Number(server.port)))
    const processes = new HistoryProcesses(
      proxy === undefined ? url : proxy.through(url),
      await openStore(url),
      proxy,
    )
    await Promise.all(processes.#children.map((child) => child.message('ready')))
    return processes
  }

  /** Lets 16 clients do what they do, and collects what they wrote down. */
  async record(run: Campaign, settings: HistorySettings): Promise<History> {
    const { callCount, streamCount, mutant } = settings
    const name = `h${++this.#count}`
    const zero = String(process.hrtime.bigint())
    const calls = Math.ceil(callCount / processCount / clientsOfProcess)
    const victim = settings.trouble === 'kill' ? run.between(0, processCount - 1) : -1
    const children = [...this.#children]
    const calm = settings.trouble === 'cuts' ? this.#cut(run) : undefined
    await Promise.all(
      children.map(async (child, n) => {
        const job: HistoryJob = {
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
    const operations = texts.flatMap((text) => operationsIn(text, name))
    return { operations, final: await this.#final(operations) }
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
    const next = startClients(this.#url)
    this.#children[n] = next
    await child.message('under way')
    await sleep(delayMs)
    child.kill('SIGKILL')
    await child.ended
    await next.message('ready')
  }

  /** What is there when all have ended: what the order of all appends is taken from. */
  async #final(operations: readonly Operation[]): Promise<Record<string, readonly number[]>> {
    const final: Record<string, readonly number[]> = {}
    const calls = callsOf(this.#store)
    for (const stream of new Set(operations.map((operation) => operation.stream))) {
      const seen: Outcome = await calls.read(stream, { kind: 'read', last: 'all' })
      final[stream] = seen.is === 'seen' ? seen.marks : []
    }
    return final
  }
}

function startClients(url: string): Child {
  const input: HistoryClientsInput = { url }
  return startChild(import.meta.url, './history-clients.ts', { input })
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

/** Calls with what became of them; a call without a return has no outcome. */
function operationsIn(text: string, name: string): Operation[] {
  const called = new Map<string, CalledLine>()
  const returned = new Map<string, ReturnedLine>()
  // The last line of a process that was killed may be cut.
  for (const line of text.slice(0, text.lastIndexOf('\n')).split('\n')) {
    const [of, kind, ...rest] = line.split(' ')
    if (of !== name) continue
    const value = JSON.parse(rest.join(' '))
    if (kind === 'called') called.set(value.key, value)
    else if (kind === 'returned') returned.set(value.key, value)
  }
  return [...called.values()].map(({ key, client, stream, called: at, call }) => {
    const end = returned.get(key)
    const outcome: Outcome = end?.outcome ?? { is: 'unknown' }
    return { client, stream, called: at, returned: end?.returned ?? null, call, outcome }
  })
}
