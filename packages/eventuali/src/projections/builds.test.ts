import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { EventStore } from '../ports/index.ts'
import { openMemoryStore } from '../stores/memory/index.ts'
import { wrapStore } from '../testing/index.ts'
import { readBuild } from './build-record.ts'
import { append, carriersProjection, Program, shipped } from './shop.test-support.ts'

// Builds of one process: what is asked of them while another one begins, runs or ends.
const within = { timeoutMs: 10_000 }

/** A store whose transactions without a time limit, as those that begin a build, answer late. */
function late(inner: EventStore, ms: () => number): EventStore {
  return wrapStore(inner, {
    transaction: async (next, work, options) => {
      const done = await next.transaction(work, options)
      if (options === undefined) await wait(ms())
      return done
    },
  })
}

describe('a build that is recorded and has not begun to run', () => {
  async function begun() {
    const inner = await openMemoryStore()
    let ms = 0
    const port = late(inner, () => ms)
    for (let n = 0; n < 3; n++) await append(inner, 'order-1', shipped())
    const program = new Program(port, [carriersProjection({})], { pollIntervalMs: 2 })
    await program.projections.start()
    await program.projections.projected('carriers', 3, within)
    ms = 100
    return { inner, program, projections: program.projections }
  }

  it('is not taken over by a look of the process that began it', async () => {
    const { program, projections } = await begun()
    await using _ = program
    const report = await projections.rebuild('carriers', { requireEqual: true })
    expect(report).toMatchObject({ generation: 2, comparison: { equal: true } })
  })

  it('is the one that a second call waits for', async () => {
    const { program, projections } = await begun()
    await using _ = program
    const [first, second] = await Promise.all([
      projections.rebuild('carriers'),
      projections.rebuild('carriers'),
    ])
    expect([first.generation, second.generation]).toEqual([2, 2])
    const [status] = await projections.status()
    expect(status?.generations.map(({ generation }) => generation)).toEqual([1, 2])
  })

  it('ends with its process, when that is stopped in this moment', async () => {
    const { inner, projections } = await begun()
    const building = projections.rebuild('carriers')
    const ended = expect(building).rejects.toThrow('the projections were stopped')
    await wait(20)
    await projections.stop()
    await ended
    // Stopped and not failed: the next process takes it up.
    const build = await readBuild(inner.records, 'carriers', 2)
    expect(build?.value).toMatchObject({ failed: null, epoch: 1 })
  })
})
