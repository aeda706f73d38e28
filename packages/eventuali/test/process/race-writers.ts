import type { Client } from 'pg'
import { openStore, type Store } from '../../src/index.ts'
import { seededRandom } from '../../src/kernel/index.ts'
import { programInput, runProgram, tell, told } from '../harness/program.ts'

/** Writers that do everything that makes positions appear late, or never. */
export interface RaceWritersInput {
  readonly url: string
  readonly seed: number
  readonly writerCount: number
  /** Events to commit by this process. */
  readonly eventCount: number
}

export interface RaceWritersReport {
  readonly committed: number
  readonly rolledBack: number
  readonly slow: number
  /** Transactions that had an id of their own before they appended. */
  readonly idFirst: number
  /** When the last transaction had ended, by the clock that processes share. */
  readonly endedAtMs: number
}

const input = programInput<RaceWritersInput>()
const streamCount = 300
let left = input.eventCount
let committed = 0
let rolledBack = 0
let slow = 0
let idFirst = 0

class RolledBack extends Error {}

/** In a transaction of its own, which may be slow, may have written before, may be rolled back. */
async function appendInTransaction(
  store: Store,
  stream: string,
  events: readonly { type: string; data: unknown; tags: readonly string[] }[],
  how: { readonly before: boolean; readonly delayMs: number; readonly rollBack: boolean },
): Promise<void> {
  const work = store.transaction(async (tx) => {
    const client = tx.sql as Client
    if (how.before) await client.query('INSERT INTO elsewhere VALUES (1)')
    await tx.append(stream, events)
    if (how.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, how.delayMs))
    if (how.rollBack) throw new RolledBack()
  })
  await work.catch((error: unknown) => {
    if (!(error instanceof RolledBack)) throw error
  })
}

async function writer(store: Store, number: number): Promise<void> {
  const random = seededRandom(input.seed + number)
  const below = (bound: number): number => Math.floor(random.next() * bound)
  while (left > 0) {
    const size = Math.min(left, 1 + below(20))
    const n = below(streamCount)
    const stream = `cat${n % 3}-${n}`
    const events = Array.from({ length: size }, () => ({
      type: `Type${below(4)}`,
      data: { by: number },
      tags: below(5) === 0 ? [`color:${below(3)}`] : [],
    }))
    const isSlow = below(10) === 0
    const rollBack = below(10) === 0
    if (!rollBack) left -= size
    if (isSlow) slow++
    // A quarter shares commits with others; the rest holds its positions for a while.
    if (below(4) === 0 && !rollBack && !isSlow) await store.append(stream, events)
    else {
      const how = { before: below(2) === 0, delayMs: below(isSlow ? 501 : 16), rollBack }
      if (how.before) idFirst++
      await appendInTransaction(store, stream, events, how)
    }
    if (rollBack) rolledBack += size
    else committed += size
  }
}

runProgram(async () => {
  const store = await openStore(input.url, { poolSize: input.writerCount + 2 })
  tell('ready')
  await told()
  await Promise.all(Array.from({ length: input.writerCount }, (_, n) => writer(store, n)))
  const endedAtMs = Number(process.hrtime.bigint()) / 1e6
  const report: RaceWritersReport = { committed, rolledBack, slow, idFirst, endedAtMs }
  tell('report', report)
  await store.close()
})
