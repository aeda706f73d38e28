import { expect, it } from 'vitest'
import { describeStores } from '../../test/harness/adapter-stores.ts'
import {
  defineEvents,
  InvalidArgumentError,
  LogChangedError,
  RecordConflictError,
  type RecordedEvent,
  type,
} from '../model/index.ts'
import type { EventStore, NewEvent } from '../ports/index.ts'
import { collection, defineProjection } from '../projections/index.ts'
import { openMemoryStore } from '../stores/memory/index.ts'
import { manualClock, withFault } from '../testing/index.ts'
import { type ReplayOptions, replay } from './index.ts'

let count = 0

function newEvent(type: string, fields: Partial<NewEvent> = {}): NewEvent {
  const id = `id-${++count}`
  const shared = { id, idGiven: false, metadata: {}, schemaVersion: 1, tags: [] }
  return { ...shared, type, data: { n: count }, time: count * 1000, ...fields }
}

async function append(store: EventStore, stream: string, ...events: NewEvent[]): Promise<void> {
  const outcome = await store.append({ entries: [{ stream, expectedVersion: 'any', events }] })
  expect(outcome.ok).toBe(true)
}

/** Three streams of two categories, ten events of two types. */
async function fill(store: EventStore): Promise<void> {
  for (let i = 0; i < 5; i++) {
    const tags = i % 2 === 0 ? ['even:yes'] : []
    await append(store, `order-${i % 2}`, newEvent('Placed', { tags }))
    await append(store, 'ledger-1', newEvent('Booked'))
  }
}

describeStores('replay into a handler', ({ adapter, open }) => {
  /** A fresh database costs more than the run: there only every third fault is tried. */
  const stride = adapter === 'postgres' ? 3 : 1

  async function replayed(store: EventStore, options: Omit<ReplayOptions, 'into'> = {}) {
    const seen: RecordedEvent[] = []
    const into = { batch: (events: readonly RecordedEvent[]) => void seen.push(...events) }
    const result = await replay(store, { ...options, into })
    return { seen: seen.map(({ stream, version }) => `${stream}/${version}`), result }
  }

  it('begins and ends where it is told, and filters', async () => {
    const store = await open()
    await fill(store)
    const all = await replayed(store)
    expect(all.seen).toHaveLength(10)
    const { safe } = await store.positions()
    expect(all.result).toMatchObject({ events: 10, position: safe })
    const log: RecordedEvent[] = []
    for await (const page of store.readLog({ direction: 'forward', upTo: safe })) log.push(...page)
    const at = (i: number) => log[i] as RecordedEvent
    const after = { position: at(3).position }
    expect((await replayed(store, { from: after })).seen).toEqual(all.seen.slice(4))
    expect((await replayed(store, { upTo: at(3).position })).seen).toEqual(all.seen.slice(0, 4))
    expect((await replayed(store, { from: { time: at(6).time } })).seen).toHaveLength(4)
    const recorded = { time: at(0).recordedAt, by: 'recordedAt' } as const
    expect((await replayed(store, { from: recorded })).seen).toHaveLength(10)
    const filter = { types: ['Placed'], categories: ['order'], tags: ['even:yes'] }
    expect((await replayed(store, { filter })).seen).toEqual([
      'order-0/1',
      'order-0/2',
      'order-0/3',
    ])
    const stream = { stream: 'order-1', version: 2 }
    expect((await replayed(store, { from: stream })).seen).toEqual(['order-1/2'])
    const none = await replayed(store, {
      from: { stream: 'ledger-1' },
      filter: { types: ['Placed'] },
    })
    expect(none.seen).toEqual([])
    await store.close()
  })

  it('goes on where a handler has thrown', async () => {
    const store = await open()
    await fill(store)
    const seen: number[] = []
    for (const poison of [4, 9, Number.NaN]) {
      const run = replay(store, {
        into: ({ position }) => {
          if (seen.length === poison) throw new Error('poison')
          seen.push(position)
        },
        resume: { name: 'mail' },
      })
      if (Number.isNaN(poison)) expect(await run).toMatchObject({ events: 1 })
      else await expect(run).rejects.toThrow('poison')
    }
    expect(seen).toEqual([...seen].sort((a, b) => a - b))
    expect(new Set(seen).size).toBe(10)
    // Later it takes what has come since.
    await append(store, 'order-0', newEvent('Placed'))
    expect(await replayed(store, { resume: { name: 'mail' } })).toMatchObject({
      seen: ['order-0/4'],
    })
    await store.close()
  })

  it('resumes one stream by version', async () => {
    const store = await open()
    await fill(store)
    const options = { from: { stream: 'ledger-1' }, resume: { name: 's' } }
    const totals: (number | undefined)[] = []
    const onProgress = ({ total }: { total?: number | undefined }) => void totals.push(total)
    expect((await replayed(store, { ...options, onProgress })).seen).toHaveLength(5)
    expect(totals).toEqual([5])
    await append(store, 'ledger-1', newEvent('Booked'))
    expect((await replayed(store, options)).seen).toEqual(['ledger-1/6'])
    await store.close()
  })

  it('refuses a name of another replay or log, and one that is moved meanwhile', async () => {
    const store = await open()
    await fill(store)
    const resume = { name: 'x' }
    await replayed(store, { resume })
    const other = replayed(store, { resume, filter: { types: ['Placed'] } })
    await expect(other).rejects.toThrow(InvalidArgumentError)
    const forked: EventStore = { ...withFault(store, { at: -1 }).store, incarnation: 'other' }
    await expect(replayed(forked, { resume })).rejects.toThrow(LogChangedError)
    const y = { name: 'y' }
    const late = replay(store, {
      into: { batch: () => replayed(store, { resume: y }) },
      resume: y,
    })
    await expect(late).rejects.toThrow(RecordConflictError)
    await store.close()
  })

  it('takes effect once with the checkpoint, wherever the storage fails', async () => {
    const kind = 'effect'
    let at = 0
    for (; ; at += stride) {
      const inner = await open()
      await fill(inner)
      const run = async (store: EventStore) =>
        replay(store, {
          into: {
            transactional: true,
            maxBatch: 4,
            batch: async (events, { tx }) => {
              for (const { position } of events) {
                const key = String(position)
                await tx?.records.write([{ kind, key, expected: 0, value: 1 }])
              }
            },
          },
          resume: { name: 'exactly' },
        })
      const when = at % 2 === 0 ? 'before' : 'after'
      const faulty = withFault(inner, { at: at >> 1, when, error: () => new Error('crash') })
      const failure = await run(faulty.store).catch((error: unknown) => error)
      if (!faulty.fired()) {
        await inner.close()
        break
      }
      if (failure instanceof Error) await run(inner)
      const effects = await inner.records.list({ kind, limit: 100 })
      expect(effects).toHaveLength(10)
      await inner.close()
    }
    expect(at).toBeGreaterThan(10)
  })

  it('tries again by itself when the connection is lost', async () => {
    for (let at = 0; ; at++) {
      const inner = await open()
      await fill(inner)
      const { store, fired } = withFault(inner, { at: at + 2, when: 'after' })
      const clock = manualClock()
      let handed = 0
      const run = replay(store, {
        into: {
          transactional: true,
          batch: (events) => {
            handed = events.length
          },
        },
        resume: { name: 'patient' },
        clock,
      })
      const ended = run.then(
        () => true,
        () => true,
      )
      while (!(await Promise.race([ended, new Promise((r) => setImmediate(r, false))]))) {
        await clock.advance(1000)
      }
      expect(await run).toMatchObject({ events: 10 })
      expect(handed).toBe(10)
      await inner.close()
      if (!fired()) break
    }
  })

  it('keeps to a rate, by the clock', async () => {
    const store = await open()
    await fill(store)
    const clock = manualClock()
    const started = clock.monotonic()
    const at: number[] = []
    const run = replay(store, {
      into: () => void at.push(clock.monotonic() - started),
      ratePerSecond: 20,
      clock,
    })
    const ended = run.then(() => true)
    while (!(await Promise.race([ended, new Promise((r) => setImmediate(r, false))]))) {
      // Time passes while the replay waits, not while the store takes its own to answer.
      if (clock.pending > 0) await clock.advance(10)
    }
    expect(await run).toMatchObject({ events: 10 })
    for (const [i, ms] of at.entries()) expect(ms).toBeGreaterThanOrEqual((i - 1) * 50)
    expect(at.at(-1)).toBeLessThan(1000)
    await store.close()
  })

  it('stops after the event in hand, and a dry run changes nothing', async () => {
    const store = await open()
    await fill(store)
    const controller = new AbortController()
    let handed = 0
    const into = () => {
      handed++
      controller.abort()
    }
    const resume = { name: 'stop' }
    const result = await replay(store, { into, resume, signal: controller.signal })
    expect(result).toMatchObject({ events: 1, stopped: true })
    expect(handed).toBe(1)
    const dry = await replay(store, { dryRun: true, resume, into })
    expect(dry).toMatchObject({
      events: 9,
      counts: { types: { Booked: 5, Placed: 4 }, categories: { ledger: 5, order: 4 } },
    })
    expect(handed).toBe(1)
    expect(await replay(store, { dryRun: true, resume, into })).toMatchObject({ events: 9 })
    await store.close()
  })
})

describeStores('replay into a projection', ({ open }) => {
  it('feeds a projection in memory', async () => {
    const store = await open()
    await fill(store)
    const shop = defineEvents({ Placed: type<{ n: number }>(), Booked: type<{ n: number }>() })
    const definition = defineProjection({
      name: 'sums',
      version: 1,
      events: [shop],
      collections: { sums: collection<{ count: number }>() },
      handlers: {
        Placed: (event, context) =>
          context
            .collection('sums')
            .patch(event.stream, (was) => ({ count: (was?.count ?? 0) + 1 })),
      },
      effects: {
        Placed: () => {
          throw new Error('effects do not run')
        },
      },
    })
    const { events, projection } = await replay(store, { into: { projection: definition } })
    expect(events).toBe(5)
    expect(await projection.collection('sums').get('order-0')).toEqual({ count: 3 })
    const part = await replay(store, {
      from: { stream: 'order-1' },
      into: { projection: definition },
    })
    expect(await part.projection.collection('sums').get('order-1')).toEqual({ count: 2 })
    expect(await part.projection.collection('sums').get('order-0')).toBe(undefined)
    const named = replay(store, { into: { projection: definition }, resume: { name: 'x' } })
    await expect(named).rejects.toThrow(InvalidArgumentError)
  })
})

it('says which option is wrong', async () => {
  const store = await openMemoryStore()
  const into = () => {}
  const wrong: ReplayOptions[] = [
    {},
    { into, from: { position: -1 } },
    { into, from: { time: new Date(Number.NaN) } },
    { into, from: { stream: 'never-1' } },
    { into, from: { stream: 's' }, filter: { categories: ['s'] } },
    { into, from: { position: 0, time: new Date(0) } as never },
    { into, filter: { includeArchived: 'yes' as never } },
    { into: { store, versions: 'new' as never } },
    { into, upTo: 0.5 },
    { into, ratePerSecond: 0 },
    { into, resume: { name: '' } },
    { into, filter: { types: 'Placed' as unknown as string[] } },
    { into: { batch: () => {}, maxBatch: 0 } },
    { into: { store } },
    { into: { projection: null as never } },
    { into: { projection: {} as never } },
  ]
  for (const options of wrong) {
    await expect(replay(store, options), JSON.stringify(options)).rejects.toThrow(
      InvalidArgumentError,
    )
  }
})
