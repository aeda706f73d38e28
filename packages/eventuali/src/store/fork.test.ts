import fc from 'fast-check'
import { expect, test } from 'vitest'
import { describeStores } from '../../test/harness/adapter-stores.ts'
import type { RecordedEvent, StreamInfo, StreamState } from '../model/index.ts'
import type { EventStore, ForkOutcome, ForkRequest } from '../ports/index.ts'
import { wrapStore } from '../testing/index.ts'
import { openStore, type Store } from './index.ts'

const seed = Number(process.env.EVENTUALI_SEED ?? Date.now() % 2 ** 31)
const streams = ['cart-1', 'cart-2', 'user-ada']

type Step =
  | { readonly kind: 'append'; readonly stream: string; readonly count: number }
  | { readonly kind: 'archive' | 'unarchive' | 'delete'; readonly stream: string }
  | { readonly kind: 'truncate'; readonly stream: string; readonly before: number }

const stream = fc.constantFrom(...streams)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('append'),
      stream,
      count: fc.integer({ min: 1, max: 3 }),
    }),
  },
  fc.record({ kind: fc.constantFrom('archive', 'unarchive', 'delete'), stream }),
  fc.record({ kind: fc.constant('truncate'), stream, before: fc.integer({ min: 1, max: 9 }) }),
) as fc.Arbitrary<Step>

async function run(store: Store, one: Step): Promise<void> {
  const { stream: name } = one
  const info = await store.stream(name)
  const isThere = info !== undefined && info.state !== 'deleted'
  switch (one.kind) {
    case 'append': {
      if (info?.state === 'archived') return
      const events = Array.from({ length: one.count }, (_, n) => ({
        ...{ type: 'Added', data: { n, text: 'Grüße' }, tags: [`n:${n}`] },
      }))
      await store.append(name, events, { recreate: true })
      return
    }
    case 'truncate':
      if (isThere) await store.truncate(name, { before: one.before })
      return
    case 'delete':
      if (isThere) await store.deleteStream(name)
      return
    default: {
      const wanted: StreamState = one.kind === 'archive' ? 'active' : 'archived'
      if (info?.state === wanted) await store.archive(name, { undo: one.kind === 'unarchive' })
    }
  }
}

const wholeLog = (store: Store): Promise<RecordedEvent[]> =>
  store.readAll({ includeArchived: true, upTo: 'newest' }).toArray()

/** What the fork must be, told from the log of today and from the states as they were. */
function expected(log: RecordedEvent[], at: number, states: ReadonlyMap<string, StreamState>) {
  const events = log.filter(({ position }) => position <= at)
  const heads = streams.flatMap((name) => {
    const versions = events.filter((one) => one.stream === name).map(({ version }) => version)
    if (versions.length === 0) return []
    const version = Math.max(...versions)
    const firstVersion = Math.min(...versions)
    return [{ stream: name, version, firstVersion, state: states.get(name) }]
  })
  return { events, heads }
}

const headOf = ({ stream: name, version, firstVersion, state }: StreamInfo) => ({
  ...{ stream: name, version, firstVersion, state },
})

async function problemsOf(fork: Store, at: number): Promise<string[]> {
  const { problems } = await fork.verify()
  const next = await fork.append('after-1', { type: 'Added', data: {} })
  const found = problems.map(({ reason }) => reason)
  return next.position === at + 1 ? found : [...found, `the next position is ${next.position}`]
}

describeStores('forks', ({ adapter, open, forkPlace }) => {
  if (adapter === 'memory') {
    test('a store in memory says that it has none, and what to do', async () => {
      const store = await openStore(await open())
      await expect(store.fork({ into: 'x' })).rejects.toMatchObject({ code: 'CAPABILITY_MISSING' })
    })
    return
  }

  /** Rejects when a fork at a random position is not what the store was there. */
  const holds = (wrap: (store: EventStore) => EventStore, runs: number) =>
    fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 4, maxLength: 25 }),
        fc.nat(),
        async (steps, nat) => {
          const store = await openStore(wrap(await open()))
          const history = [{ newest: 0, states: new Map<string, StreamState>() }]
          for (const one of steps) {
            await run(store, one)
            const infos = await store.streams().toArray()
            const { newest } = await store.positions()
            history.push({
              newest,
              states: new Map(infos.map((info) => [info.stream, info.state])),
            })
          }
          const log = await wholeLog(store)
          const at = nat % ((history.at(-1)?.newest ?? 0) + 1)
          const { states } = history.find(({ newest }) => newest >= at) as (typeof history)[number]
          const { into, open: openFork } = forkPlace()
          const result = await store.fork({ into, at })
          const fork = await openStore(await openFork())
          const wanted = expected(log, at, states)
          expect(await wholeLog(fork)).toEqual(wanted.events)
          expect((await fork.streams().toArray()).map(headOf)).toEqual(wanted.heads)
          const tagged = wanted.events.filter(
            (one) => one.tags.includes('n:1') && states.get(one.stream) !== 'archived',
          )
          expect(await fork.readAll({ tags: ['n:1'] }).toArray()).toEqual(tagged)
          expect(result).toMatchObject({ position: at, events: wanted.events.length })
          expect(await problemsOf(fork, at)).toEqual([])
          expect(await wholeLog(store)).toEqual(log)
          await fork.close()
          await store.close()
        },
      ),
      { seed, numRuns: runs, endOnFailure: true },
    )

  test(
    `is what the store was at any position of any history (seed ${seed})`,
    () => holds((store) => store, 40),
    120_000,
  )

  type Forks = (next: EventStore, request: ForkRequest) => Promise<ForkOutcome>
  const planted: readonly (readonly [string, Forks])[] = [
    [
      'stops one early',
      (next, request) => next.fork({ ...request, upTo: Math.max(0, request.upTo - 1) }),
    ],
    [
      'takes all there is',
      async (next, request) => next.fork({ ...request, upTo: (await next.positions()).newest }),
    ],
    [
      'changes what it copies',
      async (next, request) => {
        const change = { kind: 'archive' } as const
        const info = await next.stream('cart-1')
        if (info?.state === 'active') {
          const event = {
            ...{ id: 'x', idGiven: false, type: '$archived', data: {}, metadata: {} },
            ...{ time: 0, schemaVersion: 1, tags: [] },
          }
          const entry = {
            stream: 'cart-1',
            expectedVersion: 'any',
            events: [event],
            change,
          } as const
          await next.append({ entries: [entry] })
        }
        return next.fork(request)
      },
    ],
  ]
  test.each(planted)(
    'a planted fork that %s is found',
    async (_name, fork) => {
      await expect(holds((store) => wrapStore(store, { fork }), 40)).rejects.toThrow()
    },
    120_000,
  )

  test('at a moment: up to the last event that was recorded until then', async () => {
    const store = await openStore(await open())
    const results = []
    for (let n = 0; n < 4; n++) {
      results.push(await store.append('cart-1', { type: 'Added', data: { n } }))
      await new Promise((resolve) => setTimeout(resolve, 3))
    }
    const recordedAt = results[1]?.events[0]?.recordedAt as Date
    const { into, open: openFork } = forkPlace()
    const { position } = await store.fork({ into, at: recordedAt })
    expect(position).toBe(results[1]?.position)
    const fork = await openStore(await openFork())
    expect((await wholeLog(fork)).map(({ data }) => data)).toEqual([{ n: 0 }, { n: 1 }])
    const { into: none } = forkPlace()
    expect(await store.fork({ into: none, at: 0 })).toMatchObject({ position: 0, events: 0 })
  })

  test('not at a moment before all was recorded, as of history that was imported', async () => {
    const store = await openStore(await open())
    const old = new Date('2013-01-31T10:00:00Z')
    // Where there is nothing, nothing is missed.
    expect(await store.fork({ into: forkPlace().into, at: old })).toMatchObject({ position: 0 })
    const times = []
    for (const stream of ['flight-1', 'flight-2']) {
      const { events } = await store.append(stream, { type: 'Landed', data: {}, time: old })
      times.push(events[0]?.recordedAt.toISOString())
    }
    await store.archive('flight-1')
    const last = (await wholeLog(store)).at(-1)?.recordedAt.toISOString()
    const { into } = forkPlace()
    await expect(store.fork({ into, at: old })).rejects.toMatchObject({
      ...{ code: 'ARGUMENT_INVALID', argument: 'at' },
      message: expect.stringContaining(
        `recorded from ${times[0]} to ${last}, and times here go by`,
      ),
    })
    // Nothing was made under the name.
    expect(await store.fork({ into })).toMatchObject({ events: 3 })
  })

  test('appends go on meanwhile, and none of them is in it', async () => {
    const store = await openStore(await open())
    const many = Array.from({ length: 1000 }, (_, n) => ({
      type: 'Added',
      data: { n },
      tags: ['all'],
    }))
    for (let n = 0; n < 12; n++) await store.append(`bulk-${n}`, many)
    const { into, open: openFork } = forkPlace()
    let meanwhile = 0
    let going = true
    const appends = (async () => {
      while (going) {
        await store.append('busy-1', { type: 'Added', data: {} })
        meanwhile++
      }
    })()
    const seen: number[] = []
    const result = await store.fork({ into, onProgress: ({ position }) => seen.push(position) })
    going = false
    await appends
    expect(meanwhile).toBeGreaterThan(1)
    expect(seen.length).toBeGreaterThan(1)
    expect(result.position).toBeLessThan((await store.positions()).newest)
    const fork = await openStore(await openFork())
    expect(await fork.readAll({ tags: ['all'] }).toArray()).toHaveLength(12_000)
    expect((await fork.verify()).problems).toEqual([])
    expect((await store.verify()).problems).toEqual([])
  }, 60_000)

  test('what cannot be is said before anything is made', async () => {
    const store = await openStore(await open())
    await store.append('cart-1', { type: 'Added', data: {} })
    const { into } = forkPlace()
    for (const at of [-1, 1.5, 2, Number.NaN, new Date('x'), 'today' as never]) {
      const refused = { code: 'ARGUMENT_INVALID', argument: 'at' }
      await expect(store.fork({ into, at })).rejects.toMatchObject(refused)
    }
    const names =
      adapter === 'sqlite' ? ['', ':memory:', 'no-such-folder/fork.db'] : ['', 'Big', 'a"b']
    for (const name of names) {
      const refused = { code: 'ARGUMENT_INVALID', argument: 'into' }
      await expect(store.fork({ into: name })).rejects.toMatchObject(refused)
    }
    await expect(store.transaction(() => store.fork({ into }))).rejects.toMatchObject({
      code: 'TRANSACTION_NESTED',
    })
    await expect(store.fork({ into, timeoutMs: 0.000_001 })).rejects.toMatchObject({
      code: 'TIMEOUT',
    })
    const slow = store.fork({ into, onProgress: () => void store.close() })
    await expect(slow).rejects.toMatchObject({ code: 'STORE_CLOSED' })
  })
})
