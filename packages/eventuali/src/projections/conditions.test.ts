import { describe, expect, it } from 'vitest'
import { nestingDepthMax } from '../model/index.ts'
import { collection } from './collection.ts'
import { copyDocument } from './json-copy.ts'
import { filtersOf, queryOf } from './where.ts'

const refused = (argument: string) =>
  expect.objectContaining({ code: 'ARGUMENT_INVALID', argument })

describe('a where', () => {
  it('is a filter for each comparison, joined in the order in which they stand', () => {
    const where = {
      status: 'open',
      customer: null,
      total: { gt: 1, lte: 9, gte: undefined },
      kind: { in: ['a', null, 3, true] },
      name: { prefix: 'ad', not: 'ada' },
      'address.city': { exists: false },
      left: undefined,
    }
    expect(filtersOf(where)).toEqual([
      { path: ['status'], operator: 'eq', value: 'open' },
      { path: ['customer'], operator: 'eq', value: null },
      { path: ['total'], operator: 'gt', value: 1 },
      { path: ['total'], operator: 'lte', value: 9 },
      { path: ['kind'], operator: 'in', value: ['a', null, 3, true] },
      { path: ['name'], operator: 'prefix', value: 'ad' },
      { path: ['name'], operator: 'ne', value: 'ada' },
      { path: ['address', 'city'], operator: 'exists', value: false },
    ])
    expect(filtersOf(undefined)).toEqual([])
    expect(filtersOf({ n: { lt: -1 } })).toEqual([{ path: ['n'], operator: 'lt', value: -1 }])
  })

  it.each([
    ['no object', 'open'],
    ['null', null],
    ['a list', []],
    ['a value that JSON does not carry', { n: Number.NaN }],
    ['a function', { n: () => 1 }],
    ['in without a list', { n: { in: 3 } }],
    ['in with a list inside', { n: { in: [[1]] } }],
    ['exists without a boolean', { n: { exists: 1 } }],
    ['prefix without text', { n: { prefix: 1 } }],
    ['an object to compare with', { n: { gt: {} } }],
    ['an infinite number', { n: { lte: Number.POSITIVE_INFINITY } }],
    ['an unknown comparison', { n: { like: 'x' } }],
    ['a name that every object has', { n: { constructor: 'x' } }],
  ])('refuses %s', (_what, where) => {
    expect(() => filtersOf(where)).toThrow(refused('where'))
  })
})

describe('a find', () => {
  it('has a sort of one object or of several, a limit and an offset', () => {
    expect(queryOf({ sort: { total: 'desc', 'home.city': 'asc' }, limit: 3, offset: 0 })).toEqual({
      filters: [],
      sort: [
        { path: ['total'], descending: true },
        { path: ['home', 'city'], descending: false },
      ],
      limit: 3,
      offset: 0,
    })
    const several = queryOf({ sort: [{ a: 'asc' }, { b: 'desc' }] })
    expect(several.sort).toEqual([
      { path: ['a'], descending: false },
      { path: ['b'], descending: true },
    ])
    expect(queryOf({})).toEqual({ filters: [], sort: [], limit: undefined, offset: undefined })
  })

  it.each([
    ['sort', { sort: 'total' }],
    ['sort', { sort: [null] }],
    ['sort', { sort: { total: 'up' } }],
    ['limit', { limit: -1 }],
    ['limit', { limit: 1.5 }],
    ['offset', { offset: '3' }],
  ])('refuses a bad %s: %j', (argument, options) => {
    expect(() => queryOf(options)).toThrow(refused(argument))
  })
})

describe('an index', () => {
  it('has a path without empty names and one of three types', () => {
    const made = collection<{ n: number; home: { city: string } }>({
      indexes: { n: 'number', 'home.city': 'text' },
    })
    expect(made.indexes).toEqual([
      { path: ['n'], type: 'number' },
      { path: ['home', 'city'], type: 'text' },
    ])
    const loose = collection as unknown as (options: object) => unknown
    expect(() => loose({ indexes: { 'home.': 'text' } })).toThrow(/"home\."/)
    expect(() => loose({ indexes: { n: 'date' } })).toThrow(/'text', 'number' or 'boolean'/)
  })
})

describe('the copy of a document', () => {
  const notJson = (path: string) => expect.objectContaining({ code: 'DATA_NOT_JSON', path })

  it('shares nothing with it, leaves out what is undefined', () => {
    const bare = Object.assign(Object.create(null) as object, { n: 1 })
    const original = { list: [1, { a: 'x' }], left: undefined, nothing: null, yes: true, bare }
    const copy = copyDocument(original) as unknown as typeof original
    expect(copy).toEqual({ list: [1, { a: 'x' }], nothing: null, yes: true, bare: { n: 1 } })
    expect(Object.hasOwn(copy, 'left')).toBe(false)
    expect(copy.list).not.toBe(original.list)
    expect(copy.list[1]).not.toBe(original.list[1])
  })

  it('keeps a property named __proto__ one of its own', () => {
    const copy = copyDocument(JSON.parse('{"__proto__":{"admin":true}}')) as object
    expect(Object.keys(copy)).toEqual(['__proto__'])
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype)
    expect((copy as { admin?: boolean }).admin).toBe(undefined)
  })

  it.each([
    ['document', null],
    ['document', [1]],
    ['document', 'text'],
    ['document', new Date(0)],
    ['document', Object.create({ inherited: 1 })],
    ['document.n', { n: Number.NaN }],
    ['document.n', { n: 1n }],
    ['document.n', { n: () => 1 }],
    ['document.n', { n: new Map() }],
    ['document.n', { n: Object.create(Object.create(null)) }],
    ['document.list.1', { list: [1, undefined] }],
  ])('refuses at %s what JSON does not carry', (path, value) => {
    expect(() => copyDocument(value)).toThrow(notJson(path))
  })

  it('is bounded in depth', () => {
    const nested = (depth: number) => {
      let value: unknown = 1
      for (let n = 0; n < depth; n++) value = { n: value }
      return value
    }
    expect(copyDocument(nested(nestingDepthMax))).toEqual(nested(nestingDepthMax))
    expect(() => copyDocument(nested(nestingDepthMax + 3))).toThrow(/nested deeper/)
  })
})
