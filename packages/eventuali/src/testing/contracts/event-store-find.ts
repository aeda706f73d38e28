import assert from 'node:assert/strict'
import type { Json } from '../../model/index.ts'
import type { DocumentFilter, DocumentIndex, DocumentOperator } from '../../ports/index.ts'
import { type EventStoreContext, law } from './context.ts'
import type { ContractCase } from './contract.ts'
import { found, makeFilled } from './read-side-steps.ts'

/** Every type of a property `p`, by keys that say what it is. */
const mixed: { readonly [key: string]: Json } = {
  f: { p: false },
  t: { p: true },
  '-1': { p: -1 },
  '0': { p: 0 },
  '1': { p: 1 },
  '1.5': { p: 1.5 },
  big: { p: 1e21 },
  empty: { p: '' },
  text1: { p: '1' },
  a: { p: 'a' },
  ab: { p: 'ab' },
  B: { p: 'B' },
  plane: { p: '\u{1f680}' },
  wide: { p: '\uff5a' },
  list: { p: [1] },
  object: { p: { q: 1 } },
  null: { p: null },
  none: { other: 1 },
  scalar: 5,
}

function where(operator: DocumentOperator, value: Json, path = ['p']): DocumentFilter {
  return { path, operator, value }
}

/** Keys of `mixed` for which the filter must hold. */
type Expectation = readonly [DocumentOperator, Json, string]

const others = (...left: string[]) =>
  Object.keys(mixed)
    .filter((key) => !left.includes(key))
    .join(' ')

const expectations: readonly Expectation[] = [
  ['eq', 1, '1'],
  ['eq', 0, '0'],
  ['eq', '1', 'text1'],
  ['eq', true, 't'],
  ['eq', false, 'f'],
  ['eq', '', 'empty'],
  ['eq', 1e21, 'big'],
  ['eq', 'A', ''],
  ['eq', '\u{1f680}', 'plane'],
  ['eq', null, 'null none scalar'],
  ['eq', [1], ''],
  ['eq', { q: 1 }, ''],
  ['ne', 1, others('1')],
  ['ne', true, others('t')],
  ['ne', 'a', others('a')],
  ['ne', null, others('null', 'none', 'scalar')],
  ['ne', [1], others()],
  ['lt', 1, '-1 0'],
  ['lte', 1, '-1 0 1'],
  ['gt', 1, '1.5 big'],
  ['gte', 1.5, '1.5 big'],
  ['gt', -2, '-1 0 1 1.5 big'],
  ['lt', 'ab', 'empty text1 a B'],
  ['lte', 'ab', 'empty text1 a B ab'],
  ['gt', 'a', 'ab plane wide'],
  ['gte', '\uff5a', 'plane wide'],
  ['gt', '', 'text1 a ab B plane wide'],
  ['lt', true, 'f'],
  ['lte', true, 'f t'],
  ['gt', false, 't'],
  ['gte', false, 'f t'],
  ['lt', null, ''],
  ['gte', null, ''],
  ['gt', [0], ''],
  ['in', [1, 'a', false], '1 a f'],
  ['in', [], ''],
  ['in', [null, 0], '0 null none scalar'],
  ['in', [[1], { q: 1 }, 'ab'], 'ab'],
  ['prefix', 'a', 'a ab'],
  ['prefix', '', 'empty text1 a ab B plane wide'],
  ['prefix', '1', 'text1'],
  ['prefix', '\u{1f680}', 'plane'],
  ['exists', true, others('null', 'none', 'scalar')],
  ['exists', false, 'null none scalar'],
]

const sorted = (keys: string) => keys.split(' ').filter(Boolean).sort().join(' ')

/** Compares one operator with the table above, in a table with and without indexes. */
function operatorLaw(operator: DocumentOperator): ContractCase<EventStoreContext> {
  return law(`find: ${operator}, on properties of every type`, async (ctx) => {
    const types: readonly DocumentIndex['type'][] = ['text', 'number', 'boolean']
    const indexed = types.map((type) => [{ path: ['p'], type }])
    for (const indexes of [[], ...indexed]) {
      const table = await makeFilled(ctx.store, mixed, indexes)
      for (const [one, value, keys] of expectations) {
        if (one !== operator) continue
        const filters = [where(operator, value)]
        const what = `${operator} ${JSON.stringify(value)}, index ${indexes[0]?.type ?? 'none'}`
        assert.equal(sorted(await found(ctx.store.models, table, { filters })), sorted(keys), what)
        const count = sorted(keys).split(' ').filter(Boolean).length
        assert.equal(await ctx.store.models.count(table, filters), count, `count of ${what}`)
      }
    }
  })
}

const operators = ['eq', 'ne', 'lt', 'lte', 'gt', 'gte', 'in', 'prefix', 'exists'] as const

/** Which documents are found. */
const filterCases: readonly ContractCase<EventStoreContext>[] = [
  ...operators.map(operatorLaw),

  law('find: filters are joined by AND, on the same property too', async (ctx) => {
    const table = await makeFilled(ctx.store, [
      { n: 1, c: 'x' },
      { n: 2, c: 'x' },
      { n: 3, c: 'y' },
      { n: 4 },
    ])
    const between = [where('gt', 1, ['n']), where('lt', 4, ['n'])]
    assert.equal(await found(ctx.store.models, table, { filters: between }), 'b c')
    const both = [...between, where('eq', 'x', ['c'])]
    assert.equal(await found(ctx.store.models, table, { filters: both }), 'b')
    assert.equal(await ctx.store.models.count(table, both), 1)
    const none = [...both, where('exists', false, ['n'])]
    assert.equal(await found(ctx.store.models, table, { filters: none }), '')
  }),

  law('find: a prefix is taken literally', async (ctx) => {
    const table = await makeFilled(ctx.store, [
      { p: 'a%c' },
      { p: 'abc' },
      { p: 'a_c' },
      { p: 'A%c' },
      { p: '\\x' },
      { p: '*?[a' },
    ])
    const all: [string, string][] = [
      ['a%', 'a'],
      ['a_', 'c'],
      ['\\', 'e'],
      ['*', 'f'],
      ['*?[', 'f'],
      ['a', 'a b c'],
    ]
    for (const [prefix, keys] of all) {
      const filters = [where('prefix', prefix)]
      assert.equal(await found(ctx.store.models, table, { filters }), keys)
    }
  }),

  law('find: a path goes through objects, not into lists', async (ctx) => {
    const table = await makeFilled(ctx.store, [
      { a: { b: { c: 1 } } },
      { a: [{ b: 1 }, 1] },
      { a: { '0': { b: 1 }, '1': 1, length: 1 } },
      { 'a.b.c': 1 },
      { a: 'text' },
    ])
    const at = (path: string[]) =>
      found(ctx.store.models, table, { filters: [where('eq', 1, path)] })
    assert.equal(await at(['a', 'b', 'c']), 'a')
    assert.equal(await at(['a', '0', 'b']), 'c')
    assert.equal(await at(['a', '1']), 'c')
    assert.equal(await at(['a', 'length']), 'c')
    assert.equal(await at(['a.b.c']), 'd')
    assert.equal(await at(['a', 'toString']), '')
  }),

  law('find: names of properties may hold any character', async (ctx) => {
    // None ends with a backslash: JSON.parse of Node 24 and later mixes such a name up with those
    // that begin with an escape (https://github.com/nodejs/node/issues/63785).
    const names = [
      '',
      ' ',
      '"',
      "'",
      '`',
      '.',
      '$',
      '$.x',
      '[0]',
      '#-1',
      '*',
      '?',
      '{}',
      'a,b',
      '\\x',
      'a\\"b',
      '\n',
      'ä',
      '\u{1f680}',
      '0',
      '%s',
      '--',
      ';',
      'constructor',
      'x'.repeat(200),
    ]
    for (const name of names) {
      const what = JSON.stringify(name)
      const indexes: DocumentIndex[] = [{ path: [name], type: 'number' }]
      const values = [{ [name]: 1 }, { [name]: 2 }, { o: { [name]: 1 } }, { other: 1 }]
      const table = await makeFilled(ctx.store, values, indexes)
      const filters = [where('eq', 1, [name])]
      assert.equal(await found(ctx.store.models, table, { filters }), 'a', what)
      const inside = [where('eq', 1, ['o', name])]
      assert.equal(await found(ctx.store.models, table, { filters: inside }), 'c', what)
      const sort = [{ path: [name], descending: true }]
      assert.equal(await found(ctx.store.models, table, { sort }), 'b a c d', what)
    }
  }),

  law('find: values may hold any character', async (ctx) => {
    const texts = ["'", "x'; --", '"', '\\', '%', '_', '\n', 'ä', '\u{1f680}', '$1', '?', 'null']
    const table = await makeFilled(
      ctx.store,
      texts.map((p) => ({ p })),
    )
    for (const text of texts) {
      for (const filter of [where('eq', text), where('in', [text]), where('prefix', text)]) {
        const documents = await ctx.store.models.find(table, { filters: [filter], sort: [] })
        assert.deepEqual(
          documents.map(({ value }) => value),
          [{ p: text }],
        )
      }
    }
  }),

  law('find: numbers compare as they are, not as text', async (ctx) => {
    const numbers = [9, 10, -10, -9, 0.1, 0.30000000000000004, 0.3, 2 ** 53, 2 ** 53 - 1, 1e-7]
    const table = await makeFilled(
      ctx.store,
      [...numbers, 1e300, 2 ** 63].map((p) => ({ p })),
    )
    for (const n of [...numbers, 1e300, 2 ** 63]) {
      const equal = await ctx.store.models.find(table, { filters: [where('eq', n)], sort: [] })
      assert.deepEqual(
        equal.map(({ value }) => value),
        [{ p: n }],
      )
      const above = [...numbers, 1e300, 2 ** 63].filter((m) => m > n).length
      assert.equal(await ctx.store.models.count(table, [where('gt', n)]), above, `above ${n}`)
    }
  }),
]

/** In which order they are found, and which part of them. */
const orderCases: readonly ContractCase<EventStoreContext>[] = [
  law('find: without a sort documents come by key', async (ctx) => {
    const table = await makeFilled(ctx.store, { b: 1, '\u{1f680}': 2, a: 3, '\uff5a': 4, B: 5 })
    assert.equal(await found(ctx.store.models, table, {}), 'B a b \uff5a \u{1f680}')
  }),

  law('find: sorts by type and value, those without one last', async (ctx) => {
    const up = 'f t -1 0 1 1.5 big empty text1 B a ab wide plane'
    const down = up.split(' ').reverse().join(' ')
    const last = 'list none null object scalar'
    const types: readonly DocumentIndex['type'][] = ['text', 'number', 'boolean']
    for (const indexes of [[], ...types.map((type) => [{ path: ['p'], type }])]) {
      const table = await makeFilled(ctx.store, mixed, indexes)
      for (const [descending, order] of [
        [false, up],
        [true, down],
      ] as const) {
        const keys = await found(ctx.store.models, table, { sort: [{ path: ['p'], descending }] })
        assert.equal(keys, `${order} ${last}`)
      }
    }
  }),

  law('find: sorts by several, ties go by key, ascending', async (ctx) => {
    const table = await makeFilled(ctx.store, {
      e: { x: 1, y: 'b' },
      d: { x: 1, y: 'a' },
      c: { x: 2 },
      b: { x: 2, y: 'a' },
      a: { y: 'a' },
      f: { x: 1, y: 'a' },
    })
    const by = (x: boolean, y: boolean) =>
      found(ctx.store.models, table, {
        sort: [
          { path: ['x'], descending: x },
          { path: ['y'], descending: y },
        ],
      })
    assert.equal(await by(false, false), 'd f e b c a')
    assert.equal(await by(true, false), 'b c d f e a')
    assert.equal(await by(false, true), 'e d f b c a')
    assert.equal(await by(true, true), 'b c e d f a')
  }),

  law('find: limit and offset cut from the sorted list', async (ctx) => {
    const table = await makeFilled(
      ctx.store,
      [5, 3, 1, 4, 2].map((n) => ({ n })),
    )
    const sort = [{ path: ['n'], descending: false }]
    const cut = (part: { limit?: number; offset?: number }) =>
      found(ctx.store.models, table, { sort, ...part })
    assert.equal(await cut({}), 'c e b d a')
    assert.equal(await cut({ limit: 2 }), 'c e')
    assert.equal(await cut({ limit: 2, offset: 2 }), 'b d')
    assert.equal(await cut({ offset: 3 }), 'd a')
    assert.equal(await cut({ limit: 9, offset: 4 }), 'a')
    assert.equal(await cut({ offset: 5 }), '')
    assert.equal(await cut({ limit: 0 }), '')
    assert.equal(await ctx.store.models.count(table, [where('gt', 1, ['n'])]), 4)
  }),

  law('find: gives documents with value and position', async (ctx) => {
    const table = await makeFilled(ctx.store, [{ n: 1 }, { n: 2 }])
    const filters = [where('gt', 0, ['n'])]
    const sort = [{ path: ['n'], descending: true }]
    assert.deepEqual(await ctx.store.models.find(table, { filters, sort }), [
      { key: 'b', value: { n: 2 }, position: 1 },
      { key: 'a', value: { n: 1 }, position: 1 },
    ])
  }),
]

/** Finding documents by what they hold. */
export const findCases: readonly ContractCase<EventStoreContext>[] = [...filterCases, ...orderCases]
