import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  exportEvents,
  importEvents,
  isEventualiError,
  openStore,
  type Store,
} from '../../src/index.ts'
import { seededRandom } from '../../src/kernel/index.ts'
import { openMemoryStore } from '../../src/stores/memory/index.ts'
import { type StoreHooks, wrapStore } from '../../src/testing/index.ts'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { mainSettings, SettingStores, settings } from '../harness/settings.ts'

const stores = new SettingStores()
beforeAll(() => stores.start(), 120_000)
afterAll(() => stores.stop())

/** Pieces that texts are made of, each a trap for somebody. */
const pieces = [
  ...['\ud800', '\udbff', '\udc00', '\udfff', '\ude00\ud83d'],
  ...['\u0000', '\u0001', '\u001f', '\u007f', '\u0080', '\u009f', '\n', '\t'],
  ...['é', 'e\u0301', 'ﬁ', 'Å', 'A\u030a', '\u212b', 'ς', 'İ', 'ı', 'ß', 'ẞ', '\u1e9b\u0323'],
  ...[
    '👩‍👩‍👧',
    '\u200d',
    '\u200c',
    '\ufe0f',
    '🏳️‍🌈',
    '\u202e',
    '\u202c',
    '\u2066',
    'עברית',
    'العربية',
  ],
  ...['\u{10ffff}', '\u{1f680}', '\u{20000}', '\u{10000}', '\ue000', '\uf8ff', '\u{f0000}'],
  ...['\ufffe', '\uffff', '\ufdd0', '\u{1fffe}', '\ufffd', '\ufeff', '\u2028', '\u2029', '\u00a0'],
  ...['%', '_', '*', '?', '[', '\\', "'", '"', '`', '$', ':', ';', '-', '/', ' ', ',', '{', '}'],
  ...['a', 'B', '0', '漢字', 'कि', '각', 'ᄀ\u1161'],
]

type Chance = Pick<Campaign, 'between' | 'pick'>

function chanceOf(seed: number): Chance {
  const random = seededRandom(seed)
  const between = (low: number, high: number) => low + Math.floor(random.next() * (high - low + 1))
  return {
    between,
    pick: (items) => items[between(0, items.length - 1)] as (typeof items)[number],
  }
}

function text(chance: Chance, lengthMax: number): string {
  let made = ''
  for (let count = chance.between(1, lengthMax); count > 0; count--) {
    // Some unit of UTF-16 at all, now and then.
    const isAny = chance.between(0, 9) === 0
    made += isAny ? String.fromCharCode(chance.between(0, 0xffff)) : chance.pick(pieces)
  }
  return made
}

/** One case: a text in every place that takes one. */
interface Case {
  readonly stream: string
  readonly type: string
  readonly id: string
  readonly tag: string
  readonly key: string
  readonly value: string
}

function cases(run: Campaign, count: number): Case[] {
  return Array.from({ length: count }, (_, n) => {
    // One odd place in each of the first, so that most names pass; several in the others.
    const odd = (at: number, plain: string) => (n % 6 === at || n % 7 === 0 ? text(run, 5) : plain)
    // With a number in front or behind: no two of them are the same, whatever else they hold.
    const alone = (made: string) => (n % 2 === 0 ? `${n}${made}` : `${made}${n}`)
    return {
      stream: alone(odd(0, 's-')),
      type: odd(1, `T${n % 9}`),
      id: alone(odd(2, 'i')),
      tag: alone(odd(3, 't')),
      key: text(run, 3),
      value: text(run, 8),
    }
  })
}

const eventOf = ({ type, id, tag, key, value }: Case) => ({
  ...{ type, id, tags: [tag] },
  data: { [key]: value, list: [value, key], text: key + value },
  metadata: { [key]: value, note: value },
})

/** What came of a case: the code of its refusal, or everything that was read. */
type Fate = string

const shown = (value: unknown): string => JSON.stringify(value)

interface Read {
  readonly stream: string
  readonly type: string
  readonly id: string
  readonly tags: readonly string[]
  readonly data: unknown
  readonly metadata: unknown
}

const partsOf = ({ stream, type, id, tags, data, metadata }: Read): string =>
  shown([stream, type, id, tags, data, metadata])

/** Appends the cases: many at once, those that are refused alone. */
async function appendAll(store: Store, all: readonly Case[]): Promise<Map<Case, Fate>> {
  const fates = new Map<Case, Fate>()
  // Concurrent calls share commits; a refusal touches its own call only.
  await Promise.all(
    all.map(async (one) => {
      try {
        await store.append(one.stream, eventOf(one))
        fates.set(one, 'stored')
      } catch (error) {
        fates.set(one, isEventualiError(error) ? error.code : `untyped ${String(error)}`)
      }
    }),
  )
  return fates
}

/** Asks in every way that goes by a name; what is wrong with the answers. */
async function wrongAnswers(
  store: Store,
  stored: readonly Case[],
  asked: readonly Case[],
): Promise<string[]> {
  const wrong: string[] = []
  const expectIds = (what: string, found: readonly { id: string }[], expected: readonly Case[]) => {
    const [a, b] = [found.map(({ id }) => id).sort(), expected.map(({ id }) => id).sort()]
    if (shown(a) !== shown(b)) wrong.push(`${what}: found ${shown(a)}, expected ${shown(b)}`)
  }
  const category = (name: string) => name.split('-', 1)[0] as string
  for (const { stream, type, tag } of asked) {
    const of = (filter: (one: Case) => boolean) => stored.filter(filter)
    const tagged = await store.readAll({ tags: [tag] }).toArray()
    expectIds(
      `tag ${shown(tag)}`,
      tagged,
      of((one) => one.tag === tag),
    )
    const typed = await store.readAll({ types: [type], tags: [tag] }).toArray()
    expectIds(
      `type ${shown(type)}`,
      typed,
      of((one) => one.type === type && one.tag === tag),
    )
    const ofStream = await store.readStream(stream).toArray()
    expectIds(
      `stream ${shown(stream)}`,
      ofStream,
      of((one) => one.stream === stream),
    )
    const categories = [category(stream)]
    const inCategory = await store.readAll({ categories, tags: [tag] }).toArray()
    const isIn = (one: Case) => category(one.stream) === categories[0] && one.tag === tag
    expectIds(`category ${shown(categories)}`, inCategory, of(isIn))
    // Whole characters: half of a pair is refused.
    const prefix = Array.from(stream).slice(0, -1).join('')
    const streams = await store.streams({ prefix }).toArray()
    const names = new Set(of((one) => one.stream.startsWith(prefix)).map((one) => one.stream))
    if (shown(streams.map((info) => info.stream).sort()) !== shown([...names].sort())) {
      wrong.push(`prefix ${shown(prefix)}: ${shown(streams.map((info) => info.stream))}`)
    }
    const info = await store.stream(stream)
    if (info?.stream !== stream) wrong.push(`stream(${shown(stream)}) is ${shown(info?.stream)}`)
  }
  return wrong
}

/** Filters that nothing can match, or that must be refused: the same on every store. */
async function oddFilters(store: Store, chance: Chance, count: number): Promise<string[]> {
  const fates: string[] = []
  for (let n = 0; n < count; n++) {
    const odd = text(chance, 4)
    const asks: (() => Promise<readonly unknown[]>)[] = [
      () => store.readAll({ types: [odd] }).toArray(),
      () => store.readAll({ tags: [odd] }).toArray(),
      () => store.readAll({ categories: [odd] }).toArray(),
      () => store.readStream(odd).toArray(),
      () => store.streams({ prefix: odd }).toArray(),
      () => store.streams({ category: odd }).toArray(),
      async () => [await store.stream(odd)].filter((info) => info !== undefined),
    ]
    for (const [at, ask] of asks.entries()) {
      const fate = await Promise.resolve()
        .then(ask)
        .then(
          (found) => `${found.length} found`,
          (error: unknown) => (isEventualiError(error) ? error.code : `untyped ${String(error)}`),
        )
      fates.push(`${at} ${shown(odd)}: ${fate}`)
    }
  }
  return fates
}

async function logOf(store: Store): Promise<Map<string, string>> {
  const parts = new Map<string, string>()
  for await (const event of store.readAll()) {
    parts.set(shown([event.stream, event.id]), partsOf(event))
  }
  return parts
}

/** What is wrong with what a store keeps of the cases; the fates, to be compared with others'. */
async function wrongIn(store: Store, all: readonly Case[], asked: number) {
  const fates = await appendAll(store, all)
  const stored = all.filter((one) => fates.get(one) === 'stored')
  const log = await logOf(store)
  const wrong: string[] = []
  for (const one of stored) {
    const { stream, id } = one
    const expected = partsOf({ stream, ...eventOf(one) })
    const found = log.get(shown([stream, id]))
    if (found !== expected) wrong.push(`${expected} came back as ${found}`)
  }
  if (log.size !== stored.length) wrong.push(`${log.size} events, ${stored.length} acknowledged`)
  const step = Math.max(1, Math.floor(stored.length / asked))
  const some = stored.filter((_, n) => n % step === 0)
  wrong.push(...(await wrongAnswers(store, stored, some)))
  return { wrong, fates, log, stored: stored.length }
}

/** Out into lines and into another store: the same events. */
async function wrongAfterTravel(store: Store, log: ReadonlyMap<string, string>) {
  let lines = ''
  for await (const chunk of exportEvents(store)) lines += chunk
  await using copy = await openStore('memory:')
  await importEvents(copy, [lines], { sourceName: 'travel' })
  const travelled = await logOf(copy)
  return [...log].filter(([key, parts]) => travelled.get(key) !== parts).map(([, parts]) => parts)
}

/** A value with all its texts changed, keys too. */
function changed(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value)
  if (Array.isArray(value)) return value.map((one) => changed(one, change))
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, one]) => [change(key), changed(one, change)])
  return Object.fromEntries(entries)
}

/** A store that changes texts on their way in. */
function changing(
  parts: readonly ('data' | 'metadata' | 'tags' | 'type' | 'stream')[],
  change: (text: string) => string,
): StoreHooks {
  return {
    append: (next, request, options) => {
      const entries = request.entries.map(({ stream, events, ...entry }) => ({
        ...entry,
        stream: parts.includes('stream') ? change(stream) : stream,
        events: events.map((event) => {
          const made = { ...event } as Record<string, unknown>
          for (const part of parts) if (part !== 'stream') made[part] = changed(made[part], change)
          return made as unknown as typeof event
        }),
      }))
      return next.append({ ...request, entries }, options)
    },
  }
}

const planted: Readonly<Record<string, StoreHooks>> = {
  'normalizes data to NFC': changing(['data'], (text) => text.normalize('NFC')),
  'normalizes names to NFC': changing(['stream', 'tags'], (text) => text.normalize('NFC')),
  'cuts data at U+0000': changing(['data'], (text) => text.split('\u0000', 1)[0] ?? ''),
  'cuts metadata at U+0000': changing(['metadata'], (text) => text.split('\u0000', 1)[0] ?? ''),
  'replaces halves of pairs': changing(['data'], (text) => text.toWellFormed()),
  'takes away a byte order mark': changing(['data'], (text) => text.replaceAll('\ufeff', '')),
  'knows no letter case': {
    readLog: (next, query, options) => {
      const types = query.types?.map((type) => type.toLowerCase())
      return next.readLog(types === undefined ? query : { ...query, types }, options)
    },
  },
}

describe('text of every kind', () => {
  test('comes back exactly, or is refused alike by every store', async () => {
    await campaign('R19 unicode, all stores', async (run) => {
      const available = settings.filter((setting) => stores.skip(setting) === undefined)
      const count = run.scaled(20_000)
      const batch = 2000
      const totals = { stored: 0, refused: 0 }
      for (let done = 0; done < count; done += batch) {
        const all = cases(run, batch)
        const filterSeed = run.between(0, 2 ** 30)
        let first: { fates: string; filters: string } | undefined
        const isWhole = (done / batch) % 5 === 0
        for (const setting of available) {
          // Another driver or codec sees every fifth batch; an adapter sees all.
          if (!isWhole && !mainSettings.includes(setting)) continue
          await using store = await stores.open(setting)
          const { wrong, fates, log, stored } = await wrongIn(store, all, 15)
          expect([setting.name, wrong.slice(0, 3)]).toEqual([setting.name, []])
          const travelled = await wrongAfterTravel(store, log)
          expect([setting.name, travelled.slice(0, 3)]).toEqual([setting.name, []])
          const filters = (await oddFilters(store, chanceOf(filterSeed), 25)).join('\n')
          const told = all.map((one) => `${shown(one)}: ${fates.get(one)}`).join('\n')
          first ??= { fates: told, filters }
          expect({ setting: setting.name, fates: told }).toEqual({
            setting: setting.name,
            fates: first.fates,
          })
          expect(filters).toBe(first.filters)
          expect(told).not.toContain('untyped')
          expect(filters).not.toContain('untyped')
          totals.stored += stored
          totals.refused += all.length - stored
        }
      }
      run.note(`${count} cases on each adapter, every fifth batch on ${available.length} settings`)
      run.note(`${totals.stored} stored and ${totals.refused} refused`)
      expect(totals.stored).toBeGreaterThan(totals.refused)
      expect(totals.refused).toBeGreaterThan(0)
    })
  }, 3_600_000)

  test.each(Object.keys(planted))('the harness finds a store that %s', async (name) => {
    await campaign(`R19 planted: ${name}`, async (run) => {
      const hooks = planted[name] ?? {}
      await using store = await openStore(wrapStore(await openMemoryStore(), hooks))
      const { wrong } = await wrongIn(store, cases(run, 300), 40)
      run.note(wrong[0]?.slice(0, 100) ?? 'nothing found')
      expect(wrong).not.toEqual([])
    })
  })
})
