import { describe, expect, it } from 'vitest'
import type { RecordedEvent } from './event.ts'
import { defineEvents, event } from './event-definitions.ts'
import { eventRegistry } from './event-registry.ts'
import { replacedBy, type Upcaster } from './evolution.ts'
import { type } from './standard-schema.ts'

function stored(type: string, schemaVersion: number, data: unknown): RecordedEvent {
  const time = new Date(5)
  const place = { id: 'id-1', stream: 's-1', version: 3, position: 7 }
  return {
    ...place,
    type,
    data,
    metadata: {},
    time,
    recordedAt: time,
    schemaVersion,
    tags: ['a:1'],
  }
}

const registry = eventRegistry(
  defineEvents({
    Plain: type<{ n: number }>(),
    Renamed: type<{ name: string }>(),
    Moved: event(type<{ street: string; city: string; country: string }>(), {
      version: 4,
      formerly: ['DetailsChanged', 'Pinged'],
      into: ['Renamed'],
      defaults: { country: 'DE' },
      upcast: {
        1: (data, { type }) =>
          type === 'Pinged' ? replacedBy([]) : { ...data, city: data.address.split(', ')[1] },
        2: ({ name, address, city }) =>
          replacedBy([
            { type: 'Renamed', data: { name } },
            { type: 'Moved', data: { address, city }, version: 3 },
          ]),
        3: ({ address, city }) => ({ street: address.split(', ')[0], city }),
      },
    }),
  }),
)
const today = { street: 'Main 1', city: 'Bonn', country: 'DE' }
const oldest = { name: 'Ada', address: 'Main 1, Bonn' }

describe('upcasting', () => {
  it('goes through all versions, renames, splits, and fills in what is lacking', () => {
    const before = stored('DetailsChanged', 1, oldest)
    const [renamed, moved, ...more] = registry.upcast([before])
    expect(more).toEqual([])
    expect(renamed).toEqual({ ...before, type: 'Renamed', data: { name: 'Ada' } })
    expect(moved).toEqual({
      ...{ ...before, type: 'Moved', schemaVersion: 4, data: today },
      id: expect.not.stringMatching('id-1'),
    })
    expect(registry.upcast([before])).toEqual([renamed, moved])
    expect(before.data).toEqual(oldest)
  })

  it('reads a later version from where it is, and leaves out what is replaced by nothing', () => {
    const read = (event: RecordedEvent) => registry.upcast([event]).map(({ data }) => data)
    expect(read(stored('Moved', 3, { address: 'Main 1, Bonn', city: 'Bonn' }))).toEqual([today])
    expect(read(stored('Moved', 4, { street: 'Main 1', city: 'Bonn' }))).toEqual([today])
    expect(read(stored('Pinged', 1, {}))).toEqual([])
    expect(read(stored('Unknown', 1, { any: 1 }))).toEqual([{ any: 1 }])
    expect(read(stored('Moved', 5, { of: 'tomorrow', country: 'FR' }))).toEqual([
      { of: 'tomorrow', country: 'FR' },
    ])
  })

  it('gives the same array where nothing is to be done, and is through after once', () => {
    const current = [stored('Plain', 1, { n: 1 }), stored('Moved', 4, today)]
    expect(registry.upcast(current)).toBe(current)
    const once = registry.upcast([...current, stored('DetailsChanged', 1, oldest)])
    expect(once).toHaveLength(4)
    expect(registry.upcast(once)).toBe(once)
    const unneeded = eventRegistry(defineEvents({ Plain: type<null>() }))
    expect([registry.evolves, unneeded.evolves]).toEqual([true, false])
  })

  it('gives each event defaults of its own', () => {
    const lists = eventRegistry(
      defineEvents({ Listed: event(type<{ items: number[] }>(), { defaults: { items: [] } }) }),
    )
    const both = lists.upcast([stored('Listed', 1, {}), stored('Listed', 1, {})])
    const [mine, others] = both.map(({ data }) => data as { items: number[] })
    mine?.items.push(1)
    expect(others).toEqual({ items: [] })
  })

  it('knows under which types an event may be stored', () => {
    const sorted = (types: readonly string[]) => [...registry.storedTypes(types)].sort()
    expect(sorted(['Renamed'])).toEqual(['DetailsChanged', 'Moved', 'Pinged', 'Renamed'])
    expect(sorted(['Plain'])).toEqual(['Plain'])
    const chained = eventRegistry(
      defineEvents({
        C: type<null>(),
        B: event(type<null>(), { formerly: ['OldB'], into: ['C'] }),
        A: event(type<null>(), { formerly: ['OldA'], into: ['B'] }),
      }),
    )
    expect([...chained.storedTypes(['C'])].sort()).toEqual(['A', 'B', 'C', 'OldA', 'OldB'])
  })
})

const one = (upcast?: Upcaster) =>
  eventRegistry(
    defineEvents({
      A: event(type<object>(), {
        version: 2,
        into: ['B'],
        ...(upcast && { upcast: { 1: upcast } }),
      }),
      B: event(type<object>(), {
        version: 2,
        into: ['A'],
        upcast: { 1: () => replacedBy([{ type: 'A', data: {}, version: 1 }]) },
      }),
    }),
  )

describe('an event that cannot be read', () => {
  it('is told with its place and the upcaster that is missing', () => {
    expect(() => one().upcast([stored('A', 1, {})])).toThrow(
      expect.objectContaining({
        code: 'EVENT_UPCASTER_MISSING',
        ...{ type: 'A', schemaVersion: 1, stream: 's-1', position: 7 },
        message: expect.stringContaining('upcast: { 1: (data) => ({ ...data }) }'),
      }),
    )
  })

  const cause = new RangeError('no such field')
  it.each([
    ['throws', { cause }, () => raise(cause)],
    ['gives nothing', { message: expect.stringContaining('gave nothing') }, () => undefined],
    ['gives a promise', { message: expect.stringContaining('promise') }, async () => ({})],
    [
      'gives a type that it does not announce',
      { message: expect.stringContaining('"into"') },
      () => replacedBy([{ type: 'C', data: {} }]),
    ],
    [
      'gives an event without data',
      { message: expect.stringContaining('without data') },
      () => replacedBy([{ type: 'B', data: undefined }]),
    ],
    [
      'goes round in circles',
      { message: expect.stringContaining('come to an end') },
      () => replacedBy([{ type: 'B', data: {}, version: 1 }]),
    ],
  ])('is told when its upcaster %s', (_name, error, upcaster) => {
    expect(() => one(upcaster).upcast([stored('A', 1, {})])).toThrow(
      expect.objectContaining({ code: 'EVENT_UPCAST_FAILED', position: 7, ...error }),
    )
  })
})

function raise(error: Error): never {
  throw error
}

describe('a definition', () => {
  const define = (details: object) => () => defineEvents({ A: event(type<object>(), details) })
  it.each([
    ['an upcaster from its own version', define({ version: 2, upcast: { 2: () => ({}) } })],
    ['an upcaster from version 0', define({ version: 2, upcast: { 0: () => ({}) } })],
    ['an upcaster that is none', define({ version: 2, upcast: { 1: {} } })],
    ['its own name as a former one', define({ formerly: ['A'] })],
    ["a former name that is the store's", define({ formerly: ['$deleted'] })],
  ])('is refused with %s', (_name, make) => {
    expect(make).toThrow(expect.objectContaining({ code: 'DEFINITION_INVALID' }))
  })

  it.each([
    ['another type', { B: type<null>() }],
    ['the former name of another', { C: event(type<null>(), { formerly: ['B'] }) }],
  ])('is refused beside %s of the same name', (_name, other) => {
    const mine = defineEvents({ A: event(type<null>(), { formerly: ['B'] }) })
    expect(() =>
      eventRegistry(mine, defineEvents(other as { B: ReturnType<typeof type> })),
    ).toThrow(expect.objectContaining({ code: 'DEFINITION_INVALID' }))
  })
})
