import { expect, it } from 'vitest'
import { sleep, systemClock } from '../../kernel/index.ts'
import type { EventStore } from '../../ports/index.ts'
import { added, memory, program, Sums, warm } from '../../snapshots/programs.test-support.ts'
import { wrapStore } from '../../testing/index.ts'
import { openStore } from '../open.ts'

const STREAM_COUNT = 12

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
  const port = await memory()
  const store = await program(port)
  for (let n = 10; n < 10 + STREAM_COUNT; n++) {
    await store.append(`sums-${n}`, [added(1), added(2)])
    await warm(store, Sums, `${n}`)
  }
  const number = (stream: string) => Number(stream.slice(-1))
  const forward = await drawn(port, number)
  expect(forward).toHaveLength(3)
  expect(await drawn(port, (stream) => 20 - 2 * number(stream))).toEqual(forward)
})
