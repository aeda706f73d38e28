import { setTimeout as sleep } from 'node:timers/promises'
import { isEventualiError, type Store } from '../../src/index.ts'
import type { RecordedTransaction, TransactionStep } from '../harness/list-append.ts'
import { type Client, runClients } from './client-program.ts'
import type { Marked } from './history-calls.ts'

/** Planted bugs of stores whose transactions are none. */
export type TransactionMutant =
  | 'tears-append-all'
  | 'reads-before-the-transaction'
  | 'acknowledges-an-abort'
  | 'shows-old-states'

/** Errors after which the transaction has left nothing behind. */
const rolledBack = new Set([
  ...['VERSION_CONFLICT', 'TRANSACTION_TIMEOUT', 'TIMEOUT', 'STORAGE_BUSY', 'CONNECTION_FAILED'],
])

/** How a transaction ended, with what it read and appended before. */
interface Ended {
  readonly steps: readonly TransactionStep[]
  readonly outcome: RecordedTransaction['outcome']
}

type Transaction = Parameters<Parameters<Store['transaction']>[0]>[0]
type Reader = Pick<Store | Transaction, 'readStream'>

const events = (marks: readonly number[]) =>
  marks.map((mark) => ({ type: 'Marked', data: { mark } satisfies Marked }))

/** SQLite and memory let one transaction in at a time. */
const isExclusive = (store: Store): boolean => store.port.adapter !== 'postgres'

/** One client and what it draws. */
class Transactions {
  readonly #client: Client
  readonly #mutant: TransactionMutant | undefined
  #mark: number

  constructor(client: Client) {
    this.#client = client
    this.#mutant = client.job.mutant as TransactionMutant | undefined
    this.#mark = client.firstMark
  }

  /** Different streams, in one order, so that transactions do not wait for each other in a ring. */
  #streams(count: number): string[] {
    const { job, between } = this.#client
    const found = new Set<string>()
    while (found.size < count) found.add(`${job.name}-${between(0, job.streamCount - 1)}`)
    return [...found].sort()
  }

  #appendsTo(streams: readonly string[]): TransactionStep[] {
    return streams.map((stream): TransactionStep => {
      const marks = Array.from({ length: this.#client.between(1, 2) }, () => ++this.#mark)
      return { does: 'append', stream, marks }
    })
  }

  async #read(from: Reader, stream: string): Promise<TransactionStep> {
    const read = await from.readStream(stream).toArray()
    const old = this.#mutant === 'shows-old-states' && this.#client.between(1, 3) === 1
    if (old) read.splice(-1, 1)
    return { does: 'read', stream, marks: read.map(({ data }) => (data as Marked).mark) }
  }

  async #attempt(
    planned: readonly TransactionStep[],
    work: (steps: TransactionStep[]) => Promise<void>,
  ): Promise<void> {
    await this.#client.make({ planned }, async (): Promise<Ended> => {
      const steps: TransactionStep[] = []
      try {
        await work(steps)
        return { steps, outcome: 'committed' }
      } catch (error) {
        const code = isEventualiError(error) ? error.code : ''
        if (code === 'OUTCOME_UNKNOWN') return { steps: planned, outcome: 'unknown' }
        if (!rolledBack.has(code)) throw error
        const told = this.#mutant === 'acknowledges-an-abort' ? 'committed' : 'aborted'
        return { steps: planned, outcome: told }
      }
    })
  }

  async appendAll(): Promise<void> {
    const { store, between } = this.#client
    const planned = this.#appendsTo(this.#streams(between(2, 3)))
    const entries = planned.map(({ stream, marks }) => ({ stream, events: events(marks) }))
    const timeoutMs = between(1, 12) === 1 ? 3 : undefined
    await this.#attempt(planned, async (steps) => {
      if (this.#mutant === 'tears-append-all') {
        for (const entry of entries) await store.append(entry.stream, entry.events)
      } else await store.appendAll(entries, { timeoutMs })
      steps.push(...planned)
    })
  }

  /**
   * Reads and appends. Where transactions are not alone, what was read is named as the expected
   * version of an append, which is how a caller makes sure that it still holds.
   */
  async transact(): Promise<void> {
    const { store, between } = this.#client
    const alone = isExclusive(store)
    const early = this.#mutant === 'reads-before-the-transaction'
    const names = this.#streams(3)
    const planned = this.#appendsTo(alone ? names.filter(() => between(0, 1) === 0) : names)
    const readNames = alone ? names : names.slice(0, 2)
    const timeoutMs = between(1, 15) === 1 ? 4 : 20_000
    await this.#attempt(planned, async (steps) => {
      const before: TransactionStep[] = []
      for (const stream of early ? readNames : []) before.push(await this.#read(store, stream))
      const work = async (tx: Transaction): Promise<void> => {
        steps.push(...before)
        for (const stream of early ? [] : readNames) steps.push(await this.#read(tx, stream))
        for (const step of planned) {
          const seen = steps.find(({ does, stream }) => does === 'read' && stream === step.stream)
          const checked = !alone && !early && seen !== undefined
          const expectedVersion = checked ? seen.marks.length : 'any'
          await tx.append(step.stream, events(step.marks), { expectedVersion })
          steps.push(step)
        }
      }
      await store.transaction(work, { timeoutMs })
    })
  }

  async readOne(): Promise<void> {
    const [stream = ''] = this.#streams(1)
    await this.#attempt([], async (steps) => {
      steps.push(await this.#read(this.#client.store, stream))
    })
  }
}

runClients(async (client) => {
  const { job, between } = client
  const transactions = new Transactions(client)
  while (client.count < job.callCount) {
    const chance = between(1, 10)
    if (chance <= 4) await transactions.appendAll()
    else if (chance <= 8) await transactions.transact()
    else await transactions.readOne()
    if (between(1, 6) === 1) await sleep(between(0, 4))
  }
})
