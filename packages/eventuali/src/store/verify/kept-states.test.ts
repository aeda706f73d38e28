import { expect, it } from 'vitest'
import { sleep, systemClock } from '../../kernel/index.ts'
import { defineAggregate, defineEvents, type } from '../../model/index.ts'
import type { EventStore } from '../../ports/index.ts'
import { wrapStore } from '../../testing/index.ts'
import { openStore } from '../open.ts'

const STREAM_COUNT = 12

const events = defineEvents({ Added: type<{ n: number }>() })
const Sums = defineAggregate('sums', {
  events,
  initial: () => ({ sum: 0 }),
  evolve: { Added: ({ sum }, { data }) => ({ sum: sum + data.n }) },
  commands: {},
})

/** The kept states that a verification folds again while heads come with these delays. */
async function drawn(port: EventStore, delayMs: (stream: string) => number): Promise<string[]> {
  const keys: string[] = []
  const store = await openStore(
    wrapStore(port, {
      stream: async (next, name, options) => {
        await sleep(systemClock, delayMs(name))
        return next.stream(name, options)
      },
      records: {
        get: (next, kind, wanted, options) => {
          if (kind === 'snapshot') keys.push(...wanted)
          return next.get(kind, wanted, options)
        },
      },
    }),
  )
  const options = { aggregates: [Sums], snapshotSampleCount: 3, seed: 7 }
  expect(await store.verify(options)).toMatchObject({ ok: true, snapshots: { compared: 3 } })
  return keys
}

it('the seed draws the same kept states, whichever reply comes first', async () => {
  const store = await openStore('memory:', { snapshots: {} })
  const { port } = store
  for (let n = 10; n < 10 + STREAM_COUNT; n++) {
    await store.append(`sums-${n}`, [events.Added({ n: 1 }), events.Added({ n: 2 })])
    await store.snapshots.take(Sums, `${n}`)
  }
  const number = (stream: string) => Number(stream.slice(-1))
  const forward = await drawn(port, number)
  expect(forward).toHaveLength(3)
  expect(await drawn(port, (stream) => 20 - 2 * number(stream))).toEqual(forward)
})
