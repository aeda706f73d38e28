import { describe, expect, test } from 'vitest'
import { defineAggregate, defineEvents, event, type } from '../model/index.ts'
import type { EventStore } from '../ports/index.ts'
import type { Store } from '../store/index.ts'
import { fingerprintOf } from './fingerprint.ts'
import {
  added,
  evolve,
  memory,
  parts,
  program,
  type State,
  Sums,
  warm,
} from './programs.test-support.ts'

/** The same source each time: what it calls is beyond the fingerprint. */
function withHelper(helper: (n: number) => number) {
  return defineAggregate('sums', {
    ...parts,
    evolve: {
      ...evolve,
      Added: (state: State, { data }) => ({ ...state, a: (state.a ?? 0) + helper(data.n) }),
    },
  })
}

describe('changed code', () => {
  const once = withHelper((n) => n)
  const twice = withHelper((n) => 2 * n)

  async function grown(): Promise<{ port: EventStore; old: Store }> {
    const port = await memory()
    const old = await program(port)
    for (let stream = 1; stream <= 3; stream++) {
      await old.append(`sums-${stream}`, [added(1), added(2)])
      await warm(old, once as typeof Sums, `${stream}`)
    }
    return { port, old }
  }

  test('in what the fingerprint sees has a name of its own', async () => {
    const upcast = (from: (data: object) => object) =>
      defineEvents({
        Cleared: type<null>(),
        Added: event(type<{ key: string; n: number }>(), { version: 2, upcast: { 1: from } }),
      })
    const all = [
      Sums,
      defineAggregate('sums', { ...parts, evolve: { ...evolve, Cleared: () => ({ z: 1 }) } }),
      defineAggregate('sums', { ...parts, initial: (): State => ({ b: 0 }), evolve }),
      defineAggregate('sums', { ...parts, evolve, snapshot: { version: 2 } }),
      defineAggregate('sums', { ...parts, evolve, snapshot: { encode: (state) => state } }),
      defineAggregate('sums', { ...parts, events: upcast((data) => data), evolve }),
      defineAggregate('sums', { ...parts, events: upcast((data) => ({ ...data, n: 1 })), evolve }),
      defineAggregate('totals', { ...parts, evolve }),
    ]
    const prints = all.map((definition) => fingerprintOf(definition as never))
    expect(new Set(prints).size).toBe(all.length)
    const again = defineAggregate('sums', { ...parts, evolve: { ...evolve } })
    expect(fingerprintOf(again as never)).toBe(prints[0])
    expect(fingerprintOf(once as never)).toBe(fingerprintOf(twice as never))
  })

  test('in a helper that handlers call is found before any kept state is used', async () => {
    const { port } = await grown()
    const store = await program(port)
    for (let load = 0; load < 3; load++) {
      for (const id of ['1', '2', '3']) {
        expect((await store.aggregate(twice).load(id)).state).toEqual({ a: 6 })
      }
      await store.snapshots.settled()
    }
    expect(store.snapshots.stats).toMatchObject({ retired: 1 })
    expect(store.snapshots.stats.used).toBeGreaterThan(0)
    expect(String(store.snapshots.stats.problem)).toContain('is not what its events give')
  })

  test('does not make two programs retire each other in turns', async () => {
    const { port } = await grown()
    let retired = 0
    for (let turn = 0; turn < 6; turn++) {
      const store = await program(port)
      const [definition, factor] = turn % 2 === 0 ? [twice, 2] : [once, 1]
      for (let load = 0; load < 4; load++) {
        expect((await store.aggregate(definition).load('1')).state).toEqual({ a: 3 * factor })
        await store.snapshots.settled()
      }
      retired += store.snapshots.stats.retired
    }
    expect(retired).toBe(1)
  })

  test('that the probe has missed is found by a sample', async () => {
    let factor = 1
    const drifting = withHelper((n) => factor * n)
    const port = await memory()
    const store = await program(port, { checkRate: 1 })
    await store.append('sums-1', [added(1), added(2)])
    await warm(store, drifting as typeof Sums)
    factor = 3
    await store.aggregate(drifting).load('1')
    await store.snapshots.settled()
    expect(store.snapshots.stats.retired).toBe(1)
    expect((await store.aggregate(drifting).load('1')).state).toEqual({ a: 9 })
  })

  test('is found by verify, which tells the same from the wrong', async () => {
    const { port } = await grown()
    let factor = 1
    const drifting = withHelper((n) => factor * n)
    const store = await program(port, { checkRate: 0 })
    await warm(store, drifting as typeof Sums)
    expect(await store.snapshots.verify(drifting)).toMatchObject({ same: 3, wrong: [] })
    factor = 2
    const report = await store.snapshots.verify(drifting)
    expect(report.wrong[0]).toMatchObject({ stream: 'sums-1', reason: 'different', version: 2 })
    expect(store.snapshots.stats.retired).toBe(1)
  })
})
