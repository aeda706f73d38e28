import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { openStore } from 'eventuali'
import { fillBase } from './base-log.ts'
import { Consumers } from './consumers.ts'
import type { EmmettOrder } from './emmett-child.ts'
import type { BenchCase, Contender, OpenCase } from './paired.ts'
import type { Databases } from './read-side-cases.ts'

const child = fileURLToPath(new URL('emmett-child.ts', import.meta.url))
const goal = 20

/** The other library at work in its process. */
class Emmett {
  readonly #process: ChildProcess

  private constructor(process: ChildProcess) {
    this.#process = process
  }

  static async open(folder: string, url: string): Promise<Emmett> {
    const process = fork(child, [folder, url])
    const emmett = new Emmett(process)
    await emmett.#answer()
    return emmett
  }

  async ask(order: EmmettOrder): Promise<number> {
    const answer = this.#answer()
    this.#process.send(order)
    return answer
  }

  async #answer(): Promise<number> {
    const waiting = new AbortController()
    const { signal } = waiting
    try {
      const [answer] = (await Promise.race([
        once(this.#process, 'message', { signal }),
        once(this.#process, 'exit', { signal }).then(() => {
          throw new Error('the process of Emmett has ended')
        }),
      ])) as [{ readonly count?: number; readonly error?: string }]
      if (answer.count === undefined) throw new Error(`Emmett: ${answer.error}`)
      return answer.count
    } finally {
      waiting.abort()
    }
  }

  close(): void {
    if (this.#process.connected) this.#process.disconnect()
  }
}

/** The same work in both libraries. */
interface Work {
  readonly name: string
  readonly order: 'pass' | 'project'
  readonly what: string
  run(consumers: Consumers): Promise<void>
}

const works: readonly Work[] = [
  {
    name: 'consumer',
    order: 'pass',
    what: 'a durable consumer from the beginning whose handler does nothing',
    run: (consumers) => consumers.pass(1),
  },
  {
    name: 'projection',
    order: 'project',
    what: 'an asynchronous projection into a document for each customer',
    run: (consumers) => consumers.follow(),
  },
]

function caseOf(work: Work, folder: string, databases: Databases, eventCount: number): BenchCase {
  const { name, order, what } = work
  const open = async (): Promise<OpenCase> => {
    const store = await openStore(await databases.empty())
    await fillBase(store, eventCount)
    const consumers = await Consumers.of(store)
    const emmett = await Emmett.open(folder, await databases.empty())
    const upTo = await emmett.ask({ fill: eventCount })
    const peer = (as: string, how: string, batchSize: number, pullMs: number): Contender => ({
      name: as,
      what: how,
      eventsPerCall: upTo,
      run: async (calls) => {
        for (let i = 0; i < calls; i++) await emmett.ask({ work: order, batchSize, pullMs, upTo })
      },
    })
    const contenders: Contender[] = [
      {
        name: 'store',
        what,
        eventsPerCall: upTo,
        run: async (calls) => {
          for (let i = 0; i < calls; i++) await work.run(consumers)
        },
      },
      peer('Emmett, tuned', 'the same with batches of 1,000 and no pause', 1000, 0),
      peer('Emmett', 'the same as it comes: batches of 100, pauses of 50 ms', 100, 50),
    ]
    const ratios = [
      { of: 'store', to: 'Emmett, tuned', goal },
      { of: 'store', to: 'Emmett', goal },
    ]
    const close = async (): Promise<void> => {
      emmett.close()
      await consumers.stop()
      await store.close()
    }
    return { contenders, ratios, close }
  }
  return { name: `postgres ${name} beside Emmett`, turns: 1, open }
}

/**
 * Emmett's consumers beside those of the store: the same events on the same PostgreSQL server.
 * Emmett is no dependency, since its packages name no licence: whoever may use it installs it into
 * a folder and names that.
 */
export function emmettCases(
  folder: string,
  databases: Databases,
  eventCount: number,
): readonly BenchCase[] {
  return works.map((work) => caseOf(work, folder, databases, eventCount))
}
