import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { describeStores } from '../../test/harness/adapter-stores.ts'
import { Aggregate, defineAggregate, defineEvents, reject, type } from '../model/index.ts'
import type { EventStore } from '../ports/index.ts'
import { openStore, type Store } from '../store/index.ts'
import { wrapStore } from '../testing/index.ts'

const seed = Number(process.env.EVENTUALI_SEED ?? Date.now() % 2 ** 31)

const events = defineEvents({
  Deposited: type<{ n: number; note?: string | undefined }>(),
  Withdrawn: type<{ n: number }>(),
})

interface State {
  readonly balance: number
  readonly notes: readonly string[]
}

const Account = defineAggregate('account', {
  events,
  initial: (): State => ({ balance: 0, notes: [] }),
  evolve: {
    Deposited: ({ balance, notes }, { data }) => ({
      balance: balance + data.n,
      // What JSON leaves out is not there.
      notes: 'note' in data ? [...notes, String(data.note)] : notes,
    }),
    Withdrawn: (state, { data: { n } }) => ({ ...state, balance: state.balance - n }),
  },
  commands: {
    deposit: (_state, n: number) => events.Deposited({ n, note: n % 2 ? `${n}` : undefined }),
    withdraw: ({ balance }, n: number) =>
      balance < n ? reject('too little') : events.Withdrawn({ n }),
    empty: ({ balance }) => (balance === 0 ? [] : [events.Withdrawn({ n: balance })]),
  },
})

const cached = (port: EventStore, bytes = 1_000_000): Promise<Store> =>
  openStore(port, { cache: { bytes } })

/** How often events of streams are read. */
function counting(inner: EventStore): { port: EventStore; reads: () => number } {
  let count = 0
  const port = wrapStore(inner, {
    readStream: (next, query, options) => {
      count++
      return next.readStream(query, options)
    },
  })
  return { port, reads: () => count }
}

const kinds = ['deposit', 'withdraw', 'empty', 'load', 'foreign', 'undone'] as const
const step = fc.record({
  program: fc.integer({ min: 0, max: 1 }),
  kind: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...kinds) },
    { weight: 1, arbitrary: fc.constantFrom('delete' as const, 'truncate' as const) },
  ),
  id: fc.constantFrom('1', '2', '3'),
  n: fc.integer({ min: 1, max: 9 }),
})

describeStores('states in memory', ({ open }) => {
  test('are never wrong: two programs that hold them do what one without them does', async () => {
    let count = 0
    const port = await open()
    const plain = await openStore(port)
    const truth = plain.aggregate(Account)
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 50 }),
        fc.constantFrom(200, 400, 1_000_000),
        async (steps, bytes) => {
          const run = ++count
          const programs = [await cached(port, bytes), await cached(port, bytes)]
          for (const { program, kind, id: suffix, n } of steps) {
            const id = `${run}x${suffix}`
            const stream = `account-${id}`
            const store = programs[program] as Store
            const accounts = store.aggregate(Account)
            const info = await plain.stream(stream)
            const before = await truth.load(id).catch(() => undefined)
            const recreate = { recreate: true }
            if (before === undefined) continue
            const { balance } = before.state
            if (kind === 'deposit') await accounts.execute(id, 'deposit', n, recreate)
            else if (kind === 'withdraw') {
              const withdrawn = accounts.execute(id, 'withdraw', n, recreate)
              if (balance >= n) await withdrawn
              else await expect(withdrawn).rejects.toMatchObject({ code: 'DOMAIN_REJECTED' })
            } else if (kind === 'empty') {
              const result = await accounts.execute(id, 'empty', undefined, recreate)
              expect(result.events).toHaveLength(balance === 0 ? 0 : 1)
            } else if (kind === 'load') {
              const bounds = { version: n }
              const early = await truth.load(id, bounds).catch(() => undefined)
              if (early !== undefined) expect(await accounts.load(id, bounds)).toEqual(early)
            } else if (kind === 'foreign') {
              await plain.append(stream, events.Deposited({ n }), recreate)
            } else if (kind === 'undone') {
              const work = store.transaction(async (tx) => {
                await tx.aggregate(Account).execute(id, 'deposit', n, recreate)
                throw new Error('not today')
              })
              await expect(work).rejects.toThrow('not today')
            } else if (info !== undefined && info.state === 'active' && info.version > 0) {
              if (kind === 'delete') await plain.deleteStream(stream)
              else if (info.version > 2) await plain.truncate(stream, { before: info.version })
            }
            const after = await truth.load(id).catch(() => undefined)
            if (after !== undefined) expect(await accounts.load(id)).toEqual(after)
          }
          for (const { cache } of programs) {
            expect(cache.stats.bytes).toBeLessThanOrEqual(bytes)
            cache.clear()
            expect(cache.stats).toMatchObject({ bytes: 0, entries: 0 })
          }
        },
      ),
      { seed, numRuns: 40 },
    )
  }, 240_000)

  test('spare commands every read, until another program has written', async () => {
    const { port, reads } = counting(await open())
    const store = await cached(port)
    const other = await openStore(port)
    const accounts = store.aggregate(Account)
    await accounts.execute('1', 'deposit', 10)
    const before = reads()
    for (let n = 0; n < 20; n++) await accounts.execute('1', 'withdraw', 1 / 4)
    expect(reads()).toBe(before)
    expect(store.cache.stats).toMatchObject({ hits: 20, misses: 1, entries: 1 })
    // A refusal may be for an old reason: it is looked at again.
    await other.append('account-1', events.Deposited({ n: 100 }))
    await accounts.execute('1', 'withdraw', 50)
    expect((await accounts.load('1')).state.balance).toBe(55)
    // And so is an append that came too late; neither counts as one of the tries.
    await other.append('account-1', events.Withdrawn({ n: 5 }))
    await accounts.execute('1', 'withdraw', 50, { retryCountMax: 0 })
    expect((await other.aggregate(Account).load('1')).state.balance).toBe(0)
  })

  test('are not decided on where the caller has seen another version', async () => {
    const store = await cached(await open())
    const accounts = store.aggregate(Account)
    await accounts.execute('1', 'deposit', 10)
    const late = accounts.execute('1', 'withdraw', 1, { expectedVersion: 0 })
    await expect(late).rejects.toMatchObject({ code: 'VERSION_CONFLICT', actualVersion: 1 })
    await accounts.execute('1', 'withdraw', 1, { expectedVersion: 1 })
    await accounts.execute('1', 'withdraw', 1, { expectedVersion: 'exists' })
    expect(await accounts.load('1')).toMatchObject({ version: 3, state: { balance: 8 } })
  })

  test('leave the rules of kept states as they are', async () => {
    const port = await open()
    const options = { cache: { bytes: 1_000_000 }, snapshots: { every: 10, keep: 1 } }
    const store = await openStore(port, options)
    const accounts = store.aggregate(Account)
    await accounts.load('1')
    await store.snapshots.settled()
    for (let n = 1; n <= 35; n++) {
      await accounts.execute('1', 'deposit', 1)
      await store.snapshots.settled()
    }
    expect(store.snapshots.stats).toMatchObject({ refused: 0, retired: 0, problem: undefined })
    expect(store.snapshots.stats.taken).toBe(3)
    const [kept] = await store.snapshots.list('account-1')
    expect(kept?.version).toBeGreaterThanOrEqual(30)
    // The events of a creation count too.
    await accounts.create('2', 'deposit', 1)
    for (let n = 0; n < 9; n++) await accounts.execute('2', 'deposit', 1)
    await store.snapshots.settled()
    expect((await store.snapshots.list('account-2')).map(({ version }) => version)).toEqual([10])
    // Another program begins with the kept one, and holds it from then on.
    const next = await openStore(port, options)
    await next.aggregate(Account).load('1')
    await next.snapshots.settled()
    next.cache.clear()
    expect((await next.aggregate(Account).load('1')).state.balance).toBe(35)
    expect(next.snapshots.stats.used).toBe(1)
  })
})

describe('a state in memory', () => {
  test('cannot be changed by who has loaded it', async () => {
    const store = await openStore('memory:', { cache: { bytes: 1_000_000 } })
    const accounts = store.aggregate(Account)
    await accounts.execute('1', 'deposit', 1)
    const { state } = await accounts.load('1')
    expect(() => (state.notes as string[]).push('x')).toThrow(TypeError)
    expect((await accounts.load('1')).state).toEqual({ balance: 1, notes: ['1'] })
  })

  test('gives way to a newer one only, whichever load ends first', async () => {
    const inner = (await openStore('memory:')).port
    let release: (() => void) | undefined
    const port = wrapStore(inner, {
      readStream: async function* (next, query, options) {
        const pages = await Array.fromAsync(next.readStream(query, options))
        if (release === undefined) await new Promise<void>((resolve) => (release = resolve))
        yield* pages
      },
    })
    const store = await openStore(port, { cache: { bytes: 1_000_000 } })
    const accounts = store.aggregate(Account)
    await store.append('account-1', events.Deposited({ n: 1 }))
    const slow = accounts.load('1')
    await expect.poll(() => release).toBeDefined()
    await store.append('account-1', events.Deposited({ n: 2 }))
    expect(await accounts.load('1')).toMatchObject({ version: 2 })
    release?.()
    expect(await slow).toMatchObject({ version: 1 })
    // Decided on without a look: an old state would be met by a conflict.
    const { hits } = store.cache.stats
    await accounts.execute('1', 'withdraw', 3, { retryCountMax: 0 })
    expect(store.cache.stats).toMatchObject({ hits: hits + 1, misses: 2 })
  })

  test('of a stream that has another history is forgotten', async () => {
    const one = (await openStore('memory:')).port
    const other = (await openStore('memory:')).port
    let port = one
    let reads = 0
    // A store that is put back under a program that goes on.
    const swapped = wrapStore(one, {
      readStream: (_next, query, options) => {
        reads++
        return port.readStream(query, options)
      },
      stream: (_next, name, options) => port.stream(name, options),
    })
    const store = await openStore(swapped, { cache: { bytes: 1_000_000 } })
    for (let n = 0; n < 3; n++) await store.append('account-1', events.Deposited({ n: 1 }))
    const late = await openStore(other)
    await late.append('other-1', events.Deposited({ n: 1 }))
    await late.append('account-1', events.Deposited({ n: 50 }))
    const accounts = store.aggregate(Account)
    expect(await accounts.load('1')).toMatchObject({ version: 3 })
    port = other
    for (let n = 0; n < 2; n++) {
      expect(await accounts.load('1')).toEqual({ version: 1, state: { balance: 50, notes: [] } })
    }
    // At first all, then what came after the event that does not fit and all, then what came after.
    expect(reads).toBe(4)
  })

  test('is one of plain values: others are folded anew each time', async () => {
    const store = await openStore('memory:', { cache: { bytes: 1_000_000 } })
    const Visits = defineAggregate('visits', {
      events,
      initial: () => ({ seen: new Set<number>(), all: [] as number[] }),
      evolve: {
        Deposited: (state, { data: { n } }) => {
          state.seen.add(n)
          state.all.push(n)
          return state
        },
        Withdrawn: (state) => state,
      },
      commands: { see: (_state, n: number) => events.Deposited({ n }) },
    })
    class Counter extends Aggregate {
      static readonly aggregateName: string = 'counter'
      static readonly events = events
      count = 0
      hit(): void {
        this.record(events.Deposited({ n: 1 }))
      }
      onDeposited(): void {
        this.count++
      }
      onWithdrawn(): void {}
    }
    for (let n = 0; n < 3; n++) {
      await store.aggregate(Visits).execute('1', 'see', n)
      await store.aggregate(Counter).execute('1', 'hit')
    }
    const { state } = await store.aggregate(Visits).load('1')
    expect([...state.seen]).toEqual([0, 1, 2])
    state.all.push(3)
    expect((await store.aggregate(Counter).load('1')).count).toBe(3)
    // What a caller keeps of an instance has each event once.
    let mine: Counter | undefined
    let seen = 0
    await store.aggregate(Counter).handle('1', (counter) => {
      counter.hit()
      seen = counter.count
      mine = counter
    })
    expect(mine?.count).toBe(seen)
    expect(store.cache.stats).toMatchObject({ hits: 0, entries: 0, bytes: 0 })
  })

  test('goes when others are used and the bytes are up', async () => {
    const store = await openStore('memory:', { cache: { bytes: 500 } })
    const accounts = store.aggregate(Account)
    for (const id of ['1', '2', '3', '1', '4']) await accounts.execute(id, 'deposit', 2)
    const { entries, bytes, evicted } = store.cache.stats
    expect(entries).toBeGreaterThan(1)
    expect(entries + evicted).toBeGreaterThanOrEqual(4)
    expect(bytes).toBeLessThanOrEqual(500)
    const { hits } = store.cache.stats
    await accounts.load('1')
    expect(store.cache.stats.hits).toBe(hits + 1)
  })

  test.each([0, -1, 1.5, Number.NaN, '64' as never])(
    'is not asked for by %s bytes',
    async (bytes) => {
      await expect(openStore('memory:', { cache: { bytes } })).rejects.toMatchObject({
        code: 'ARGUMENT_INVALID',
      })
    },
  )

  test('is a thing to ask for', async () => {
    const store = await openStore('memory:')
    expect(() => store.cache).toThrow(/open the store with { cache/)
  })
})
