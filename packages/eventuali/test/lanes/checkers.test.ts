import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { campaign } from '../harness/campaign.ts'
import { drawHistory, falsify } from '../harness/history-arbitrary.ts'
import { isLinearizable } from '../harness/linear-search.ts'
import { checkTransactions } from '../harness/list-append.ts'
import { checkSerial, drawTransactions, falsifyTransactions } from '../harness/serial-search.ts'
import { checkStream } from '../harness/stream-checker.ts'
import { byStream, type History } from '../harness/stream-history.ts'

const integer = fc.nat({ max: 0x7fff_ffff })

test('the checker of streams and a search for a linearization agree', async () => {
  await campaign('R6 checkers agree, streams', async (run) => {
    const counts = { right: 0, wrong: 0 }
    const property = fc.property(fc.gen(), fc.nat({ max: 2 }), (gen, faults) => {
      const draw = (low: number, high: number) => low + (gen(() => integer) % (high - low + 1))
      let history = drawHistory(draw)
      for (let n = 0; n < faults; n++) history = falsify(history, draw)
      const found = checkStream(history)
      const linearizable = isLinearizable(history)
      counts[linearizable ? 'right' : 'wrong']++
      if (faults === 0 && found.length > 0) throw new Error(`a right one is refused: ${found[0]}`)
      if (linearizable !== (found.length === 0)) {
        throw new Error(
          `the search says ${linearizable}, the checker: ${found[0] ?? 'right'}: ${JSON.stringify(history)}`,
        )
      }
    })
    fc.assert(property, { numRuns: run.scaled(6000), seed: run.seed })
    run.note(`${counts.right} right and ${counts.wrong} wrong histories`)
    expect(Math.min(counts.right, counts.wrong)).toBeGreaterThan(run.scaled(800))
  })
}, 3_600_000)

test('the search for cycles and a search for a serial order agree', async () => {
  await campaign('R6 checkers agree, transactions', async (run) => {
    const counts = { right: 0, wrong: 0 }
    const property = fc.property(fc.gen(), fc.nat({ max: 2 }), (gen, faults) => {
      const draw = (low: number, high: number) => low + (gen(() => integer) % (high - low + 1))
      let history = drawTransactions(draw)
      for (let n = 0; n < faults; n++) history = falsifyTransactions(history, draw)
      const found = checkTransactions(history)
      const serial = checkSerial(history)
      counts[serial ? 'right' : 'wrong']++
      if (faults === 0 && found.length > 0) throw new Error(`a right one is refused: ${found[0]}`)
      if (serial !== (found.length === 0)) {
        throw new Error(
          `the search says ${serial}, the checker: ${found[0] ?? 'right'}: ${JSON.stringify(history)}`,
        )
      }
    })
    fc.assert(property, { numRuns: run.scaled(4000), seed: run.seed })
    run.note(`${counts.right} right and ${counts.wrong} wrong histories`)
    expect(Math.min(counts.right, counts.wrong)).toBeGreaterThan(run.scaled(300))
  })
}, 3_600_000)

const kept = fileURLToPath(new URL('./histories/', import.meta.url))

interface KeptHistory extends History {
  readonly why: string
  readonly linearizable: boolean
}

// Histories in which a defect was found, once.
test.each(readdirSync(kept))('%s is judged as it was', async (file) => {
  const history: KeptHistory = JSON.parse(readFileSync(`${kept}${file}`, 'utf8'))
  const streams = byStream(history)
  expect(streams.every((stream) => checkStream(stream).length === 0)).toBe(history.linearizable)
  expect(streams.every(isLinearizable)).toBe(history.linearizable)
})
