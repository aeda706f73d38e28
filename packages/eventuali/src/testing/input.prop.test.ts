import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isEventualiError } from '../kernel/index.ts'
import type { EventInput } from '../model/index.ts'
import { openStore, type Store } from '../store/index.ts'
import { fresh } from './contracts/steps.ts'

const seed = Number(process.env.EVENTUALI_SEED ?? Date.now() % 2 ** 31)
const numRuns = Number(process.env.EVENTUALI_RUNS ?? 300)
const options = { seed, numRuns }

const prototypeKeys = Reflect.ownKeys(Object.prototype)

function assertUnpolluted(): void {
  expect(Reflect.ownKeys(Object.prototype)).toEqual(prototypeKeys)
  expect(Reflect.ownKeys({})).toEqual([])
}

/** Everything that JavaScript has, and what JSON.parse makes of texts that mean harm. */
const junk = fc.oneof(
  fc.anything({
    withBigInt: true,
    withBoxedValues: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withNullPrototype: true,
    withObjectString: true,
    withSparseArray: true,
    withTypedArray: true,
    withUnicodeString: true,
    key: fc.oneof(
      fc.string(),
      fc.constantFrom('__proto__', 'constructor', 'prototype', 'toJSON', 'then', 'length'),
    ),
  }),
  fc.constantFrom(
    Number.NaN,
    Number.POSITIVE_INFINITY,
    -1,
    0.5,
    2 ** 53,
    -0,
    '',
    '$deleted',
    '__proto__',
    'constructor',
    '\u0000',
    '\ud800',
    'x'.repeat(300),
  ),
  fc
    .constantFrom(
      '{"__proto__":{"polluted":1}}',
      '{"a":{"__proto__":null}}',
      '{"constructor":{"prototype":{"polluted":1}}}',
      '[{"__proto__":[]}]',
      `${'['.repeat(5000)}${']'.repeat(5000)}`,
      `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`,
    )
    .map((text) => JSON.parse(text) as unknown),
  fc.constantFrom(Symbol('s'), () => 1, /x/, new Error('e'), Promise.resolve(1), globalThis),
)

/** Names of all kinds, well-formed or not. */
const names = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc
    .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 10 })
    .map((units) => String.fromCharCode(...units)),
)

/** Runs the call; a failure must be one of the library's own. */
async function typed<T>(what: string, call: () => Promise<T> | T): Promise<T | undefined> {
  try {
    return await call()
  } catch (error) {
    if (isEventualiError(error)) return undefined
    throw new Error(`${what} failed with an error that is not typed`, { cause: error })
  } finally {
    assertUnpolluted()
  }
}

const good: EventInput = { type: 'Happened', data: { n: 1 } }

async function collect(store: Store, stream: string): Promise<readonly { data: unknown }[]> {
  return store.readStream(stream).toArray()
}

type Calls = Record<string, (a: unknown, b: unknown) => Promise<unknown> | unknown>

// What the types forbid is what this is about.
const any = (value: unknown) => value as never

/** Appends with malformed parts. */
function writeCalls(store: Store): Calls {
  return {
    'append to': (a) => store.append(any(a), good),
    'append of': (a) => store.append('known-1', any(a)),
    'append of a list': (a, b) => store.append('known-1', any([a, b])),
    'append of a type': (a) => store.append('known-1', any({ type: a, data: 1 })),
    'append of a time': (a) => store.append('known-1', any({ ...good, time: a })),
    'append of tags': (a) => store.append('known-1', any({ ...good, tags: a })),
    'append of one tag': (a) => store.append('known-1', any({ ...good, tags: [a] })),
    'append expecting': (a) => store.append('known-1', good, any({ expectedVersion: a })),
    'appendAll of': (a) => store.appendAll(any(a)),
    'appendAll of a list': (a, b) => store.appendAll(any([a, b])),
    'appendAll to': (a) => store.appendAll([{ stream: any(a), events: [good] }]),
    'appendAll under': (a, b) =>
      store.appendAll([{ stream: 'known-1', events: [good] }], {
        condition: any({ query: a, position: b }),
      }),
    'appendAll under a query': (a, b) =>
      store.appendAll([{ stream: 'known-1', events: [good] }], {
        condition: any({ query: { types: a, tags: b }, position: 0 }),
      }),
  }
}

/** Reads with malformed bounds and filters. */
function readCalls(store: Store): Calls {
  return {
    readStream: (a) => store.readStream(any(a)).toArray(),
    'readStream from': (a, b) => store.readStream('known-1', any({ from: a, to: b })).toArray(),
    'readStream limit': (a, b) =>
      store.readStream('known-1', any({ limit: a, direction: b })).toArray(),
    'readStream asOf': (a, b) => store.readStream('known-1', any({ asOf: a, by: b })).toArray(),
    'readAll after': (a, b) => store.readAll(any({ after: a, before: b })).toArray(),
    'readAll since': (a, b) => store.readAll(any({ since: a, until: b })).toArray(),
    'readAll types': (a, b) => store.readAll(any({ types: a, tags: b })).toArray(),
    'readAll categories': (a, b) => store.readAll(any({ categories: a, limit: b })).toArray(),
    'readAll upTo': (a, b) => store.readAll(any({ upTo: a, direction: b })).toArray(),
  }
}

/** Whatever else takes a name. */
function streamCalls(store: Store): Calls {
  return {
    stream: (a) => store.stream(any(a)),
    streams: (a, b) => store.streams(any({ prefix: a, category: b })).toArray(),
    'streams limit': (a) => store.streams(any({ limit: a })).toArray(),
    archive: (a) => store.archive(any(a)),
    'archive because': (a, b) => store.archive('none-1', any({ reason: a, actor: b })),
    truncate: (a, b) => store.truncate(any(a), any({ before: b })),
    deleteStream: (a) => store.deleteStream(any(a)),
    caughtUp: (a) => store.caughtUp(any(a), { timeoutMs: 1 }),
  }
}

describe.each(['memory:', 'sqlite::memory:'])(`malformed input to %s, seed ${seed}`, (url) => {
  it('stores data as JSON has it, or refuses it with one typed error', async () => {
    await using store = await openStore(url)
    const property = fc.asyncProperty(junk, async (data) => {
      const stream = fresh('data')
      const stored = await typed('append', () => store.append(stream, { type: 'Had', data }))
      if (stored === undefined) {
        expect(await store.stream(stream)).toBe(undefined)
        return
      }
      const [event] = await collect(store, stream)
      expect(JSON.stringify(event?.data)).toBe(JSON.stringify(data))
    })
    await fc.assert(property, options)
  })

  it('keeps metadata as JSON has it, or refuses it', async () => {
    await using store = await openStore(url)
    const property = fc.asyncProperty(junk, async (metadata) => {
      const event = { ...good, metadata } as EventInput
      await typed('append', () => store.append(fresh('meta'), event))
    })
    await fc.assert(property, options)
  })

  it('keeps names exactly, or refuses them', async () => {
    await using store = await openStore(url)
    const property = fc.asyncProperty(names, names, names, async (stream, type, tag) => {
      const before = await typed('stream', () => store.stream(stream))
      const event = { type, data: null, tags: [tag] }
      const stored = await typed('append', () => store.append(stream, event))
      if (stored === undefined) {
        expect(await typed('stream', () => store.stream(stream))).toEqual(before)
        return
      }
      const last = (await store.readStream(stream, { from: stored.version }).toArray())[0]
      expect(last?.stream).toBe(stream)
      expect(last?.type).toBe(type)
      expect(last?.tags).toEqual([tag])
      const found = await store.readAll({ types: [type], tags: [tag] }).toArray()
      expect(found.map((e) => e.id)).toContain(last?.id)
      expect((await store.stream(stream))?.stream).toBe(stream)
    })
    await fc.assert(property, options)
  })

  it('keeps ids exactly, or refuses them', async () => {
    await using store = await openStore(url)
    const property = fc.asyncProperty(fc.oneof(names, junk), async (id) => {
      const stream = fresh('ids')
      const event = { ...good, id } as EventInput
      const stored = await typed('append', () => store.append(stream, event))
      if (stored === undefined || id === undefined) return
      expect(stored.events[0]?.id).toBe(id)
      expect((await store.append(stream, event)).duplicate).toBe(true)
    })
    await fc.assert(property, options)
  })
})

describe.each(['memory:', 'sqlite::memory:'])(`malformed calls of %s, seed ${seed}`, (url) => {
  it('refuses every malformed argument with a typed error', async () => {
    await using store = await openStore(url)
    await store.append('known-1', [good, good])
    const calls: Calls = { ...writeCalls(store), ...readCalls(store), ...streamCalls(store) }
    const property = fc.asyncProperty(
      fc.constantFrom(...Object.keys(calls)),
      junk,
      junk,
      async (name, a, b) => {
        await typed(name, () => calls[name]?.(a, b))
      },
    )
    await fc.assert(property, { seed, numRuns: numRuns * 10 })
    // It is still of use after all that.
    const stream = fresh('after')
    expect((await store.append(stream, good)).version).toBe(1)
  })
})
