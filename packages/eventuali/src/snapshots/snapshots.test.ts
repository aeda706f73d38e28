import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { describeStores } from '../../test/harness/adapter-stores.ts'
import { seededRandom } from '../kernel/index.ts'
import { Aggregate, type AppliedOf, type CodecOptions, defineAggregate } from '../model/index.ts'
import { openStore } from '../store/index.ts'
import { entryOf, worthKeeping } from './entry.ts'
import type { SnapshotOptions } from './index.ts'
import {
  added,
  events,
  evolve,
  memory,
  parts,
  program,
  Sums,
  stores,
  warm,
} from './programs.test-support.ts'

const seed = Number(process.env.EVENTUALI_SEED ?? Date.now() % 2 ** 31)

const step = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant('add' as const), fc.integer({ min: 1, max: 9 })) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('clear' as const), fc.constant(0)) },
  { weight: 5, arbitrary: fc.tuple(fc.constant('load' as const), fc.integer({ min: 0, max: 30 })) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('drop' as const), fc.constant(0)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('restart' as const), fc.constant(0)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('execute' as const), fc.constant(1)) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constant('truncate' as const), fc.integer({ max: 20, min: 2 })),
  },
  { weight: 1, arbitrary: fc.tuple(fc.constant('delete' as const), fc.constant(0)) },
)
const codecs: readonly CodecOptions[] = [
  {},
  { encoding: 'msgpack' },
  ...(['gzip', 'brotli', 'zstd', 'lz4', 'snappy'] as const).map((name) => ({
    compress: { with: name, above: 0 },
  })),
]

describeStores('kept states', ({ open }) => {
  test('give what a fold of all events gives, whatever happens', async () => {
    const port = await open()
    let count = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 3 }),
        fc.constantFrom(...codecs),
        fc.constantFrom(0, 60, 1_000_000),
        async (steps, every, keep, codec, memoryBytes) => {
          const id = `${++count}`
          const stream = `sums-${id}`
          const options = { every, keep, codec, memoryBytes, checkRate: 0.2 }
          let store = await program(port, options)
          const plain = await openStore(port)
          const expected = plain.aggregate(Sums)
          const same = async (bounds: { version?: number } = {}) => {
            // What was truncated may still be served by a kept state.
            const all = await expected.load(id, bounds).catch(() => undefined)
            const kept = await store
              .aggregate(Sums)
              .load(id, bounds)
              .catch(() => undefined)
            if (all !== undefined) expect(kept).toEqual(all)
          }
          for (const [kind, n] of steps) {
            const head = (await plain.stream(stream))?.version ?? 0
            const isGone = (await plain.stream(stream))?.state === 'deleted'
            const recreate = isGone ? { recreate: true } : {}
            if (kind === 'add') await plain.append(stream, added(n, 'ab'[n % 2]), recreate)
            else if (kind === 'clear') await plain.append(stream, events.Cleared(null), recreate)
            else if (kind === 'load') await same(n > 15 ? {} : { version: n })
            else if (kind === 'drop') await store.snapshots.drop(n % 2 ? stream : undefined)
            else if (kind === 'restart') store = await program(port, options)
            else if (kind === 'execute' && !isGone) {
              await store
                .aggregate(Sums)
                .execute(id, 'add', n)
                .catch(() => {})
            } else if (kind === 'truncate' && n <= head && !isGone) {
              await plain.truncate(stream, { before: n })
            } else if (kind === 'delete' && head > 0 && !isGone) await plain.deleteStream(stream)
            if (n % 3 === 0) await store.snapshots.settled()
          }
          await same()
          await store.snapshots.settled()
          expect(store.snapshots.stats.retired).toBe(0)
          expect((await store.snapshots.list(stream)).length).toBeLessThanOrEqual(keep)
        },
      ),
      { seed, numRuns: 40 },
    )
  }, 120_000)

  test('are taken, used and kept up to a number, and dropping them changes nothing', async () => {
    const port = await open()
    const store = await program(port, { every: 5, keep: 2 })
    const sums = store.aggregate(Sums)
    for (let n = 1; n <= 40; n++) {
      await sums.execute('1', 'add', n)
      await store.snapshots.settled()
    }
    const kept = await store.snapshots.list('sums-1')
    expect(kept).toHaveLength(2)
    expect(kept[0]?.version).toBeGreaterThan(kept[1]?.version ?? 40)
    const loaded = await sums.load('1')
    expect(loaded).toEqual({ state: { a: 820 }, version: 40 })
    for (const id of ['10', '2']) {
      await sums.execute(id, 'add', 1)
      await store.snapshots.take(Sums, id)
    }
    const page = async (query: Parameters<typeof store.snapshots.page>[0]) =>
      (await store.snapshots.page(query)).map(({ stream }) => stream)
    expect(await page({})).toEqual(['sums-1', 'sums-1', 'sums-10', 'sums-2'])
    expect(await page({ limit: 1 })).toEqual(['sums-1', 'sums-1'])
    expect(await page({ limit: 1, after: 'sums-1' })).toEqual(['sums-10'])
    expect(await page({ prefix: 'sums-2' })).toEqual(['sums-2'])
    expect(await page({ after: 'sums-2' })).toEqual([])
    expect(store.snapshots.stats).toMatchObject({ damaged: 0, refused: 0, retired: 0 })
    expect(store.snapshots.stats.used).toBeGreaterThan(20)
    expect(await sums.load('1', { version: kept[1]?.version })).toMatchObject({
      version: kept[1]?.version,
    })
    expect(await store.snapshots.drop()).toBeGreaterThan(0)
    expect(await store.snapshots.list('sums-1')).toEqual([])
    expect(await sums.load('1')).toEqual(loaded)
  })

  test('are taken on demand, whatever the rules say', async () => {
    const port = await open()
    const store = await program(port, { every: 1000, streams: (stream) => stream !== 'sums-2' })
    for (let n = 1; n <= 9; n++) await store.append('sums-1', added(n))
    const taken = await store.snapshots.take(Sums, '1')
    expect(taken).toMatchObject({ stream: 'sums-1', version: 9, codec: 'json' })
    expect(await store.snapshots.take(Sums, '1')).toEqual(taken)
    expect(await store.snapshots.list('sums-1')).toHaveLength(1)
    await store.append('sums-1', added(10))
    expect(await store.snapshots.take(Sums, '1')).toMatchObject({ version: 10 })
    expect(store.snapshots.stats).toMatchObject({ taken: 2 })
    expect((await store.aggregate(Sums).load('1')).state).toEqual({ a: 55 })
    expect(await store.snapshots.verify(Sums)).toMatchObject({ same: 1, wrong: [] })
    // Nothing to keep: no events, and an aggregate that keeps none.
    expect(await store.snapshots.take(Sums, '3')).toBeUndefined()
    const never = defineAggregate('sums', { ...parts, evolve, snapshot: false })
    expect(await store.snapshots.take(never, '1')).toBeUndefined()
    const dates = defineAggregate('sums', {
      ...parts,
      initial: () => new Date(0),
      evolve: { Added: (state) => state, Cleared: (state) => state },
    })
    await expect(store.snapshots.take(dates, '1')).rejects.toMatchObject({ code: 'DATA_NOT_JSON' })
  })

  test('serve a load whose events were removed', async () => {
    const port = await open()
    const store = await program(port)
    for (let n = 1; n <= 6; n++) await store.append('sums-1', added(n))
    await warm(store)
    await store.truncate('sums-1', { before: 7 })
    await store.append('sums-1', added(7))
    expect((await store.aggregate(Sums).load('1')).state).toEqual({ a: 28 })
    // One that begins today has not looked at any of them yet.
    const next = await program(port)
    expect((await next.aggregate(Sums).load('1')).state).toEqual({ a: 28 })
    await next.snapshots.settled()
    // The load keeps its state beside the drop otherwise, and may come last.
    await store.snapshots.settled()
    await store.snapshots.drop('sums-1')
    await expect(store.aggregate(Sums).load('1')).rejects.toMatchObject({
      code: 'STREAM_TRUNCATED',
    })
  })

  test('are kept of nothing that may be rolled back', async () => {
    const port = await open()
    const store = await program(port)
    await store.append('sums-1', added(1))
    await warm(store)
    const rolledBack = store.transaction(async (tx) => {
      await tx.append('sums-1', [added(10), added(20)])
      expect((await tx.aggregate(Sums).load('1')).state).toEqual({ a: 31 })
      throw new Error('not today')
    })
    await expect(rolledBack).rejects.toThrow('not today')
    await store.snapshots.settled()
    expect((await store.snapshots.list('sums-1'))[0]?.version).toBe(1)
    expect((await store.aggregate(Sums).load('1')).state).toEqual({ a: 1 })
  })

  test('of another history are not believed', async () => {
    const port = await open()
    const store = await program(port)
    await store.append('sums-1', [added(1), added(2)])
    await warm(store)
    const [row] = await port.records.get('snapshot', ['sums-1'])
    const other = { ...(row?.value as object), version: 7 }
    // Its checksum is right for where it says it is, as after a restore to an older backup.
    const value = { ...entryOf(other as never, '{"a":99}', undefined) }
    const change = { kind: 'snapshot', key: 'sums-1', expected: 'any', value } as const
    await port.transaction((tx) => tx.records.write([{ ...change, state: value.fingerprint }]))
    expect(await store.aggregate(Sums).load('1')).toEqual({ state: { a: 3 }, version: 2 })
    await store.aggregate(Sums).execute('1', 'add', 4)
    expect(await store.aggregate(Sums).load('1')).toEqual({ state: { a: 7 }, version: 3 })
  })
})

test('1,000 flipped bits of a kept state are all noticed', async () => {
  const port = await memory()
  const random = seededRandom(seed)
  for (const codec of codecs) {
    const store = await program(port, { codec, checkRate: 0 })
    await store.snapshots.drop()
    await store.append(
      'sums-1',
      Array.from({ length: 20 }, (_, n) => added(n, `key ${n % 7}`)),
    )
    await warm(store)
    const expected = await store.aggregate(Sums).load('1')
    const [row] = await port.records.get('snapshot', ['sums-1'])
    const { version, ...rest } = (row?.value ?? {}) as { version: number; body: string }
    expect(rest.body.length).toBeGreaterThan(20)
    for (let n = 0; n < 150; n++) {
      const text = JSON.stringify({ version, ...rest })
      const at = 1 + Math.floor(random.next() * (text.length - 2))
      const flipped = String.fromCharCode(
        text.charCodeAt(at) ^ (1 << Math.floor(random.next() * 7)),
      )
      let value: object
      try {
        value = JSON.parse(text.slice(0, at) + flipped + text.slice(at + 1))
      } catch {
        continue
      }
      const change = {
        kind: 'snapshot',
        key: 'sums-1',
        expected: 'any' as const,
        value: value as never,
      }
      await port.transaction((tx) => tx.records.write([change]))
      const before = store.snapshots.stats.used
      expect(await store.aggregate(Sums).load('1')).toEqual(expected)
      // Base64 ends in bits that mean nothing, and Buffer reads `-` as `+`.
      const isSame =
        JSON.stringify(canonical(value)) === JSON.stringify(canonical(JSON.parse(text)))
      if (!isSame) expect(store.snapshots.stats.used).toBe(before)
    }
  }
})

function canonical(value: object): object {
  const { codec, body } = value as { codec?: unknown; body?: unknown }
  if (codec === 'json' || typeof body !== 'string') return value
  return { ...value, body: Buffer.from(body, 'base64').toString('hex') }
}

describe('what is kept', () => {
  test.each<[string, SnapshotOptions, boolean]>([
    ['after so many events', { every: 3 }, true],
    ['not before', { every: 4 }, false],
    ['after so many bytes', { every: undefined, bytes: 50 }, true],
    ['not with fewer', { every: undefined, bytes: 5000 }, false],
    ['after a long load', { every: undefined, loadMs: 1e-9 }, true],
    ['not after a short one', { every: undefined, loadMs: 60_000 }, false],
    ['for named streams', { streams: (stream) => stream === 'sums-1' }, true],
    ['not for others', { streams: (stream) => stream === 'sums-2' }, false],
  ])('goes by rules: %s', async (_name, options, isKept) => {
    const store = await program(await memory(), options)
    await store.append('sums-1', [added(1), added(2), added(3)])
    await warm(store)
    expect(await store.snapshots.list('sums-1')).toHaveLength(isKept ? 1 : 0)
  })

  test('is renewed when it is old', async () => {
    let now = 1_000_000
    const clock = { now: () => now, monotonic: () => now, timer: () => () => {} }
    const port = await memory()
    const options = { snapshots: { every: 2, ageMs: 1000 }, clock }
    const store = await openStore(port, options)
    stores.push(store)
    await store.append('sums-1', [added(1), added(2)])
    await warm(store)
    await store.append('sums-1', added(3))
    await warm(store)
    expect((await store.snapshots.list('sums-1'))[0]?.version).toBe(2)
    now += 1001
    await warm(store)
    expect((await store.snapshots.list('sums-1'))[0]?.version).toBe(3)
  })

  test.each<SnapshotOptions>([
    { every: 0 },
    { bytes: -1 },
    { keep: 0 },
    { keep: 11 },
    { checkRate: 2 },
    { every: Symbol('often') as never },
    { codec: { encoding: 'xml' as never } },
  ])('is refused with %o', async (options) => {
    await expect(openStore('memory:', { snapshots: options })).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    })
  })

  test('is nothing that JSON does not carry, unless the definition says how', async () => {
    const initial = (): { at: Date } => ({ at: new Date(0) })
    const dated = { Added: () => ({ at: new Date(5) }), Cleared: initial }
    const Plain = defineAggregate('dated', { events, initial, evolve: dated, commands: {} })
    const store = await program(await memory())
    await store.append('dated-1', [added(1), added(2)])
    await warm(store, Plain as never)
    expect(await store.snapshots.list('dated-1')).toEqual([])
    expect(store.snapshots.stats.refused).toBeGreaterThan(0)
    expect(store.snapshots.stats.problem).toMatchObject({ code: 'DATA_NOT_JSON' })
    const Told = defineAggregate('dated', {
      ...{ events, initial, evolve: dated, commands: {} },
      snapshot: {
        encode: ({ at }) => at.getTime(),
        decode: (stored) => ({ at: new Date(stored as number) }),
      },
    })
    await warm(store, Told as never)
    expect(await store.snapshots.list('dated-1')).toHaveLength(1)
    expect((await store.aggregate(Told).load('1')).state).toEqual({ at: new Date(5) })
    const Lossy = defineAggregate('dated', {
      ...{ events, initial, evolve: dated, commands: {} },
      snapshot: { encode: ({ at }) => at.getTime(), decode: () => ({ at: new Date(1) }) },
    })
    await store.snapshots.drop()
    await warm(store, Lossy as never)
    expect(await store.snapshots.list('dated-1')).toEqual([])
    expect(String(store.snapshots.stats.problem)).toContain('lose a part')
    const Never = defineAggregate('dated', {
      ...{ events, initial, evolve: dated, commands: {}, snapshot: false },
    })
    const { used, missed } = store.snapshots.stats
    await store.aggregate(Never).load('1')
    expect(store.snapshots.stats).toMatchObject({ used, missed })
  })

  test('is no instance of a class, unless the class says how', async () => {
    class Basket extends Aggregate {
      static readonly aggregateName: string = 'basket'
      static readonly events = events
      #sum = 0
      get sum(): number {
        return this.#sum
      }
      onAdded({ data }: AppliedOf<typeof events, 'Added'>): void {
        this.#sum += data.n
      }
      onCleared(): void {
        this.#sum = 0
      }
      static readonly snapshot = {
        encode: (basket: Basket) => basket.#sum,
        decode: (stored: unknown) => {
          const made = new Basket()
          made.#sum = stored as number
          return made
        },
      }
    }
    class Silent extends Basket {
      static override readonly aggregateName: string = 'silent'
      static override readonly snapshot = undefined as never
    }
    const store = await program(await memory())
    for (const name of ['basket', 'silent']) {
      await store.append(`${name}-1`, [added(1), added(2)])
      const load = () => store.aggregate(name === 'basket' ? Basket : Silent).load('1')
      for (let n = 0; n < 3; n++) {
        expect(await load()).toMatchObject({ sum: 3, version: 2, id: '1' })
        await store.snapshots.settled()
      }
      expect(await store.snapshots.list(`${name}-1`)).toHaveLength(name === 'basket' ? 1 : 0)
    }
    expect(store.snapshots.stats.used).toBeGreaterThan(0)
    await store.append('basket-1', added(3))
    expect(await store.snapshots.take(Basket, '1')).toMatchObject({ version: 3 })
    expect(await store.snapshots.take(Silent, '1')).toBeUndefined()
    expect(await store.snapshots.verify(Basket)).toMatchObject({ same: 1, wrong: [] })
  })

  test('is asked for only where states are kept', async () => {
    const store = await openStore('memory:')
    await store.append('sums-1', added(1))
    const asked = vi.spyOn(store.port.records, 'get')
    await store.aggregate(Sums).load('1')
    await store.aggregate(Sums).execute('1', 'add', 1)
    expect(asked).not.toHaveBeenCalled()
    expect(() => store.snapshots).toThrow(expect.objectContaining({ code: 'CAPABILITY_MISSING' }))
  })

  test('keeps the newest state of other code, which may still run', async () => {
    const of = (fingerprint: string, version: number) => ({ fingerprint, version }) as never
    const all = [of('b', 9), of('a', 8), of('b', 7), of('a', 6), of('b', 5), of('c', 4), of('d', 3)]
    const kept = worthKeeping(all, 2).map(({ fingerprint, version }) => `${fingerprint}${version}`)
    expect(kept).toEqual(['b9', 'a8', 'b7', 'c4'])
  })
})
