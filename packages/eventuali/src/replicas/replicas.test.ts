import { describe, expect, it } from 'vitest'
import { isEventualiError, seededRandom } from '../kernel/index.ts'
import type { EventStore, NewEvent, PositionsOptions, ReadOptions } from '../ports/index.ts'
import { type ManualClock, manualClock, openMemoryStore, wrapStore } from '../testing/index.ts'
import { FakeReplica } from './fake-replica.test-support.ts'
import { type ReplicatedStore, type ReplicationOptions, withReplicas } from './index.ts'

let eventCount = 0

function event(): NewEvent {
  eventCount++
  return {
    ...{ id: `event-${eventCount}`, idGiven: false, type: 'Happened', data: { n: eventCount } },
    ...{ metadata: {}, time: 0, schemaVersion: 1, tags: [] },
  }
}

async function append(store: EventStore, stream: string, count = 1): Promise<number> {
  const events = Array.from({ length: count }, event)
  const outcome = await store.append({ entries: [{ stream, expectedVersion: 'any', events }] })
  if (!outcome.ok) throw new Error(outcome.reason)
  return outcome.entries[0]?.positions.at(-1) ?? 0
}

const readAll = async (store: EventStore, options: ReadOptions, upTo?: number) => {
  const bound = upTo ?? (await store.positions(options)).safe
  const found: number[] = []
  for await (const page of store.readLog({ direction: 'forward', upTo: bound }, options)) {
    found.push(...page.map(({ position }) => position))
  }
  return found
}

const readStream = async (store: EventStore, stream: string, options: ReadOptions) => {
  const found: number[] = []
  for await (const page of store.readStream({ stream, direction: 'forward' }, options)) {
    found.push(...page.map(({ version }) => version))
  }
  return found
}

interface Bed {
  readonly clock: ManualClock
  readonly primary: EventStore
  /** Reads that came to the primary. */
  readonly onPrimary: string[]
  readonly replicas: readonly FakeReplica[]
  /** Where the primary's safe position stands still, when it does. */
  readonly gap: { safe: number }
  /** What the proof that a replica is one finds on the primary. */
  readonly proof: { count: number; isThere: boolean }
  /** The time that reads on the primary were given. */
  readonly timeouts: (number | undefined)[]
  /** Whether each look at the primary was to publish. */
  readonly published: boolean[]
  readonly store: ReplicatedStore
  /** Lets the replicas arrive at the primary's end, and be seen there. */
  catchUp(): Promise<void>
}

async function bed(
  options: Partial<ReplicationOptions> & {
    readonly count?: number
    readonly prepare?: (replicas: readonly FakeReplica[]) => void
  } = {},
): Promise<Bed> {
  const clock = manualClock()
  const memory = await openMemoryStore()
  const onPrimary: string[] = []
  const gap = { safe: Number.POSITIVE_INFINITY }
  const published: boolean[] = []
  const proof = { count: 0, isThere: true }
  const timeouts: (number | undefined)[] = []
  const primary = wrapStore(memory, {
    positions: async (next, call: PositionsOptions | undefined) => {
      published.push(call?.publish === true)
      const positions = await next.positions(call)
      return { ...positions, safe: Math.min(gap.safe, positions.safe) }
    },
    readLog: (next, query, call) => {
      // The proof that a replica is one asks for archived events too; no read of these tests does.
      if (query.includeArchived !== true) onPrimary.push('readLog')
      else proof.count++
      const isGone = query.includeArchived === true && !proof.isThere
      return next.readLog(isGone ? { ...query, upTo: 0 } : query, call)
    },
    readStream: (next, query, call) => {
      onPrimary.push('readStream')
      timeouts.push(call?.timeoutMs)
      return next.readStream(query, call)
    },
    stream: (next, name, call) => {
      onPrimary.push('stream')
      return next.stream(name, call)
    },
  })
  const replicas = Array.from({ length: options.count ?? 1 }, (_, i) => {
    return new FakeReplica(memory, `replica-${i}`)
  })
  options.prepare?.(replicas)
  const places = replicas.map(({ place }) => place)
  const sources = { clock, random: seededRandom(1) }
  const store = withReplicas(primary, { withinMs: 1000, ...options, ...sources, replicas: places })
  const catchUp = async (): Promise<void> => {
    const { newest } = await memory.positions()
    for (const replica of replicas) replica.visible = newest
    await clock.advance(600)
  }
  const seen = { onPrimary, published, proof, timeouts }
  return { clock, primary, replicas, gap, store, catchUp, ...seen }
}

/** What is silent is waited for, but not for ever. */
async function closeWhileSilent(store: EventStore, clock: ManualClock): Promise<void> {
  const closing = store.close()
  await clock.advance(5000)
  await closing
}

const fresh = (bound: ReadOptions['fresh']): ReadOptions => ({ fresh: bound })

describe('a store with replicas', () => {
  it('reads on the primary what does not say how fresh it has to be', async () => {
    const { store, onPrimary, catchUp } = await bed()
    await append(store, 'a-1', 3)
    await catchUp()
    expect(await readAll(store, {})).toHaveLength(3)
    expect(await readStream(store, 'a-1', fresh('primary'))).toHaveLength(3)
    expect(await store.stream('a-1')).toMatchObject({ version: 3 })
    expect(onPrimary).toEqual(['readLog', 'readStream', 'stream'])
    await store.close()
  })

  it('reads on a replica that is within the bound, and says so', async () => {
    const { store, onPrimary, catchUp } = await bed()
    await append(store, 'a-1', 3)
    await catchUp()
    expect(await readAll(store, fresh({}))).toHaveLength(3)
    expect(await readStream(store, 'a-1', fresh({}))).toEqual([1, 2, 3])
    expect(await store.stream('a-1', fresh({}))).toMatchObject({ version: 3 })
    const names: string[] = []
    for await (const page of store.streams({}, fresh({}))) names.push(...page.map((s) => s.stream))
    expect(names).toEqual(['a-1'])
    expect(onPrimary).toEqual([])
    const [status] = store.replicaStatus()
    expect(status).toMatchObject({ name: 'replica-0', state: 'ready', position: 3, readCount: 4 })
    expect(status?.lagMs).toBeLessThan(500)
    await store.close()
  })

  it('stays fresh in a log that stands still, however long', async () => {
    const { store, onPrimary, catchUp, clock } = await bed()
    await append(store, 'a-1')
    await catchUp()
    await clock.advance(60_000)
    expect(await readStream(store, 'a-1', fresh({ withinMs: 300 }))).toEqual([1])
    expect(await readAll(store, fresh({ withinMs: 300 }))).toEqual([1])
    expect(onPrimary).toEqual([])
    await store.close()
  })

  it('holds single streams to what was committed, the log to what is safe', async () => {
    const { store, onPrimary, replicas, gap, clock } = await bed()
    await append(store, 'a-1')
    // An open transaction has position 2.
    gap.safe = 1
    await append(store, 'a-1', 2)
    for (const replica of replicas) replica.visible = 1
    await clock.advance(3000)
    expect(await readAll(store, fresh({}))).toEqual([1])
    expect(onPrimary).toEqual([])
    expect(await readStream(store, 'a-1', fresh({}))).toEqual([1, 2, 3])
    expect(onPrimary).toEqual(['readStream'])
    expect(await store.positions(fresh({}))).toMatchObject({ safe: 1, newest: 3 })
    await store.close()
  })

  it('asks the primary to publish how far it is, again and again', async () => {
    const { store, published, clock } = await bed()
    await clock.advance(2000)
    expect(published.length).toBeGreaterThanOrEqual(8)
    expect(published.every((one) => one)).toBe(true)
    await store.close()
  })

  it('shares the reads out among the replicas', async () => {
    const { store, catchUp } = await bed({ count: 2 })
    await append(store, 'a-1')
    await catchUp()
    for (let i = 0; i < 10; i++) await readStream(store, 'a-1', fresh({}))
    expect(store.replicaStatus().map(({ readCount }) => readCount)).toEqual([5, 5])
    await store.close()
  })

  it('never reads a replica behind the position that is asked for', async () => {
    const { store, onPrimary, replicas, catchUp, clock } = await bed()
    await append(store, 'a-1', 2)
    await catchUp()
    const position = await append(store, 'a-1')
    const bound = fresh({ position })
    expect(await readStream(store, 'a-1', bound)).toEqual([1, 2, 3])
    expect(await readAll(store, bound)).toHaveLength(3)
    expect(onPrimary).toEqual(['readStream', 'readLog'])
    for (const replica of replicas) replica.visible = position
    await clock.advance(600)
    expect(await readStream(store, 'a-1', bound)).toEqual([1, 2, 3])
    expect(onPrimary).toHaveLength(2)
    await store.close()
  })

  it('skips a replica as soon as it is older than the bound, and takes it back', async () => {
    const { store, onPrimary, replicas, catchUp, clock } = await bed()
    await append(store, 'a-1')
    await catchUp()
    await append(store, 'a-1')
    await clock.advance(500)
    expect(await readStream(store, 'a-1', fresh({ withinMs: 900 }))).toEqual([1])
    await clock.advance(1000)
    expect(await readStream(store, 'a-1', fresh({ withinMs: 900 }))).toEqual([1, 2])
    expect(onPrimary).toEqual(['readStream'])
    expect(store.replicaStatus()[0]).toMatchObject({ state: 'lagging', position: 1 })
    expect(store.replicaStatus()[0]?.reason).toMatch(/more than 1000 ms behind/)
    // However old, when the caller says so.
    expect(await readStream(store, 'a-1', fresh({ withinMs: Infinity }))).toEqual([1])
    for (const replica of replicas) replica.visible = 2
    await clock.advance(600)
    expect(await readStream(store, 'a-1', fresh({ withinMs: 900 }))).toEqual([1, 2])
    expect(onPrimary).toHaveLength(1)
    expect(store.replicaStatus()[0]).toMatchObject({ state: 'ready', reason: undefined })
    await store.close()
  })

  it('reads no further than what was published, though the replica shows more', async () => {
    const { store, onPrimary, replicas, clock } = await bed()
    await append(store, 'a-1', 5)
    for (const replica of replicas) Object.assign(replica, { visible: 5, published: 3 })
    await clock.advance(600)
    const any = fresh({ withinMs: Infinity })
    expect(await store.positions(any)).toMatchObject({ safe: 3, newest: 5 })
    expect(await readAll(store, any)).toEqual([1, 2, 3])
    expect(await readAll(store, any, 4)).toEqual([1, 2, 3, 4])
    expect(onPrimary).toEqual(['readLog'])
    await store.close()
  })

  it('goes on at the primary when a replica breaks, nothing twice or skipped', async () => {
    const { store, replicas, catchUp, clock } = await bed()
    await append(store, 'a-1', 9)
    for (const breaksAfter of [0, 1, 2, 3, 4, 5]) {
      const expected = [1, 2, 3, 4, 5, 6, 7, 8, 9]
      const forward = { stream: 'a-1', direction: 'forward' } as const
      const backward = { ...forward, direction: 'backward' } as const
      const log = { upTo: 9 }
      const reads: readonly [() => AsyncIterable<readonly { position: number }[]>, number[]][] = [
        [() => store.readStream(forward, fresh({})), expected],
        [() => store.readStream(backward, fresh({})), expected.toReversed()],
        [() => store.readStream({ ...forward, limit: 5 }, fresh({})), expected.slice(0, 5)],
        [() => store.readLog({ ...log, direction: 'forward' }, fresh({})), expected],
        [() => store.readLog({ ...log, direction: 'backward' }, fresh({})), expected.toReversed()],
        [() => store.readLog({ ...log, direction: 'backward', limit: 4 }, fresh({})), [9, 8, 7, 6]],
      ]
      for (const [read, wanted] of reads) {
        await catchUp()
        for (const replica of replicas) replica.breaksAfter = breaksAfter
        const found: number[] = []
        for await (const page of read()) found.push(...page.map(({ position }) => position))
        expect(found).toEqual(wanted)
      }
    }
    expect(store.replicaStatus()[0]?.failedReadCount).toBeGreaterThan(20)
    await clock.advance(5000)
    expect(store.replicaStatus()[0]?.state).toBe('ready')
    await store.close()
  })

  it('lists streams on from the last name when a replica dies in the midst', async () => {
    const { store, replicas, catchUp } = await bed()
    for (const name of ['a', 'b', 'c', 'd']) await append(store, name)
    await catchUp()
    const names: string[] = []
    for await (const page of store.streams({ limit: 3 }, fresh({}))) {
      names.push(...page.map(({ stream }) => stream))
      for (const replica of replicas) replica.dead = true
    }
    expect(names).toEqual(['a', 'b', 'c'])
    await store.close()
  })

  it('gives a silent replica half of the time, and the primary the rest', async () => {
    const { store, replicas, catchUp, clock, onPrimary, timeouts } = await bed()
    await append(store, 'a-1', 3)
    await catchUp()
    for (const replica of replicas) replica.silent = true
    const reading = readStream(store, 'a-1', { fresh: {}, timeoutMs: 400 })
    await clock.advance(150)
    expect(onPrimary).toEqual([])
    await clock.advance(60)
    expect(await reading).toEqual([1, 2, 3])
    expect(timeouts).toEqual([200])
    expect(store.replicaStatus()[0]).toMatchObject({ state: 'down', failedReadCount: 1 })
    await closeWhileSilent(store, clock)
  })

  it('takes reads away from a replica whose look gets no answer', async () => {
    const { store, replicas, catchUp, clock } = await bed({ withinMs: 60_000 })
    await append(store, 'a-1', 3)
    await catchUp()
    for (const replica of replicas) replica.silent = true
    const reading = readStream(store, 'a-1', { fresh: {}, timeoutMs: 60_000 })
    await clock.advance(2500)
    expect(await reading).toEqual([1, 2, 3])
    await closeWhileSilent(store, clock)
  })

  it('rejects with the caller’s own reason, and leaves the replica in service', async () => {
    const { store, replicas, catchUp } = await bed()
    await append(store, 'a-1', 3)
    await catchUp()
    for (const replica of replicas) replica.silent = true
    const abort = new AbortController()
    const reading = readStream(store, 'a-1', { fresh: {}, signal: abort.signal })
    const reason = new Error('enough')
    abort.abort(reason)
    await expect(reading).rejects.toBe(reason)
    expect(store.replicaStatus()[0]).toMatchObject({ state: 'ready', failedReadCount: 0 })
    await store.close()
  })

  it('opens when a replica is dead, and uses it once it lives', async () => {
    const { store, replicas, catchUp, onPrimary, clock } = await bed({
      prepare: (all) => {
        for (const replica of all) replica.dead = true
      },
    })
    await append(store, 'a-1')
    await clock.advance(3000)
    expect(await readStream(store, 'a-1', fresh({}))).toEqual([1])
    expect(store.replicaStatus()[0]).toMatchObject({ state: 'down', lagMs: undefined })
    expect(store.replicaStatus()[0]?.reason).toMatch(/^CONNECTION_FAILED: .*dead/)
    for (const replica of replicas) replica.dead = false
    await clock.advance(3000)
    await catchUp()
    expect(await readStream(store, 'a-1', fresh({}))).toEqual([1])
    expect(onPrimary).toHaveLength(1)
    await store.close()
  })

  it('refuses a replica of another incarnation, and takes one that has become right', async () => {
    const { store, replicas, catchUp, clock } = await bed({
      prepare: ([replica]) => Object.assign(replica as object, { incarnation: 'another' }),
    })
    await append(store, 'a-1')
    await catchUp()
    expect(await readStream(store, 'a-1', fresh({}))).toEqual([1])
    expect(store.replicaStatus()[0]).toMatchObject({ state: 'refused', readCount: 0 })
    expect(store.replicaStatus()[0]?.reason).toMatch(/incarnation another/)
    for (const replica of replicas) {
      expect(replica.closed).toBe(replica.opened)
      replica.incarnation = undefined
    }
    await clock.advance(3000)
    expect(store.replicaStatus()[0]?.state).toBe('ready')
    await store.close()
  })

  it('refuses a copy that went its own way, though it has the same incarnation', async () => {
    const clock = manualClock()
    const [primary, copy] = [await openMemoryStore(), await openMemoryStore()]
    await append(primary, 'a-1', 3)
    await append(copy, 'a-1', 3)
    const place = {
      name: 'copy',
      open: async () => {
        const close = async () => {}
        return { ...wrapStore(copy, {}), incarnation: primary.incarnation, close }
      },
    }
    const sources = { clock, random: seededRandom(1) }
    const store = withReplicas(primary, { replicas: [place], ...sources })
    await clock.advance(3000)
    expect(store.replicaStatus()[0]).toMatchObject({ state: 'refused', position: 0 })
    expect(store.replicaStatus()[0]?.reason).toMatch(/position 3 is not the primary's/)
    await store.close()
    await copy.close()
  })

  it('compares the newest events now and then, and bears with one just removed', async () => {
    const { store, replicas, catchUp, clock, proof } = await bed()
    await append(store, 'a-1')
    await catchUp()
    expect(proof.count).toBe(1)
    proof.isThere = false
    for (let i = 0; i < 150; i++) {
      const position = await append(store, 'a-1')
      for (const replica of replicas) replica.visible = position
      await clock.advance(100)
      expect(store.replicaStatus()[0]?.state).toBe('ready')
    }
    expect(proof.count).toBeGreaterThan(1)
    proof.isThere = true
    await clock.advance(300)
    const { count } = proof
    for (let i = 0; i < 40; i++) {
      await append(store, 'a-1')
      await catchUp()
    }
    // 24 seconds of it.
    expect(proof.count - count).toBeLessThan(5)
    await store.close()
  })

  it('closes what opens too late', async () => {
    const clock = manualClock()
    const memory = await openMemoryStore()
    let open: ((store: EventStore) => void) | undefined
    let closed = 0
    const place = { name: 'slow', open: () => new Promise<EventStore>((r) => (open = r)) }
    const sources = { clock, random: seededRandom(1) }
    const store = withReplicas(memory, { replicas: [place], ...sources })
    await clock.advance(1)
    const first = open
    await clock.advance(10_000)
    expect(store.replicaStatus()[0]?.state).toBe('down')
    const late = { ...wrapStore(memory, {}), close: async () => void closed++ }
    first?.(late)
    await clock.advance(1)
    expect(closed).toBe(1)
    await closeWhileSilent(store, clock)
  })

  it('wakes who watches when a replica has come further', async () => {
    const { store, replicas, catchUp, clock } = await bed()
    await append(store, 'a-1')
    await catchUp()
    let woken = 0
    const stop = store.watch(() => {
      woken++
    })
    const position = await append(store, 'a-1')
    await clock.advance(300)
    const before = woken
    for (const replica of replicas) replica.visible = position
    await clock.advance(300)
    expect(woken).toBeGreaterThan(before)
    expect(await store.positions(fresh({}))).toMatchObject({ safe: position })
    stop()
    await store.close()
  })

  it('has nothing left to do, and nothing open, when it is closed', async () => {
    const { store, replicas, catchUp, clock } = await bed({ count: 2 })
    await append(store, 'a-1')
    await catchUp()
    await store.close()
    expect(clock.pending).toBe(0)
    for (const replica of replicas) expect([replica.opened, replica.closed]).toEqual([1, 1])
    const late = readStream(store, 'a-1', fresh({}))
    await expect(late).rejects.toSatisfy((error) => isEventualiError(error, 'STORE_CLOSED'))
  })

  it('refuses what is no freshness', async () => {
    const { store } = await bed()
    for (const bound of ['newest', 7, { position: -1 }, { withinMs: Number.NaN }]) {
      await expect(readStream(store, 'a-1', { fresh: bound as never })).rejects.toMatchObject({
        code: 'ARGUMENT_INVALID',
      })
    }
    await store.close()
  })
})
