import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore } from '../../src/index.ts'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { startChild } from '../harness/child.ts'
import { placeOfFork } from '../harness/fork-place.ts'
import { type Place, sharedPlaces, showsPlanted } from '../harness/places.ts'
import type { ForkWorkerInput } from './fork-worker.ts'

const streamCount = 12
const eventCount = 1000 * streamCount

interface Report {
  readonly kills: number
  /** Forks that were complete although their program was killed. */
  readonly complete: number
  readonly wrong: readonly string[]
}

/** Forks in programs that die at a part or at any moment, and looks at what is under the name. */
async function forkRounds(run: Campaign, place: Place, inTheOpen: boolean): Promise<Report> {
  const url = await place.url()
  const store = await openStore(url, { profile: 'relaxed' })
  const wrong: string[] = []
  let [kills, complete] = [0, 0]
  try {
    const events = Array.from({ length: 1000 }, (_, n) => ({
      ...{ type: 'Added', data: { n, text: 'Grüße '.repeat(20) }, tags: [`n:${n % 9}`] },
    }))
    for (let n = 0; n < streamCount; n++) await store.append(`bulk-${n}`, events)
    for (let round = 0; round < run.scaled(8); round++) {
      const schema = `fork_${round}`
      const into = url.startsWith('sqlite:') ? `${url.slice(7)}.${schema}` : schema
      const dieAtPart = round % 2 === 0 ? run.between(1, 2) : undefined
      const input: ForkWorkerInput = { url, into, dieAtPart, inTheOpen }
      const child = startChild(import.meta.url, './fork-worker.ts', { input })
      await child.message('begins', 60_000)
      if (dieAtPart === undefined) {
        await new Promise((resolve) => setTimeout(resolve, run.between(0, 150)))
        child.kill()
      }
      if ((await child.ended) === 'SIGKILL') kills++
      const { problem, isThere } = await lookAt(() => store.fork({ into }), placeOfFork(url, into))
      if (problem !== undefined) wrong.push(`round ${round}: ${problem}`)
      if (isThere) complete++
    }
    const { problems } = await store.verify()
    wrong.push(...problems.map(({ reason }) => `the source: ${reason}`))
  } finally {
    await store.close()
  }
  return { kills, complete, wrong }
}

/** The name is free, or the fork is complete; a second try tells which. */
async function lookAt(
  again: () => Promise<unknown>,
  url: string,
): Promise<{ readonly problem: string | undefined; readonly isThere: boolean }> {
  const isThere = await again().then(
    () => false,
    (error: { code?: unknown }) => {
      if (error.code === 'FORK_TARGET_EXISTS') return true
      throw error
    },
  )
  const fork = await openStore(url)
  try {
    const { events, problems } = await fork.verify()
    const [problem] = problems.map(({ reason }) => reason)
    const short = events === eventCount ? undefined : `${events} of ${eventCount} events are there`
    return { problem: problem ?? short, isThere }
  } finally {
    await fork.close()
  }
}

describe.each(sharedPlaces())('forks that are killed: $adapter', (place) => {
  beforeAll(() => place.start(), 60_000)
  afterAll(() => place.stop())
  const it = place.skip === undefined ? test : test.skip

  it('are complete or not there, and the name can be used again', async () => {
    await campaign(`forks killed, ${place.adapter}`, async (run) => {
      const { kills, complete, wrong } = await forkRounds(run, place, false)
      run.note(`${kills} kills, ${complete} forks were complete all the same`)
      expect(wrong).toEqual([])
      expect(kills).toBeGreaterThanOrEqual(run.scaled(4))
    })
  })

  if (!showsPlanted(place)) return
  it('the harness finds a copy that is made in the open', async () => {
    await campaign(`forks killed, planted, ${place.adapter}`, async (run) => {
      const { wrong } = await forkRounds(run, place, true)
      run.note(`${wrong.length} complaints`)
      expect(wrong.join()).toContain('events are there')
    })
  })
})
