import { describe, expect, it } from 'vitest'
import { seededRandom } from '../kernel/index.ts'
import { defineAggregate, defineEvents, type } from '../model/index.ts'
import type { EventStore } from '../ports/index.ts'
import { openStore, type Store } from '../store/index.ts'
import { type ManualClock, manualClock, openMemoryStore, wrapStore } from '../testing/index.ts'
import { FakeReplica } from './fake-replica.test-support.ts'
import { withReplicas } from './index.ts'

const events = defineEvents({ Counted: type<{ by: number }>() })
const Counter = defineAggregate('counter', {
  events,
  initial: () => ({ sum: 0 }),
  evolve: { Counted: ({ sum }, { data }) => ({ sum: sum + data.by }) },
  commands: { count: (_state, by: number) => events.Counted({ by }) },
})

const counted = (by: number) => ({ type: 'Counted', data: { by } })

interface Bed {
  readonly store: Store
  readonly memory: EventStore
  readonly replica: FakeReplica
  readonly clock: ManualClock
  /** Streams that were read on the primary. */
  readonly onPrimary: string[]
  arrive(position?: number): Promise<void>
}

async function bed(options: { readonly cache?: { readonly bytes: number } } = {}): Promise<Bed> {
  const clock = manualClock()
  const memory = await openMemoryStore()
  const onPrimary: string[] = []
  const primary = wrapStore(memory, {
    readStream: (next, query, call) => {
      onPrimary.push(query.stream)
      return next.readStream(query, call)
    },
  })
  const replica = new FakeReplica(memory)
  const sources = { clock, random: seededRandom(1) }
  const port = withReplicas(primary, { replicas: [replica.place], ...sources, withinMs: 10_000 })
  const store = await openStore(port, { ...options, schemas: false })
  const arrive = async (position?: number): Promise<void> => {
    replica.visible = position ?? (await memory.positions()).newest
    await clock.advance(600)
  }
  return { store, memory, replica, clock, onPrimary, arrive }
}

describe('a session', () => {
  it('sees what was appended through it, in every way to append', async () => {
    const { store, arrive } = await bed()
    await store.append('a-1', counted(1))
    await arrive()
    const session = store.session()
    expect(session.position).toBe(0)
    const { position } = await session.append('a-1', counted(1))
    expect(session.position).toBe(position)
    await session.appendAll([
      { stream: 'b-1', expectedVersion: 'any', events: [counted(1), counted(2)] },
    ])
    expect(session.position).toBe(position + 2)
    await session.transaction((tx) => tx.append('c-1', counted(1)))
    expect(session.position).toBe(position + 3)
    await session.aggregate(Counter).execute('1', 'count', 5)
    expect(session.position).toBe(position + 4)
    expect(await session.readAll().toArray()).toHaveLength(6)
    const names = (await session.streams().toArray()).map(({ stream }) => stream)
    expect(names).toEqual(['a-1', 'b-1', 'c-1', 'counter-1'])
    await store.close()
  })

  it('does not count what was rolled back', async () => {
    const { store } = await bed()
    const session = store.session()
    const failing = session.transaction(async (tx) => {
      await tx.append('a-1', counted(1))
      throw new Error('no')
    })
    await expect(failing).rejects.toThrow('no')
    expect(session.position).toBe(0)
    await store.close()
  })

  it('reads single streams on the replica once that has what the session has seen', async () => {
    const { store, onPrimary, arrive } = await bed()
    await store.append('a-1', counted(1))
    await arrive()
    const session = store.session()
    expect(await session.readStream('a-1').toArray()).toHaveLength(1)
    expect(onPrimary).toEqual([])
    await session.append('a-1', counted(2))
    expect(await session.readStream('a-1').toArray()).toHaveLength(2)
    expect(onPrimary).toEqual(['a-1'])
    // Another caller has not seen it, and may get what the replica has.
    expect(await store.session().readStream('a-1').toArray()).toHaveLength(1)
    await arrive()
    expect(await session.readStream('a-1').toArray()).toHaveLength(2)
    expect(onPrimary).toEqual(['a-1'])
    await store.close()
  })

  it('goes on in another request with its position as the token', async () => {
    const { store, onPrimary, arrive } = await bed()
    await store.append('a-1', counted(1))
    await arrive()
    const first = store.session()
    await first.append('a-1', counted(2))
    const second = store.session({ position: first.position })
    expect(await second.readStream('a-1').toArray()).toHaveLength(2)
    const third = store.session()
    third.sees(first.position)
    third.sees(1)
    expect(third.position).toBe(first.position)
    expect(await third.readStream('a-1').toArray()).toHaveLength(2)
    expect(onPrimary).toHaveLength(2)
    for (const position of [-1, 1.5, Number.NaN, '7' as never]) {
      expect(() => store.session({ position })).toThrow(/position must be a position/)
    }
    await store.close()
  })

  it('does not wait for a position that no event has', async () => {
    const { store, arrive } = await bed()
    await store.append('a-1', counted(1))
    await arrive()
    const session = store.session({ position: 1_000_000 })
    expect(await session.readAll().toArray()).toHaveLength(1)
    expect(await session.readStream('a-1').toArray()).toHaveLength(1)
    await store.close()
  })

  it('decides on what the primary has', async () => {
    const { store, onPrimary, arrive } = await bed()
    const counters = store.session().aggregate(Counter)
    await counters.execute('1', 'count', 1)
    await arrive()
    await store.aggregate(Counter).execute('1', 'count', 1)
    await counters.execute('1', 'count', 1)
    expect((await counters.load('1')).state).toEqual({ sum: 3 })
    expect(onPrimary.length).toBeGreaterThanOrEqual(3)
    await store.close()
  })
})

describe('a store with replicas', () => {
  it('sees its own appends in the log, and those of others when a replica has them', async () => {
    const { store, memory, arrive } = await bed()
    await store.append('a-1', counted(1))
    await arrive()
    await store.append('a-1', counted(2))
    expect(await store.readAll().toArray()).toHaveLength(2)
    expect(await store.streams({ prefix: 'a' }).toArray()).toMatchObject([{ version: 2 }])
    // Whoever says how fresh it has to be gets no more than that.
    expect(await store.readAll({ fresh: {} }).toArray()).toHaveLength(1)
    await arrive()
    const other = await openStore(memory, { schemas: false })
    await other.append('b-1', counted(3))
    expect(await store.readAll().toArray()).toHaveLength(2)
    expect(await store.readAll({ fresh: 'primary' }).toArray()).toHaveLength(3)
    expect(store.replicas).toMatchObject([{ name: 'replica', state: 'ready' }])
    await store.close()
  })
})

describe('a load within a bound', () => {
  it('reads on the replica, and is as old as that', async () => {
    const { store, onPrimary, arrive } = await bed()
    const counters = store.aggregate(Counter)
    await counters.execute('1', 'count', 1)
    await arrive()
    await counters.execute('1', 'count', 1)
    onPrimary.length = 0
    expect(await counters.load('1', { fresh: {} })).toEqual({ state: { sum: 1 }, version: 1 })
    expect(onPrimary).toEqual([])
    expect((await counters.load('1')).version).toBe(2)
    await store.close()
  })

  it('never takes a state from memory for wrong because the replica is behind it', async () => {
    const { store, onPrimary, arrive } = await bed({ cache: { bytes: 1_000_000 } })
    const counters = store.aggregate(Counter)
    await counters.execute('1', 'count', 1)
    await arrive()
    await counters.execute('1', 'count', 1)
    await counters.load('1')
    const { entries } = store.cache.stats
    onPrimary.length = 0
    expect((await counters.load('1', { fresh: {} })).state).toEqual({ sum: 2 })
    expect(store.cache.stats.entries).toBe(entries)
    expect(onPrimary).toEqual(['counter-1'])
    await arrive()
    expect((await counters.load('1', { fresh: {} })).state).toEqual({ sum: 2 })
    expect(onPrimary).toHaveLength(1)
    await store.close()
  })
})

describe('a subscription on a store with replicas', () => {
  it('follows the replica, and the primary when it is told to', async () => {
    const { store, arrive, clock } = await bed()
    await store.append('a-1', counted(1))
    await arrive()
    await store.append('a-1', counted(2))
    const seen: number[] = []
    const seenFresh: number[] = []
    const following = store.subscribe({}, ({ position }) => seen.push(position))
    const primary = store.subscribe({ fresh: 'primary' }, ({ position }) =>
      seenFresh.push(position),
    )
    for (let i = 0; i < 50 && seenFresh.length < 2; i++) await clock.advance(20)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect([seen, seenFresh]).toEqual([[1], [1, 2]])
    await arrive()
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(seen).toEqual([1, 2])
    await Promise.all([following.stop(), primary.stop()])
    await store.close()
  })
})

describe('a subscription from the end of the log', () => {
  it('begins at the primary’s end, though the replica is still behind it', async () => {
    const { store, arrive, clock } = await bed()
    await store.append('a-1', counted(1))
    await arrive()
    await store.append('a-1', counted(2))
    const seen: number[] = []
    const subscription = store.subscribe({ after: 'end' }, ({ position }) => seen.push(position))
    for (let i = 0; i < 5; i++) await clock.advance(100)
    await store.append('a-1', counted(3))
    await arrive()
    for (let i = 0; i < 100 && seen.length === 0; i++) {
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    expect(seen).toEqual([3])
    await subscription.stop()
    await store.close()
  })
})

describe('openStore with replicas', () => {
  it('takes urls of Postgres servers only, and tells no password', async () => {
    const secret = 'sesame'
    for (const replicas of [
      'postgres://localhost/shop',
      ['sqlite:shop.db'],
      [`mysql://user:${secret}@localhost/shop`],
      [`postgres://user:${secret}@local host:x/shop`],
      [{ url: 7 }],
      [undefined],
    ]) {
      const opening = openStore('memory:', { replicas: replicas as never })
      await expect(opening).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
      await expect(opening).rejects.not.toThrow(secret)
    }
  })

  it('refuses them beside a store that has none', async () => {
    const opening = openStore('memory:', { replicas: ['postgres://localhost/shop'] })
    await expect(opening).rejects.toThrow(/replicas are those of a PostgreSQL store/)
  })

  it('has none to tell of when it was opened without', async () => {
    const store = await openStore('memory:')
    expect(store.replicas).toEqual([])
    await store.append('a-1', counted(1))
    expect(await store.readAll({ fresh: { withinMs: 5 } }).toArray()).toHaveLength(1)
    expect(() => store.readAll({ fresh: 'newest' as never })).toThrow(/fresh must be/)
    await store.close()
  })
})
