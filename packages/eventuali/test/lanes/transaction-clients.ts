import { setTimeout as sleep } from 'node:timers/promises'
import { isEventualiError, type Store } from '../../src/index.ts'
import type { RecordedTransaction, TransactionStep } from '../harness/list-append.ts'
import { runClients } from './client-program.ts'
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

type Reader = Pick<Store, 'readStream'>

const events = (marks: readonly number[]) =>
  marks.map((mark) => ({ type: 'Marked', data: { mark } satisfies Marked }))

runClients(async (client) => {
  const { store, job, between } = client
  const mutant = job.mutant as TransactionMutant | undefined
  const alone = (client.shared.get('exclusive') as boolean | undefined) ?? isExclusive(store)
  let mark = client.firstMark
  const marks = (): number[] => Array.from({ length: between(1, 2) }, () => ++mark)
  /** Different streams, in one order, so that transactions do not wait for each other in a ring. */
  const streams = (count: number): string[] => {
    const found = new Set<string>()
    while (found.size < count) found.add(`${job.name}-${between(0, job.streamCount - 1)}`)
    return [...found].sort()
  }
  const read = async (from: Reader, stream: string): Promise<TransactionStep> => {
    const read = await from.readStream(stream).toArray()
    if (mutant === 'shows-old-states' && between(1, 3) === 1) read.splice(-1, 1)
    return { does: 'read', stream, marks: read.map(({ data }) => (data as Marked).mark) }
  }
  const attempt = async (
    planned: readonly TransactionStep[],
    work: (steps: TransactionStep[]) => Promise<void>,
  ): Promise<void> => {
    await client.make({ planned }, async (): Promise<Ended> => {
      const steps: TransactionStep[] = []
      try {
        await work(steps)
        return { steps, outcome: 'committed' }
      } catch (error) {
        const code = isEventualiError(error) ? error.code : ''
        if (code === 'OUTCOME_UNKNOWN') return { steps: planned, outcome: 'unknown' }
        if (!rolledBack.has(code)) throw error
        const told = mutant === 'acknowledges-an-abort' ? 'committed' : 'aborted'
        return { steps: planned, outcome: told }
      }
    })
  }
  const appendAll = async (): Promise<void> => {
    const planned = streams(between(2, 3)).map(
      (stream): TransactionStep => ({ does: 'append', stream, marks: marks() }),
    )
    const entries = planned.map(({ stream, marks }) => ({ stream, events: events(marks) }))
    await attempt(planned, async (steps) => {
      if (mutant === 'tears-append-all') {
        for (const entry of entries) await store.append(entry.stream, entry.events)
      } else await store.appendAll(entries, { timeoutMs: between(1, 12) === 1 ? 3 : undefined })
      steps.push(...planned)
    })
  }
  /**
   * Reads and appends. Where transactions are not alone, what was read is named as the expected
   * version of an append, which is how a caller makes sure that it still holds.
   */
  const transact = async (): Promise<void> => {
    const names = streams(3)
    const written = alone ? names.filter(() => between(0, 1) === 0) : names
    const planned = written.map(
      (stream): TransactionStep => ({ does: 'append', stream, marks: marks() }),
    )
    const readNames = alone ? names : names.slice(0, 2)
    const options = { timeoutMs: between(1, 15) === 1 ? 4 : 20_000 }
    await attempt(planned, async (steps) => {
      const early = mutant === 'reads-before-the-transaction'
      const before: TransactionStep[] = []
      for (const stream of early ? readNames : []) before.push(await read(store, stream))
      await store.transaction(async (tx) => {
        if (early) steps.push(...before)
        else for (const stream of readNames) steps.push(await read(tx as Reader, stream))
        for (const step of planned) {
          const seen = steps.find(({ does, stream }) => does === 'read' && stream === step.stream)
          const checked = !alone && !early && seen !== undefined
          const expectedVersion = checked ? seen.marks.length : 'any'
          await tx.append(step.stream, events(step.marks), { expectedVersion })
          steps.push(step)
        }
      }, options)
    })
  }
  while (client.count < job.callCount) {
    const chance = between(1, 10)
    if (chance <= 4) await appendAll()
    else if (chance <= 8) await transact()
    else {
      const [stream = ''] = streams(1)
      await attempt([], async (steps) => void steps.push(await read(store, stream)))
    }
    if (between(1, 6) === 1) await sleep(between(0, 4))
  }
})

/** SQLite and memory let one transaction in at a time. */
function isExclusive(store: Store): boolean {
  return store.port.adapter !== 'postgres'
}
