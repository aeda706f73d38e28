import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { describeStores } from '../../test/harness/adapter-stores.ts'
import { uuidV5 } from '../kernel/index.ts'
import { defineEvents, event, type RecordedEvent, type } from '../model/index.ts'
import type { EventStore } from '../ports/index.ts'
import { openStore, type Store } from '../store/index.ts'
import { type MigrationPlan, migrateEvents, verifyMigration } from './index.ts'

const seed = Number(process.env.EVENTUALI_SEED ?? Date.now() % 2 ** 31)

const oldEvents = [
  { type: 'Joined', data: { name: 'ada', email: 'a@b.c', homes: [{ city: 'Bonn', street: 's' }] } },
  { type: 'Moved', data: { city: 'Ulm' }, tags: ['city:ulm'], metadata: { actor: 'ada' } },
  { type: 'Left', data: null },
]

async function filled(port: EventStore): Promise<Store> {
  const store = await openStore(port)
  await store.append('user-1', oldEvents)
  await store.append('user-2', oldEvents.slice(0, 2))
  await store.append('order-1', { type: 'Placed', data: { total: 3 } })
  await store.archive('user-2')
  return store
}

const shown = ({ stream, version, type: name, data, id }: RecordedEvent) => ({
  ...{ stream, version, type: name, data, id },
})
const all = async (store: Store) =>
  (await store.readAll({ includeArchived: true, upTo: 'newest' }).toArray()).filter(
    (one) => !one.type.startsWith('$'),
  )

describeStores('migrations', ({ open }) => {
  test('filter, rename, re-key, redact and split, and keep what is not changed', async () => {
    const source = await filled(await open())
    const target = await openStore(await open())
    const plan: MigrationPlan = {
      filter: { categories: ['user'] },
      rename: { Joined: 'CustomerJoined' },
      redact: { CustomerJoined: ['email', 'homes.street', 'nothing.here'] },
      stream: ({ stream }) => stream.replace('user-', 'customer-'),
      transform: (one) => {
        if (one.type === 'Left') return null
        if (one.type !== 'Moved') return one
        return [
          { ...one, type: 'AddressGiven' },
          { type: 'Greeted', data: {}, tags: ['once', 'once'] },
        ]
      },
    }
    const dry = await migrateEvents(source, { into: target, ...plan, dryRun: true })
    expect(dry).toMatchObject({ read: 5, written: 6, counts: { types: { Greeted: 2 } } })
    expect(await all(target)).toEqual([])
    const result = await migrateEvents(source, { into: target, ...plan })
    expect(result).toMatchObject({ read: 5, written: 6 })
    expect(result.cutOver.length).toBeGreaterThan(4)
    const before = await all(source)
    const after = await all(target)
    expect(after.slice(0, 3).map(shown)).toEqual([
      {
        ...{ stream: 'customer-1', version: 1, type: 'CustomerJoined', id: before[0]?.id },
        data: { name: 'ada', homes: [{ city: 'Bonn' }] },
      },
      {
        ...{ stream: 'customer-1', version: 2, type: 'AddressGiven', id: before[1]?.id },
        data: { city: 'Ulm' },
      },
      {
        ...{ stream: 'customer-1', version: 3, type: 'Greeted', data: {} },
        id: uuidV5(before[1]?.id as string, 1),
      },
    ])
    expect(after[1]).toMatchObject({
      ...{ tags: ['city:ulm'], metadata: { actor: 'ada' }, time: before[1]?.time },
    })
    // A tag that is said twice is said once.
    expect(after[2]?.tags).toEqual(['once'])
    const report = await verifyMigration(source, { into: target, ...plan })
    expect(report).toMatchObject({ ok: true, differences: [], others: 0 })
    expect(report.expected).toEqual(report.found)
    expect(report.found).toMatchObject({ events: 6, streams: 2, types: { Greeted: 2 } })

    // The next run takes what has come since, and only that.
    await source.append('user-1', { type: 'Moved', data: { city: 'Kiel' } })
    expect(await migrateEvents(source, { into: target, ...plan })).toMatchObject({ written: 2 })
    expect(await migrateEvents(source, { into: target, ...plan })).toMatchObject({ written: 0 })
    await expect(
      migrateEvents(source, { into: target, ...plan, revision: 2 }),
    ).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
  })

  test('a log is never rewritten in place, and may be copied within a store', async () => {
    const source = await filled(await open())
    await expect(migrateEvents(source, { into: source })).rejects.toMatchObject({
      ...{ code: 'MIGRATION_IN_PLACE', stream: 'user-1' },
    })
    const before = await all(source)
    const copy: MigrationPlan = {
      filter: { streams: ['user-1'] },
      stream: () => 'copy-1',
    }
    const options = { into: source, name: 'copy', ...copy }
    expect(await migrateEvents(source, options)).toMatchObject({ written: 3 })
    expect(await migrateEvents(source, options)).toMatchObject({ written: 0 })
    expect((await all(source)).slice(0, before.length)).toEqual(before)
    const made = await source.readStream('copy-1').toArray()
    expect(made.map(({ id }) => id)).toEqual(before.slice(0, 3).map(({ id }) => id))
    expect((await verifyMigration(source, options)).ok).toBe(true)
  })

  test('events that would be one are refused, and nothing is lost', async () => {
    const source = await openStore(await open())
    const target = await openStore(await open())
    const twin = { type: 'Noted', data: 1, id: '0192f0c1-2d3e-7f40-8a5b-6c7d8e9fa0b1' }
    await source.append('a-1', twin)
    await source.append('a-2', twin)
    const merge = { into: target, stream: () => 'all-1' }
    await expect(migrateEvents(source, merge)).rejects.toMatchObject({
      code: 'MIGRATION_COLLISION',
    })
    expect(await all(target)).toEqual([])
    const mended = {
      ...{ into: target, name: 'mended' },
      transform: (one: RecordedEvent) => ({ ...one, id: uuidV5(one.stream, one.id) }),
    }
    expect(await migrateEvents(source, mended)).toMatchObject({ written: 2 })
    // What is there already is not taken for what is to come.
    const again = { ...mended, name: 'again' }
    await expect(migrateEvents(source, again)).rejects.toMatchObject({
      code: 'MIGRATION_COLLISION',
    })
  })

  test('events of older versions are written as those of today', async () => {
    const source = await openStore(await open())
    const target = await openStore(await open())
    await source.append('order-1', [
      { type: 'Placed', data: { total: 3 } },
      { type: 'Other', data: {} },
    ])
    const events = defineEvents({
      OrderPlaced: event(type<{ amount: number }>(), {
        ...{ version: 2, formerly: ['Placed'] },
        upcast: { 1: ({ total }: { total: number }) => ({ amount: total }) },
      }),
    })
    const options = { into: target, events: [events] }
    await migrateEvents(source, options)
    expect(await all(target)).toMatchObject([
      { type: 'OrderPlaced', data: { amount: 3 }, schemaVersion: 2 },
      { type: 'Other', schemaVersion: 1 },
    ])
    expect((await verifyMigration(source, options)).ok).toBe(true)
  })

  test('any plan gives what it says, however often it is broken off', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(3), fc.nat(2)), { minLength: 1, maxLength: 40 }),
        fc.record({ merged: fc.nat(3), dropped: fc.nat(3), split: fc.nat(3) }),
        fc.array(fc.nat(12), { maxLength: 3 }),
        async (steps, { merged, dropped, split }, breaks) => {
          const source = await openStore(await open())
          const target = await openStore(await open())
          for (const [stream, kind] of steps) {
            await source.append(`s-${stream}`, { type: `T${kind}`, data: { kind, stream } })
          }
          const change = (one: RecordedEvent) => {
            const { kind, stream } = one.data as { kind: number; stream: number }
            if (kind === dropped) return []
            const to = stream === merged ? 't-0' : `t-${stream}`
            const first = { ...one, stream: to }
            return kind === split ? [first, { stream: to, type: 'Half', data: { kind } }] : [first]
          }
          let count = 0
          let limit = Number.POSITIVE_INFINITY
          const plan = {
            into: target,
            transform: (one: RecordedEvent) => {
              if (++count > limit) throw new Error('broken off')
              return change(one)
            },
          }
          for (const at of breaks) {
            limit = count + at
            // A batch is small at a small rate, so that there is something before the break.
            const slow = { ...plan, ratePerSecond: 40, clock: hasty() }
            await migrateEvents(source, slow).catch((error: unknown) => {
              expect(error).toMatchObject({ code: 'MIGRATION_PLAN_INVALID' })
            })
          }
          limit = Number.POSITIVE_INFINITY
          await migrateEvents(source, plan)
          const expected = (await all(source)).flatMap((one) =>
            change(one).map(({ stream, type: name, data }) => ({ stream, type: name, data })),
          )
          const found = (await all(target)).map(({ stream, type: name, data }) => ({
            ...{ stream, type: name, data },
          }))
          expect(found).toEqual(expected)
          const report = await verifyMigration(source, { ...plan, streamsAtOnce: 1 })
          expect(report).toMatchObject({ ok: true, others: 0, expected: report.found })
        },
      ),
      { seed, numRuns: 12 },
    )
  }, 120_000)
})

/** A clock that waits for nothing. */
function hasty() {
  let now = 0
  return {
    now: () => now,
    monotonic: () => now,
    timer: (ms: number, call: () => void) => {
      now += ms
      queueMicrotask(call)
      return () => {}
    },
  }
}

describe('verifyMigration', () => {
  const stored = Array.from({ length: 12 }, (_, n) => ({
    ...{ stream: `s-${n % 3}`, id: uuidV5('event', n), type: 'Noted', data: { n } },
    time: new Date(1000 * n),
  }))
  type Planted = (typeof stored)[number]
  const write = async (events: readonly Planted[]) => {
    const store = await openStore('memory:')
    for (const { stream, ...one } of events) await store.append(stream, one)
    return store
  }
  const planted: readonly (readonly [string, (events: Planted[]) => void, RegExp, number])[] = [
    ['changed data', (e) => (e[4] = { ...e[4], data: { n: 40 } } as Planted), /another data/, 2],
    ['another time', (e) => (e[4] = { ...e[4], time: new Date(5) } as Planted), /another time/, 2],
    ['another type', (e) => (e[4] = { ...e[4], type: 'Other' } as Planted), /another type/, 2],
    ['a missing event', (e) => e.splice(4, 1), /should be there/, 2],
    ['a missing last one', (e) => e.splice(10, 1), /is missing/, 0],
    [
      'swapped order',
      (e) => e.splice(4, 4, ...([7, 5, 6, 4].map((at) => e[at]) as Planted[])),
      /should be there/,
      2,
    ],
    [
      'an additional event',
      (e) => e.push({ ...e[4], id: uuidV5('more'), data: { n: 99 } } as Planted),
      /the plan gives none/,
      5,
    ],
    ['a wrong stream', (e) => (e[4] = { ...e[4], stream: 's-9' } as Planted), /should be there/, 2],
  ]
  test.each(planted)('finds %s, and names the place', async (_, plant, reason, version) => {
    const source = await write(stored)
    const events = [...stored]
    plant(events)
    const target = await write(events)
    const report = await verifyMigration(source, { into: target })
    expect(report).toMatchObject({ ok: false, differenceCount: 1 })
    expect(report.differences).toMatchObject([
      { stream: 's-1', version, reason: expect.stringMatching(reason) },
    ])
    expect(report.expected.checksum).not.toBe(report.found.checksum)
    expect((await verifyMigration(source, { into: await write(stored) })).ok).toBe(true)
  })

  test('compares what a cipher has made by what it hides', async () => {
    const source = await write(stored)
    await using target = await openStore('memory:')
    let nonce = 0
    const plan = {
      into: target,
      transform: async (one: RecordedEvent) => ({
        ...one,
        data: { nonce: nonce++, sealed: Buffer.from(JSON.stringify(one.data)).toString('base64') },
      }),
    }
    await migrateEvents(source, plan)
    expect((await verifyMigration(source, plan)).ok).toBe(false)
    const comparable = ({ data }: RecordedEvent) => (data as { sealed: string }).sealed
    expect((await verifyMigration(source, { ...plan, comparable })).ok).toBe(true)
  })

  test('plans that make no events are refused by the place where they do', async () => {
    const source = await write(stored)
    await using target = await openStore('memory:')
    const bad: readonly MigrationPlan[] = [
      { transform: () => 7 as never },
      { transform: (one) => ({ ...one, data: undefined }) },
      { transform: (one) => ({ ...one, type: '$archived' }) },
      { transform: (one) => ({ ...one, tags: [7] as never }) },
      { transform: (one) => ({ ...one, metadata: [] as never }) },
      { transform: (one) => ({ ...one, schemaVersion: 1n as never }) },
      { stream: () => '' },
      { stream: () => Promise.reject(new Error('no')) as never },
    ]
    for (const plan of bad) {
      await expect(migrateEvents(source, { into: target, ...plan })).rejects.toMatchObject({
        ...{ code: 'MIGRATION_PLAN_INVALID', position: 1 },
      })
    }
    for (const plan of [{ redact: { a: 'b' } }, { revision: 0 }, { filter: { streams: [''] } }]) {
      const options = { into: target, ...plan } as never
      await expect(migrateEvents(source, options)).rejects.toBeInstanceOf(Error)
    }
    expect(await all(target)).toEqual([])
  })
})
