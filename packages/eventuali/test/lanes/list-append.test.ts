import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { campaign } from '../harness/campaign.ts'
import { keepHistory } from '../harness/kept-histories.ts'
import { checkTransactions } from '../harness/list-append.ts'
import { sharedPlaces } from '../harness/places.ts'
import { ClientProcesses, recordTransactions } from './history-run.ts'
import type { TransactionMutant } from './transaction-clients.ts'

/** In each of two stores. */
const historyCount = 10
const callCount = 500
const streamCount = 5

const mutants: readonly [TransactionMutant, RegExp][] = [
  ['tears-append-all', /cycle|saw a part|not together/],
  ['reads-before-the-transaction', /cycle/],
  ['acknowledges-an-abort', /lost/],
  ['shows-old-states', /cycle|part/],
]

describe.each(sharedPlaces())('$adapter, transactions over several streams', (place) => {
  let processes: ClientProcesses
  beforeAll(async () => {
    await place.start()
    if (place.skip !== undefined) return
    processes = await ClientProcesses.start('./transaction-clients.ts', await place.url())
  })
  afterAll(async () => {
    await processes?.stop()
    await place.stop()
  })

  test.skipIf(place.skip)(
    'have a serial order that real time allows',
    async () => {
      await campaign(`R6 list-append, ${place.adapter}`, async (run) => {
        const wanted = run.scaled(historyCount)
        const counts = { committed: 0, aborted: 0, unknown: 0 }
        let reads = 0
        for (let n = 0; n < wanted; n++) {
          const trouble = n % 5 === 4 ? 'kill' : 'none'
          const history = await recordTransactions(processes, run, {
            ...{ callCount, streamCount, trouble },
          })
          for (const { outcome, steps } of history.transactions) {
            counts[outcome]++
            reads += steps.filter(({ does }) => does === 'read').length
          }
          const wrong = checkTransactions(history)
          if (wrong.length > 0) {
            const file = keepHistory(`list-append-${place.adapter}-${run.seed}-${n}`, history)
            throw new Error(`history ${n}, kept in ${file}: ${wrong.slice(0, 3).join('; ')}`)
          }
        }
        const { committed, aborted, unknown } = counts
        run.note(
          `${wanted} histories, ${committed} committed, ${aborted} aborted, ${unknown} unknown, ${reads} reads, 0 cycles`,
        )
        expect(Math.min(committed, aborted, reads)).toBeGreaterThan(0)
      })
    },
    9_000_000,
  )

  test.skipIf(place.skip).each(mutants)('are seen when a store %s', async (mutant, what) => {
    await campaign(`R6 planted: ${mutant}, ${place.adapter}`, async (run) => {
      let wrong: string[] = []
      for (let n = 1; wrong.length === 0 && n <= 40; n++) {
        const settings = { callCount: 240, streamCount, trouble: 'none', mutant } as const
        wrong = checkTransactions(await recordTransactions(processes, run, settings))
        if (wrong.length > 0) run.note(`found in history ${n}: ${wrong[0]?.slice(0, 200)}`)
      }
      expect(wrong.join()).toMatch(what)
    })
  })
})
