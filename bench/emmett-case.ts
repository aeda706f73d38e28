import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { openStore } from 'eventuali'
import { fillBase } from './base-log.ts'
import type { EmmettOrder } from './emmett-child.ts'
import type { BenchCase, Contender, OpenCase } from './paired.ts'
import { catchUp, type Databases } from './read-side-cases.ts'

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
    const ended = once(this.#process, 'exit').then(() => {
      throw new Error('the process of Emmett has ended')
    })
    // Looked at only while an answer is awaited.
    ended.catch(() => {})
    const [answer] = (await Promise.race([once(this.#process, 'message'), ended])) as [
      { readonly count?: number; readonly error?: string },
    ]
    if (answer.count === undefined) throw new Error(`Emmett: ${answer.error}`)
    return answer.count
  }

  close(): void {
    if (this.#process.connected) this.#process.disconnect()
  }
}

/**
 * A consumer of Emmett beside a subscription: the same events in the same PostgreSQL server, a
 * handler that does nothing. Emmett is no dependency, since its packages name no licence: whoever
 * may use it installs it into a folder and names that.
 */
export function emmettCase(folder: string, databases: Databases, eventCount: number): BenchCase {
  const open = async (): Promise<OpenCase> => {
    const store = await openStore(await databases.empty())
    await fillBase(store, eventCount)
    const { newest } = await store.positions()
    const emmett = await Emmett.open(folder, await databases.empty())
    const upTo = await emmett.ask({ fill: eventCount })
    const consumer = (
      name: string,
      what: string,
      batchSize: number,
      pullMs: number,
    ): Contender => ({
      name,
      what,
      eventsPerCall: upTo,
      run: async (calls) => {
        for (let i = 0; i < calls; i++) await emmett.ask({ batchSize, pullMs, upTo })
      },
    })
    const contenders: Contender[] = [
      {
        name: 'subscribe',
        what: 'the store, a subscription from the beginning whose handler does nothing',
        eventsPerCall: upTo,
        run: async (calls) => {
          for (let i = 0; i < calls; i++) await catchUp(store, newest)
        },
      },
      consumer('Emmett, tuned', 'its consumer with batches of 1,000 and no pause', 1000, 0),
      consumer('Emmett', 'its consumer as it comes: batches of 100, pauses of 50 ms', 100, 50),
    ]
    const ratios = [
      { of: 'subscribe', to: 'Emmett, tuned', goal },
      { of: 'subscribe', to: 'Emmett', goal },
    ]
    const close = async (): Promise<void> => {
      emmett.close()
      await store.close()
    }
    return { contenders, ratios, close }
  }
  return { name: 'postgres beside Emmett', turns: 1, open }
}
