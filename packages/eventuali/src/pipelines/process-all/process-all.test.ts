import { writeFileSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { seededRandom, systemClock } from '../../kernel/index.ts'
import type { RecordedEvent } from '../../model/index.ts'
import type { EventStore } from '../../ports/index.ts'
import { openStore, type Store } from '../../store/index.ts'
import { manualClock, wrapStore } from '../../testing/index.ts'
import { processAll } from './index.ts'
import { fold, mix, type Sums } from './sums.test-support.ts'

const sums = new URL('./sums.test-support.ts', import.meta.url)

/** A log of some streams in a random order. */
async function filled(count: number, streams = 7, seed = 1): Promise<Store> {
  const store = await openStore('memory:')
  const random = seededRandom(seed)
  const stream = () => `s-${Math.floor(random.next() * streams)}`
  for (let n = 0; n < count; n += 50) {
    const batch = new Map<string, { type: string; data: object }[]>()
    for (let i = n; i < Math.min(count, n + 50); i++) {
      const name = stream()
      batch.set(name, [...(batch.get(name) ?? []), { type: 'Counted', data: { n: i } }])
    }
    await store.appendAll([...batch].map(([name, events]) => ({ stream: name, events })))
  }
  return store
}

async function expected(store: Store): Promise<Sums> {
  const all: Sums = {}
  for await (const { stream, data } of store.readAll()) {
    const { count, trail } = all[stream] ?? { count: 0, trail: 0 }
    all[stream] = { count: count + 1, trail: mix(trail, (data as { n: number }).n) }
  }
  return all
}

/** Runs that are stopped at random, until one of them comes to the end. */
async function inPieces(store: Store, port: EventStore, seed: number): Promise<Sums> {
  const random = seededRandom(seed)
  const between = (low: number, high: number) => low + Math.floor(random.next() * (high - low + 1))
  const partitions = between(1, 9)
  for (let runs = 0; ; runs++) {
    const stop = new AbortController()
    // More each time, so that it ends.
    let left = between(0, 3) + runs
    const { state, stopped, position } = await processAll(port, {
      ...{ work: fold, partitions, maxBatch: between(1, 40), resume: { name: 'sums' } },
      checkpointEvery: between(1, 300),
      signal: stop.signal,
      onProgress: () => {
        if (left-- === 0) stop.abort()
      },
    })
    if (stopped === true) continue
    expect(position).toBe((await store.positions()).safe)
    return state as Sums
  }
}

test('a fold in partitions is what a plain loop makes, over stops too', async () => {
  const property = fc.asyncProperty(fc.nat(), fc.integer({ min: 0, max: 900 }), async (seed, n) => {
    await using store = await filled(n, 1 + (seed % 12), seed)
    expect(await inPieces(store, store.port, seed)).toEqual(await expected(store))
    await store.append('s-1', { type: 'Counted', data: { n: 5 } })
    expect(await inPieces(store, store.port, seed)).toEqual(await expected(store))
  })
  await fc.assert(property, { numRuns: 40 })
})

describe('the property above notices', () => {
  const planted: Record<string, (port: EventStore) => EventStore> = {
    'a checkpoint without its states': (port) =>
      wrapStore(port, {
        records: {
          write: (next, changes, options) =>
            next.write(
              changes.map((one) => (one.kind === 'fold' ? { ...one, value: {} } : one)),
              options,
            ),
        },
      }),
    'states without their checkpoint': (port) =>
      wrapStore(port, {
        records: { get: (next, kind, keys) => next.get(kind === 'replay' ? 'none' : kind, keys) },
      }),
    'a page that is left out': (port) => {
      let n = 0
      return wrapStore(port, {
        readLog: (next, query, options) =>
          ++n % 5 === 0
            ? next.readLog({ ...query, after: (query.after ?? 0) + 1 }, options)
            : next.readLog(query, options),
      })
    },
  }
  test.each(Object.entries(planted))('%s', async (_what, plant) => {
    let noticed = 0
    for (let seed = 1; seed <= 20 && noticed === 0; seed++) {
      await using store = await filled(800, 5, seed)
      try {
        expect(await inPieces(store, plant(store.port), seed)).toEqual(await expected(store))
      } catch {
        noticed = seed
      }
    }
    expect(noticed).toBeGreaterThan(0)
  })
})

test('a partition gets its events in order and one call at a time, others beside it', async () => {
  await using store = await filled(2000)
  const busy = new Set<number>()
  const last = new Map<string, number>()
  const homes = new Map<string, Set<number>>()
  let together = 0
  const { events, byPartition } = await processAll(store, {
    ...{ partitions: 4, maxBatch: 10, data: { unit: 'min' } },
    work: async (batch, { partition, partitions, data }) => {
      expect([busy.has(partition), partitions, data]).toEqual([false, 4, { unit: 'min' }])
      expect(batch.length).toBeLessThanOrEqual(10)
      busy.add(partition)
      together = Math.max(together, busy.size)
      await new Promise((resolve) => setImmediate(resolve))
      for (const { stream, version } of batch) {
        expect(version).toBe((last.get(stream) ?? 0) + 1)
        last.set(stream, version)
        homes.set(stream, (homes.get(stream) ?? new Set()).add(partition))
      }
      busy.delete(partition)
    },
  })
  expect(together).toBeGreaterThan(1)
  expect([...homes.values()].map(({ size }) => size)).toEqual(Array.from(homes, () => 1))
  expect([events, byPartition.reduce((a, b) => a + b)]).toEqual([2000, 2000])
})

test('a key other than the stream, a filter and bounds choose what goes where', async () => {
  await using store = await openStore('memory:')
  for (let n = 0; n < 40; n++) {
    const event = { type: n % 2 === 0 ? 'Even' : 'Odd', data: { n }, tags: [`room:${n % 3}`] }
    await store.append(`s-${n}`, event)
  }
  const rooms = new Map<string, Set<number>>()
  const seen: number[] = []
  const { position } = await processAll(store, {
    ...{ by: { tag: 'room' }, filter: { types: ['Even'] }, after: 4, upTo: 31, partitions: 16 },
    decode: (event: RecordedEvent) => ({ ...event, type: 'Decoded' }),
    work: (events, { partition }) => {
      for (const event of events) {
        const [room = ''] = event.tags
        rooms.set(room, (rooms.get(room) ?? new Set()).add(partition))
        seen.push(event.position)
        expect(event.type).toBe('Decoded')
      }
    },
  })
  expect([position, rooms.size]).toEqual([31, 3])
  expect([...rooms.values()].every(({ size }) => size === 1)).toBe(true)
  expect(seen.toSorted((a, b) => a - b)).toEqual([
    5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31,
  ])
})

test('after an error the next run begins behind the last checkpoint', async () => {
  await using store = await filled(1000)
  let poison = true
  const handled = new Map<number, number>()
  const options = {
    ...{ partitions: 3, maxBatch: 20, checkpointEvery: 200, resume: { name: 'mails' } },
    work: (events: readonly RecordedEvent[]) => {
      for (const { position } of events) {
        if (poison && position === 777) throw new RangeError('no such room')
        handled.set(position, (handled.get(position) ?? 0) + 1)
      }
    },
  }
  await expect(processAll(store, options)).rejects.toThrow(new RangeError('no such room'))
  poison = false
  const again = await processAll(store, options)
  expect(again.events).toBeLessThan(600)
  expect(again.position).toBe(1000)
  expect(handled.size).toBe(1000)
  expect(await processAll(store, options)).toMatchObject({ events: 0, position: 1000 })
  const other = processAll(store, { ...options, partitions: 4 })
  await expect(other).rejects.toMatchObject({ code: 'ARGUMENT_INVALID', message: /another name/ })
})

test('a state to be kept must be what JSON carries, any other need not', async () => {
  await using store = await filled(100)
  const work = {
    initial: () => new Map<string, number>(),
    evolve: (state: Map<string, number>, { stream }: RecordedEvent) =>
      state.set(stream, (state.get(stream) ?? 0) + 1),
  }
  const { states = [] } = await processAll(store, { work, partitions: 2 })
  expect(states.map((state) => [...state.keys()].length).reduce((a, b) => a + b)).toBe(7)
  const kept = processAll(store, { work, partitions: 2, resume: { name: 'maps' } })
  await expect(kept).rejects.toMatchObject({ code: 'DATA_NOT_JSON', message: /Map/ })
})

describe('in threads', () => {
  test('a module makes the same states, over stops too', async () => {
    await using store = await filled(3000)
    const whole = await expected(store)
    const once = await processAll(store, { work: { module: sums }, partitions: 2 })
    expect(once.state).toEqual(whole)
    const stop = new AbortController()
    const named = { work: { module: sums }, partitions: 2, resume: { name: 'threads' } } as const
    const first = await processAll(store, {
      ...{ ...named, maxBatch: 100, checkpointEvery: 100, signal: stop.signal },
      onProgress: ({ done }) => {
        if (done >= 1000) stop.abort()
      },
    })
    expect(first).toMatchObject({ stopped: true })
    const second = await processAll(store, named)
    expect(second.state).toEqual(whole)
    expect(first.events + second.events).toBe(3000)
  })

  test('what the work throws is told with its partition, and ends the threads', async () => {
    await using store = await filled(10)
    await store.append('s-1', { type: 'Counted', data: { n: 1, throws: 'a bad day' } })
    const failed = processAll(store, { work: { module: sums }, partitions: 3 })
    await expect(failed).rejects.toMatchObject({
      ...{ code: 'WORKER_FAILED', partition: expect.any(Number), message: /a bad day/ },
      cause: expect.objectContaining({ name: 'RangeError' }),
    })
  })

  test('a module without work, or that does not load, is said before anything starts', async () => {
    await using store = await filled(10)
    const folder = await mkdtemp(join(tmpdir(), 'work-'))
    const write = (name: string, text: string) => {
      writeFileSync(join(folder, name), text)
      return pathToFileURL(join(folder, name))
    }
    const empty = { module: write('empty.mjs', 'export const x = 1') }
    await expect(processAll(store, { work: empty })).rejects.toThrow(/neither.*handle.*fold/)
    const half = { module: write('half.mjs', 'export const fold = { initial: () => 0 }') }
    await expect(processAll(store, { work: half })).rejects.toThrow(/initial and evolve/)
    const broken = { module: write('broken.mjs', 'throw new Error("not today")') }
    await expect(processAll(store, { work: broken })).rejects.toThrow('not today')
    const odd = { module: write('odd.mjs', 'export const handle = () => { throw () => {} }') }
    const uncopied = processAll(store, { work: odd })
    await expect(uncopied).rejects.toMatchObject({ code: 'WORKER_FAILED' })
    const leaves = { module: write('leaves.mjs', 'export const handle = () => process.exit(3)') }
    await expect(processAll(store, { work: leaves })).rejects.toThrow(/code 3/)
  })
})

test('a handler that does not end is given up a while after the signal', async () => {
  await using store = await filled(300)
  const clock = manualClock()
  const stop = new AbortController()
  let begun: () => void = () => {}
  const started = new Promise<void>((resolve) => {
    begun = resolve
  })
  const running = processAll(store, {
    ...{ clock, partitions: 2, signal: stop.signal, resume: { name: 'stuck' } },
    work: () => {
      begun()
      return new Promise(() => {})
    },
  })
  await started
  stop.abort()
  // For what is under way, then for its end.
  for (let n = 0; n < 10; n++) {
    await new Promise((resolve) => setImmediate(resolve))
    await clock.advance(5000)
  }
  expect(await running).toMatchObject({ events: 0, position: 0, stopped: true })
  const { events } = await processAll(store, {
    ...{ work: () => {}, partitions: 2, resume: { name: 'stuck' }, clock: systemClock },
  })
  expect(events).toBe(300)
})

test.each([
  [{ work: undefined }, /work.*handler/],
  [{ work: {} }, /work.*initial and evolve/],
  [{ work: { module: './x.js' } }, /work\.module.*URL/],
  [{ work: { initial: () => 0, evolve: () => 0, merge: 1 } }, /work\.merge/],
  [{ work: () => {}, partitions: 0 }, /partitions.*1 to 256/],
  [{ work: () => {}, maxBatch: 1.5 }, /maxBatch/],
  [{ work: () => {}, checkpointEvery: -1 }, /checkpointEvery/],
  [{ work: () => {}, by: { tag: '' } }, /by.*stream/],
  [{ work: () => {}, by: { tag: 'x', name: 'x', key: 1 } }, /by.*stream/],
  [{ work: () => {}, after: -1 }, /position/],
  [{ work: () => {}, decode: 1 }, /decode/],
  [{ work: () => {}, onProgress: {} }, /onProgress/],
  [null, /options/],
  [{ work: () => {}, resume: { name: '' } }, /resume\.name/],
  [{ work: () => {}, filter: { types: 'A' } }, /types/],
])('%j is refused', async (options, message) => {
  await using store = await openStore('memory:')
  await expect(processAll(store, options as never)).rejects.toThrow(message)
})
