import { openStore, systemClock, systemRandom, uuidV7Source } from '../../src/index.ts'
import type { EventStore, RecordChange, StoreTransaction } from '../../src/ports/index.ts'
import { openAdapter } from '../../src/store/adapters.ts'
import { wrapStore } from '../../src/testing/index.ts'
import { programInput, runProgram, tell } from '../harness/program.ts'
import { accounts } from './projection-accounts.ts'

/** A process that keeps a projection current until it has killed itself, or nothing is left. */
export interface ProjectionWorkerInput {
  readonly url: string
  readonly leaseTtlMs: number
  /** Dies at this call of the store, the time it comes up for the `count`-th time. */
  readonly failpoint: Failpoint | undefined
  readonly count: number
  /** Planted bug: the checkpoint is saved in a transaction of its own. */
  readonly mutant?: 'checkpoint-apart' | undefined
}

/** A call of the store, and whether it is still ahead or done. */
export interface Failpoint {
  readonly call: string
  readonly when: 'before' | 'after'
}

const input = programInput<ProjectionWorkerInput>()
let seen = 0

function dieAt(call: string, when: 'before' | 'after'): void {
  const { failpoint, count } = input
  if (call !== failpoint?.call || when !== failpoint.when) return
  if (++seen === count) process.kill(process.pid, 'SIGKILL')
}

async function around<T>(call: string, run: () => Promise<T>): Promise<T> {
  dieAt(call, 'before')
  const result = await run()
  dieAt(call, 'after')
  return result
}

async function* pagesAround<T>(pages: AsyncIterable<T>): AsyncGenerator<T> {
  dieAt('readLog', 'before')
  for await (const page of pages) {
    dieAt('readLog', 'after')
    yield page
  }
}

/** The planted bug: checkpoints that come with effects, kept for a transaction of their own. */
let late: RecordChange[] | undefined
let hasEffects = false

/** The store, with a program that dies in it. */
function deadly(store: EventStore): EventStore {
  return wrapStore(store, {
    readSide: around,
    positions: (next, options) => around('positions', () => next.positions(options)),
    readLog: (next, query, options) => pagesAround(next.readLog(query, options)),
    transaction: async (next, work, options) => {
      dieAt('transaction', 'before')
      late = undefined
      hasEffects = false
      const inside = (tx: StoreTransaction) => around('work', () => work(tx))
      const result = await next.transaction(inside, options)
      const left: readonly RecordChange[] = late ?? []
      dieAt('transaction', 'after')
      if (left.length > 0) dieAt('apart', 'before')
      if (left.length > 0) await next.transaction((tx) => tx.records.write(left))
      return result
    },
    models: {
      put: (next, ...args) => {
        hasEffects = true
        return next.put(...args)
      },
    },
    records: {
      write: async (next, changes, options) => {
        if (input.mutant !== 'checkpoint-apart' || !hasEffects) return next.write(changes, options)
        late = [...changes]
        return changes.map(({ expected }) => Number(expected) + 1)
      },
    },
  })
}

runProgram(async () => {
  const sources = {
    clock: systemClock,
    random: systemRandom,
    ids: uuidV7Source(systemClock, systemRandom),
  }
  const adapter = await openAdapter(input.url, {}, sources)
  const { leaseTtlMs } = input
  const store = await openStore(deadly(adapter), { projections: [accounts], leaseTtlMs })
  const { newest } = await store.positions()
  await store.projections.start()
  await store.projected('accounts', newest)
  await store.close()
  tell('report', {})
})
