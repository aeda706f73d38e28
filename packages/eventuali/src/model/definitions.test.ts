import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineAggregate, evolveOne, streamOf } from './aggregate.ts'
import { checkedQuery, defineDecisionModel, matchesQuery } from './decision.ts'
import type { RecordedEvent } from './event.ts'
import { defineEvents, definitionOfEvent, event } from './event-definitions.ts'
import { eventRegistry } from './event-registry.ts'
import { type } from './standard-schema.ts'

const events = defineEvents({ Placed: type<{ total: number }>(), Shipped: z.object({}) })
const evolve = { Placed: (count: number) => count + 1, Shipped: (count: number) => count }

function recorded(type: string, tags: readonly string[] = []): RecordedEvent {
  const time = new Date(0)
  const base = { id: 'i', stream: 's', version: 1, position: 1, data: {}, metadata: {} }
  return { ...base, type, tags, time, recordedAt: time, schemaVersion: 1 }
}

describe('defineEvents', () => {
  it('makes plain events that remember their definition', () => {
    const made = events.Placed({ total: 1 })
    expect(made).toEqual({ type: 'Placed', data: { total: 1 } })
    expect(Object.keys(made)).toEqual(['type', 'data'])
    expect(definitionOfEvent(made)?.type).toBe('Placed')
    expect(definitionOfEvent({ ...made })).toBeUndefined()
    expect(events.Placed({ total: 1 }, { id: 'a', tags: ['t'] })).toEqual({
      ...made,
      id: 'a',
      tags: ['t'],
    })
    expect([events.Placed.name, events.Placed.type]).toEqual(['Placed', 'Placed'])
  })

  it.each([
    ['a system type', () => defineEvents({ $deleted: type<null>() })],
    ['an empty name', () => defineEvents({ '': type<null>() })],
    ['no schema', () => defineEvents({ A: null as never })],
    ['a wrong version', () => defineEvents({ A: event(type<null>(), { version: 0 }) })],
    ['a clash', () => eventRegistry(events, defineEvents({ Placed: type<null>() }))],
    ['no creator', () => eventRegistry({ Placed: (() => undefined) as never })],
  ])('refuses %s', (_name, define) => {
    expect(define).toThrow(expect.objectContaining({ code: 'DEFINITION_INVALID' }))
  })

  it('takes one definition twice, and joins several by spreading', () => {
    const more = defineEvents({ More: type<null>() })
    expect(eventRegistry(events, { ...events, ...more }).types()).toEqual([
      'Placed',
      'Shipped',
      'More',
    ])
  })

  it('keeps names that pollute prototypes apart from the prototype', () => {
    const odd = defineEvents(Object.fromEntries([['__proto__', type<number>()]]))
    expect(Object.keys(odd)).toEqual(['__proto__'])
    expect(Object.getPrototypeOf(odd)).toBe(Object.prototype)
    expect(({} as { type?: unknown }).type).toBeUndefined()
  })
})

describe('defineAggregate', () => {
  const Order = defineAggregate('order', { events, initial: () => 0, evolve, commands: {} })

  it('folds its events, passes over system events, and refuses unknown ones', () => {
    expect(evolveOne(Order, 1, recorded('Placed'))).toBe(2)
    expect(evolveOne(Order, 1, recorded('$archived'))).toBe(1)
    expect(evolveOne(Order, 1, recorded('$deleted'))).toBe(0)
    for (const name of ['Lost', 'constructor', '__proto__']) {
      expect(() => evolveOne(Order, 1, recorded(name))).toThrow(
        expect.objectContaining({ code: 'EVENT_TYPE_UNKNOWN' }),
      )
    }
  })

  it('names its streams', () => {
    expect(streamOf(Order, 'a-b')).toBe('order-a-b')
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (id) => {
        try {
          expect(streamOf(Order, id)).toBe(`order-${id}`)
        } catch (error) {
          expect(error).toMatchObject({ code: 'NAME_INVALID' })
        }
      }),
    )
  })

  it.each(['with-dash', '', '$system', 'a\nb'])('refuses the name %j', (name) => {
    const parts = { events, initial: () => 0, evolve, commands: {} }
    expect(() => defineAggregate(name, parts)).toThrow(
      expect.objectContaining({ code: 'DEFINITION_INVALID' }),
    )
  })

  it('refuses a missing handler at run time too', () => {
    const parts = { events, initial: () => 0, evolve: { Placed: evolve.Placed }, commands: {} }
    expect(() => defineAggregate('order', parts as never)).toThrow(/Shipped/)
  })
})

describe('queries', () => {
  it('match any item with one of its types and all of its tags', () => {
    const query = checkedQuery('query', [{ types: ['A', 'B'], tags: ['x', 'y'] }, { types: ['C'] }])
    expect(matchesQuery(query, recorded('A', ['y', 'z', 'x']))).toBe(true)
    expect(matchesQuery(query, recorded('A', ['x']))).toBe(false)
    expect(matchesQuery(query, recorded('C'))).toBe(true)
    expect(matchesQuery(query, recorded('D', ['x', 'y']))).toBe(false)
  })

  it.each([
    ['no item', []],
    ['no types', { types: [] }],
    ['types that are no array', { types: 'A' }],
    ['tags that are no array', { types: ['A'], tags: 'x' }],
    ['nothing', null],
  ])('refuse %s', (_name, query) => {
    expect(() => checkedQuery('query', query as never)).toThrow(
      expect.objectContaining({ code: 'ARGUMENT_INVALID' }),
    )
  })

  it('need a handler for each of their types', () => {
    const model = defineDecisionModel({
      events,
      query: () => ({ types: ['Placed'] }),
      initial: () => 0,
      evolve: {} as never,
    })
    expect(() => model.parts[0]?.query(undefined)).toThrow(/Placed/)
  })
})
