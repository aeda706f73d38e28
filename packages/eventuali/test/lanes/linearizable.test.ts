import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { keepHistory } from '../harness/kept-histories.ts'
import { sharedPlaces } from '../harness/places.ts'
import { checkStream } from '../harness/stream-checker.ts'
import { byStream, type History } from '../harness/stream-history.ts'
import { streamMutants } from './history-mutants.ts'
import { ClientProcesses, recordStreams } from './history-run.ts'
import { askPorcupine, porcupineSkipReason, type Verdict } from './porcupine.ts'

/** In each of two stores. */
const historyCount = 25
const callCount = 1000
const streamCount = 6
/** A planted bug does harm by chance: one of them in every second history only. */
const plantedHistories = 40

const problemsOf = (history: History): string[] => byStream(history).flatMap(checkStream)

interface Counts {
  calls: number
  stored: number
  conflicts: number
  duplicates: number
  refused: number
  unknown: number
}

function count(counts: Counts, { operations }: History): void {
  counts.calls += operations.length
  for (const { outcome, call } of operations) {
    if (outcome.is === 'conflict') counts.conflicts++
    else if (outcome.is === 'stored') counts[outcome.duplicate ? 'duplicates' : 'stored']++
    else if (call.kind === 'read') continue
    else if (outcome.is === 'refused') counts.refused++
    else counts.unknown++
  }
}

/** Says what Porcupine thinks of the same histories, where it is asked. */
async function compare(run: Campaign, verdicts: readonly Verdict[]): Promise<void> {
  if (porcupineSkipReason() !== undefined) return
  const answers = await askPorcupine(verdicts)
  run.note(`Porcupine agrees on ${answers.agreed} of ${verdicts.length}`)
  expect(answers.differ).toEqual([])
}

describe.each(sharedPlaces())('$adapter, 16 clients in 4 processes', (place) => {
  let processes: ClientProcesses
  beforeAll(async () => {
    await place.start()
    if (place.skip === undefined)
      processes = await ClientProcesses.start('./history-clients.ts', await place.url())
  })
  afterAll(async () => {
    await processes?.stop()
    await place.stop()
  })

  test.skipIf(place.skip)(
    'see streams as if one call came after another',
    async () => {
      await campaign(`R6 linearizable streams, ${place.adapter}`, async (run) => {
        const wanted = run.scaled(historyCount)
        const counts = { calls: 0, stored: 0, conflicts: 0, duplicates: 0, refused: 0, unknown: 0 }
        const verdicts: Verdict[] = []
        const troubles = { none: 0, kill: 0, cuts: 0 }
        for (let n = 0; n < wanted; n++) {
          const cuts = n % 5 === 3 && place.adapter === 'postgres'
          const trouble = n % 5 === 4 ? 'kill' : cuts ? 'cuts' : 'none'
          troubles[trouble]++
          const history = await recordStreams(processes, run, { callCount, streamCount, trouble })
          count(counts, history)
          const wrong = problemsOf(history)
          if (wrong.length > 0) {
            const file = keepHistory(`linearizable-${place.adapter}-${run.seed}-${n}`, history)
            throw new Error(`history ${n}, kept in ${file}: ${wrong.slice(0, 3).join('; ')}`)
          }
          if (porcupineSkipReason() === undefined) {
            verdicts.push({ name: `${place.adapter} ${n}`, history, linearizable: true })
          }
        }
        const told = Object.entries(counts).map(([what, times]) => `${times} ${what}`)
        const { kill, cuts } = troubles
        run.note(`${wanted} histories, ${kill} with a kill, ${cuts} with cuts, ${told.join(', ')}`)
        for (const [what, times] of Object.entries(counts)) {
          expect(times, `${what} of ${wanted} histories`).toBeGreaterThan(0)
        }
        await compare(run, verdicts)
      })
    },
    9_000_000,
  )

  // Most of them do not care where the events are.
  const mutants = place.adapter === 'sqlite' ? streamMutants : streamMutants.slice(0, 3)
  test.skipIf(place.skip).each(mutants)('are seen when a store %s', async (mutant) => {
    await campaign(`R6 planted: ${mutant}, ${place.adapter}`, async (run) => {
      let wrong: string[] = []
      for (let n = 1; wrong.length === 0 && n <= plantedHistories; n++) {
        const settings = { callCount: 400, streamCount: 3, trouble: 'none', mutant } as const
        const history = await recordStreams(processes, run, settings)
        wrong = problemsOf(history)
        if (wrong.length === 0) continue
        run.note(`found in history ${n}: ${wrong[0]}`)
        await compare(run, [{ name: mutant, history, linearizable: false }])
      }
      expect(wrong).not.toEqual([])
    })
  })
})
