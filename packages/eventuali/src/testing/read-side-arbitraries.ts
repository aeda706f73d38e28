import type fastCheck from 'fast-check'
import type { Json } from '../model/index.ts'
import type {
  DocumentFilter,
  DocumentIndex,
  DocumentQuery,
  RecordChange,
  RecordQuery,
} from '../ports/index.ts'
import type { FastCheck } from './arbitraries.ts'

/** Documents, an index for some of their properties, and what is looked for among them. */
export interface FindPlan {
  readonly documents: readonly { readonly key: string; readonly value: Json }[]
  readonly indexes: readonly DocumentIndex[]
  readonly queries: readonly DocumentQuery[]
}

// Few names and values; and those that are often confused.
// No name ends with a backslash: JSON.parse of Node 24 and later mixes such a name up with those
// that begin with an escape (https://github.com/nodejs/node/issues/63785).
const names = ['p', 'q', 'x.y', '0', '"', "it's", '\\b', '$']
const common = [0, 1, '1', 'a', true, false, null]
const numbers = [
  0,
  -0,
  1,
  -1,
  1.5,
  10,
  9,
  0.1,
  1e21,
  -1e21,
  1e-7,
  5e-324,
  2 ** 53,
  2 ** 62,
  2 ** 63,
]
const texts = [
  '',
  '0',
  '1',
  'a',
  'A',
  'ab',
  'b',
  'true',
  'null',
  'ä',
  'a\u0308',
  '\uff5a',
  '\u{1f680}',
]
const oddTexts = [
  'a%',
  'a_',
  "'",
  '"',
  '\\',
  '\n',
  '\u0000',
  'a\u0000',
  '\u{10ffff}',
  'a\u{10ffff}',
]

function scalars(fc: FastCheck): fastCheck.Arbitrary<Json> {
  return fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom<Json>(...numbers) },
    { weight: 4, arbitrary: fc.constantFrom<Json>(...texts) },
    { weight: 2, arbitrary: fc.constantFrom<Json>(...oddTexts) },
    { weight: 1, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true }) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 5 }) },
  )
}

/** Half of them from very few values, so that documents and filters meet. */
function metScalars(fc: FastCheck): fastCheck.Arbitrary<Json> {
  return fc.oneof(fc.constantFrom<Json>(...common), scalars(fc))
}

function values(fc: FastCheck): fastCheck.Arbitrary<Json> {
  const name = fc.constantFrom(...names)
  const inner = fc.oneof(
    { weight: 8, arbitrary: metScalars(fc) },
    { weight: 1, arbitrary: fc.array(scalars(fc), { maxLength: 2 }) },
    { weight: 2, arbitrary: fc.dictionary(name, scalars(fc), { maxKeys: 3 }) },
  )
  const some = fc.dictionary(name, inner, { maxKeys: 3 })
  const withP = fc.tuple(some, inner).map(([rest, p]): Json => ({ ...rest, p }))
  return fc.oneof(
    { weight: 12, arbitrary: withP },
    { weight: 4, arbitrary: some },
    { weight: 1, arbitrary: inner },
  )
}

function paths(fc: FastCheck): fastCheck.Arbitrary<readonly string[]> {
  const name = fc.constantFrom(...names)
  return fc.oneof(
    { weight: 4, arbitrary: fc.constant(['p']) },
    { weight: 2, arbitrary: fc.tuple(name) },
    { weight: 1, arbitrary: fc.tuple(name, name) },
  )
}

function filters(fc: FastCheck): fastCheck.Arbitrary<DocumentFilter> {
  const path = paths(fc)
  const value = metScalars(fc)
  return fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        path,
        operator: fc.constantFrom('eq', 'ne', 'lt', 'lte', 'gt', 'gte', 'prefix'),
        value,
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        path,
        operator: fc.constant('in'),
        value: fc.array(value, { maxLength: 4 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ path, operator: fc.constant('exists'), value: fc.boolean() }),
    },
  )
}

function keys(fc: FastCheck): fastCheck.Arbitrary<string> {
  return fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...texts.slice(1), '\u{10ffff}') },
    // Without U+0000, which no name may hold.
    { weight: 1, arbitrary: fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 4 }) },
  )
}

function queries(fc: FastCheck): fastCheck.Arbitrary<DocumentQuery> {
  const small = fc.oneof(
    { weight: 3, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.nat({ max: 8 }) },
  )
  return fc.record({
    filters: fc.array(filters(fc), { maxLength: 2 }),
    sort: fc.array(fc.record({ path: paths(fc), descending: fc.boolean() }), { maxLength: 2 }),
    limit: small,
    offset: small,
  })
}

/** Plans for `runFinds`. */
export function findPlans(fc: FastCheck): fastCheck.Arbitrary<FindPlan> {
  const index = fc.record({
    path: paths(fc),
    type: fc.constantFrom<DocumentIndex['type']>('text', 'number', 'boolean'),
  })
  return fc.record({
    documents: fc.uniqueArray(fc.record({ key: keys(fc), value: values(fc) }), {
      maxLength: 14,
      size: 'max',
      selector: ({ key }) => key,
    }),
    indexes: fc.uniqueArray(index, { maxLength: 2, selector: ({ path }) => path.join('\u0000') }),
    queries: fc.array(queries(fc), { minLength: 1, maxLength: 8, size: 'max' }),
  })
}

/** A change of a record, relative to what is there. */
export interface ChangePlan extends Omit<RecordChange, 'kind' | 'expected'> {
  readonly expected: 'any' | 'none' | 'current' | 'stale' | 'ahead'
}

/** A transaction that writes records, or a look at them. */
export type RecordStep =
  | { readonly op: 'write'; readonly changes: readonly ChangePlan[]; readonly fails: boolean }
  | { readonly op: 'list'; readonly query: Omit<RecordQuery, 'kind'> }

/** Lists of steps for `runRecords`. */
export function recordSteps(fc: FastCheck): fastCheck.Arbitrary<readonly RecordStep[]> {
  const key = fc.constantFrom('a', 'a/1', 'a/2', 'a%', 'b', 'ä', '\uff5a', '\u{1f680}')
  const state = fc.option(fc.constantFrom('on', 'off'), { nil: undefined })
  const time = fc.integer({ min: -2, max: 6 })
  const due = fc.option(time, { nil: undefined })
  const expected = fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom<ChangePlan['expected']>('any', 'current') },
    { weight: 1, arbitrary: fc.constantFrom<ChangePlan['expected']>('none', 'stale', 'ahead') },
  )
  const value = fc.option(values(fc), { nil: undefined, freq: 4 })
  const change = fc.record({ key, expected, value, state, due })
  const write = fc.record({
    op: fc.constant('write' as const),
    changes: fc.uniqueArray(change, { maxLength: 4, selector: (plan) => plan.key }),
    fails: fc.integer({ min: 0, max: 5 }).map((n) => n === 0),
  })
  const part = {
    prefix: fc.option(fc.constantFrom('', 'a', 'a/', 'a%', '\u{1f680}'), { nil: undefined }),
    state,
    limit: fc.integer({ min: 0, max: 6 }),
  }
  const byKey = fc.record({ ...part, after: fc.option(key, { nil: undefined }) })
  const byDue = fc.record({ ...part, dueUpTo: time })
  const list = fc.record({ op: fc.constant('list' as const), query: fc.oneof(byKey, byDue) })
  return fc.array(fc.oneof({ weight: 3, arbitrary: write }, { weight: 2, arbitrary: list }), {
    minLength: 1,
    maxLength: 20,
  })
}
