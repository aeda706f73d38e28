import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type AppendResult,
  defineEvents,
  event,
  isEventualiError,
  openStore,
  type Store,
  type,
} from '../../src/index.ts'
import { campaign } from '../harness/campaign.ts'
import { type Place, sharedPlaces } from '../harness/places.ts'

const RACERS = 16
const ROUNDS = 1000
/** Rounds under way at once: they have nothing in common, so each is a race of its own. */
const AT_ONCE = 8

const events = defineEvents({
  Seated: event(type<{ round: string; racer: number }>(), {
    tags: ({ round }) => [`round:${round}`],
  }),
})

const memoryPlace: Place = {
  adapter: 'memory',
  skip: undefined,
  start: async () => {},
  url: async () => 'memory:',
  stop: async () => {},
}

/** Whether the racer won; a lost condition is how the others end, anything else is a fault. */
function won(result: PromiseSettledResult<unknown>): boolean {
  if (result.status === 'fulfilled') return true
  if (isEventualiError(result.reason, 'CONDITION_FAILED')) return false
  throw result.reason
}

async function rounds(prefix: string, count: number, run: (round: string) => Promise<void>) {
  let next = 0
  const lane = async () => {
    while (next < count) await run(`${prefix}-${next++}`)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane))
}

/** One race; `position` is what each racer believes to have read the query up to. */
function race(
  stores: readonly Store[],
  round: string,
  position: number,
  plain?: number,
): Promise<PromiseSettledResult<readonly AppendResult[]>[]> {
  const condition = { query: { types: ['Seated'], tags: [`round:${round}`] }, position }
  const racers = Array.from({ length: RACERS }, (_, racer) => {
    const entry = { stream: `seat-${round}-${racer}`, events: events.Seated({ round, racer }) }
    const store = stores[racer % stores.length] as Store
    return store.appendAll([entry], racer === plain ? {} : { condition })
  })
  return Promise.allSettled(racers)
}

/** Draws a position in a transaction that stays open until it is let go. */
async function holdPosition(store: Store): Promise<() => Promise<void>> {
  const release = Promise.withResolvers<void>()
  const drawn = Promise.withResolvers<void>()
  const held = store.transaction(
    async (tx) => {
      await tx.append('unrelated-1', { type: 'Unrelated', data: null })
      drawn.resolve()
      await release.promise
    },
    { timeoutMs: 300_000 },
  )
  await Promise.race([drawn.promise, held])
  return async () => {
    release.resolve()
    await held
  }
}

describe.each([memoryPlace, ...sharedPlaces()])('conditions on $adapter', (place) => {
  const open: Store[] = []
  beforeAll(async () => {
    if (place.skip !== undefined) return
    await place.start()
    const url = await place.url()
    open.push(await openStore(url))
    // A second handle is a second writer where the store can be shared.
    if (open[0]?.capabilities.shared === true) open.push(await openStore(url))
  })
  afterAll(async () => {
    for (const store of open) await store.close()
    await place.stop()
  })

  const test = it.skipIf(place.skip !== undefined)

  test(`${RACERS} racers, one winner, ${ROUNDS} rounds`, async () => {
    await campaign(`races on ${place.adapter}`, async ({ scaled, note }) => {
      const { safe } = await (open[0] as Store).positions()
      await rounds('plain', scaled(ROUNDS), async (round) => {
        const results = await race(open, round, safe)
        expect(results.filter(won).length).toBe(1)
      })
      note(`${scaled(ROUNDS)} rounds`)
    })
  })

  // With one writer there is no such thing as a lower position that is still open.
  const isHeld = place.adapter === 'postgres'
  const beside = isHeld ? ', while a lower position is held open' : ''
  test(`a plain append as one racer counts like any other${beside}`, async () => {
    await campaign(`mixed races on ${place.adapter}`, async ({ scaled, between, note }) => {
      const store = open[0] as Store
      const letGo = isHeld ? await holdPosition(store) : undefined
      const { safe } = await store.positions()
      let before = 0
      await rounds('mixed', scaled(ROUNDS), async (round) => {
        const plain = between(0, RACERS - 1)
        const results = await race(open, round, safe, plain)
        expect(won(results[plain] as PromiseSettledResult<unknown>)).toBe(true)
        const winners = results.filter((result, i) => i !== plain && won(result))
        expect(winners.length).toBeLessThanOrEqual(1)
        before += winners.length
        const query = { types: ['Seated'], tags: [`round:${round}`], upTo: 'newest' } as const
        const stored = await store.readAll(query).toArray()
        // A conditional winner came first, or the plain one would have refused it.
        expect(stored.length).toBe(winners.length + 1)
        expect(stored.at(-1)?.stream).toBe(`seat-${round}-${plain}`)
      })
      note(`${scaled(ROUNDS)} rounds, ${before} won before the plain append`)
      if (letGo === undefined) return
      expect((await store.positions()).safe).toBe(safe)
      note(`position ${safe + 1} was held open`)
      await letGo()
    })
  })
})
