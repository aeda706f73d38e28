import { type } from 'arktype'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { defineEvents, type EventDefinition, eventRegistry } from '../model/index.ts'
import { schemaChanges } from './changes.ts'
import { type JsonSchema, storedSchema } from './json-schema.ts'
import { type Narrowing, narrowings } from './narrowing.ts'

const seed = Number(process.env.EVENTUALI_SEED ?? Date.now() % 2 ** 31)

function schemaOf(schema: unknown): JsonSchema {
  const creators = defineEvents({ Some: schema } as never)
  const made = storedSchema(eventRegistry(creators).get('Some') as EventDefinition)
  if (made === undefined) throw new Error('the library gives no JSON Schema')
  return made
}

/** A schema with data that it allows. */
interface Sample {
  readonly schema: z.ZodType
  readonly data: fc.Arbitrary<unknown>
}

const scalar: fc.Arbitrary<Sample> = fc.oneof(
  fc.tuple(fc.nat(3), fc.nat(3)).map(([least, more]) => ({
    schema: z
      .string()
      .min(least)
      .max(least + more),
    data: fc.string({ minLength: least, maxLength: least + more, unit: 'grapheme-ascii' }),
  })),
  fc.constant({ schema: z.string(), data: fc.string({ unit: 'grapheme-ascii' }) }),
  fc.tuple(fc.integer({ min: -3, max: 3 }), fc.nat(4)).map(([least, more]) => ({
    schema: z
      .number()
      .gte(least)
      .lte(least + more),
    data: fc.double({ min: least, max: least + more, noNaN: true }),
  })),
  fc.constant({ schema: z.int(), data: fc.integer() }),
  fc.constant({ schema: z.number(), data: fc.double({ noDefaultInfinity: true, noNaN: true }) }),
  fc.integer({ min: -2, max: 2 }).map((bound) => ({
    schema: z.number().gt(bound),
    data: fc.double({ min: bound, minExcluded: true, noNaN: true, noDefaultInfinity: true }),
  })),
  fc.constant({ schema: z.boolean(), data: fc.boolean() }),
  fc.constant({ schema: z.null(), data: fc.constant(null) }),
  fc.subarray(['a', 'b', 'c'], { minLength: 1 }).map((values) => ({
    schema: z.enum(values as [string]),
    data: fc.constantFrom(...values),
  })),
  fc.constantFrom('a', 1, true).map((value) => ({
    schema: z.literal(value),
    data: fc.constant(value),
  })),
)

const { sample } = fc.letrec<{ sample: Sample }>((tie) => ({
  sample: fc.oneof(
    { maxDepth: 2, withCrossShrink: true },
    scalar,
    fc.tuple(tie('sample'), fc.nat(2)).map(([{ schema, data }, least]) => ({
      schema: z.array(schema).min(least),
      data: fc.array(data, { minLength: least, maxLength: least + 2 }),
    })),
    fc
      .dictionary(fc.constantFrom('a', 'b', 'c'), fc.tuple(tie('sample'), fc.boolean()), {
        maxKeys: 3,
        noNullPrototype: true,
      })
      .map(objectOf),
    fc.tuple(tie('sample'), tie('sample')).map(([a, b]) => ({
      schema: z.union([a.schema, b.schema]),
      data: fc.oneof(a.data, b.data),
    })),
    fc.tuple(tie('sample'), tie('sample')).map(([a, b]) => ({
      schema: z.tuple([a.schema, b.schema]),
      data: fc.tuple(a.data, b.data),
    })),
    tie('sample').map(({ schema, data }) => ({
      schema: z.record(z.string(), schema),
      data: fc.dictionary(fc.constantFrom('a', 'd'), data, { noNullPrototype: true }),
    })),
    tie('sample').map(({ schema, data }) => ({
      schema: z.nullable(schema),
      data: fc.option(data),
    })),
  ),
}))

function objectOf(fields: Record<string, [Sample, boolean]>): Sample {
  const shape: Record<string, z.ZodType> = {}
  const data: Record<string, fc.Arbitrary<unknown>> = {}
  const requiredKeys: string[] = []
  for (const [key, [field, isRequired]] of Object.entries(fields)) {
    shape[key] = isRequired ? field.schema : field.schema.optional()
    data[key] = field.data
    if (isRequired) requiredKeys.push(key)
  }
  return {
    schema: z.object(shape),
    data: fc.record(data, { requiredKeys, noNullPrototype: true }),
  }
}

type Compare = (from: JsonSchema, to: JsonSchema) => readonly Narrowing[]

/** What the reader is said to expect, its validator takes. */
async function isSound(compare: Compare): Promise<void> {
  await fc.assert(
    fc.asyncProperty(sample, sample, fc.infiniteStream(fc.nat()), async (from, to, seeds) => {
      const found = compare(schemaOf(from.schema), schemaOf(to.schema))
      fc.pre(found.length === 0)
      const [dataSeed] = seeds
      for (const data of fc.sample(from.data, { numRuns: 20, seed: dataSeed as number })) {
        expect(to.schema.safeParse(data).success, JSON.stringify(data)).toBe(true)
      }
    }),
    { numRuns: 700, seed, maxSkipsPerRun: 10_000 },
  )
}

describe('narrowings', () => {
  test(`what is not told is read by the validator (seed ${seed})`, () => isSound(narrowings))

  const blind: readonly (readonly [string, Compare])[] = [
    ['to fields that may be missing', without(/may be missing/)],
    ['to bounds of numbers', without(/than the reader expects/)],
    ['to lengths', without(/may have/)],
    ['to types', without(/the reader expects (?!.*or more)(?!.*at most)/)],
  ]
  test.each(blind)('a comparison that is blind %s is found out', async (_, compare) => {
    await expect(isSound(compare)).rejects.toThrow(/Property failed/)
  })

  test('a schema takes what it says itself, and so does any wider one', () => {
    fc.assert(
      fc.property(sample, sample, (one, other) => {
        const own = schemaOf(one.schema)
        expect(narrowings(own, own)).toEqual([])
        const wider = schemaOf(z.union([other.schema, one.schema]))
        expect(narrowings(own, wider).filter(({ certain }) => certain)).toEqual([])
        const before = schemaOf(z.object({ a: one.schema }))
        const after = schemaOf(z.object({ a: one.schema.optional(), b: other.schema.optional() }))
        expect(narrowings(before, after)).toEqual([])
        // And differences are told in one way or the other.
        expect(schemaChanges(own, own)).toEqual([])
      }),
      { numRuns: 1000, seed },
    )
  })

  const told = (from: z.ZodType, to: z.ZodType) =>
    narrowings(schemaOf(from), schemaOf(to)).map(
      ({ path, reason, certain }) => `${certain ? '' : '? '}${path} ${reason}`,
    )

  test('says where and why', () => {
    const before = z.object({ total: z.number(), note: z.string().optional() })
    expect(told(before, z.object({ total: z.string(), note: z.string() }))).toEqual([
      'data.total may be number, and the reader expects string',
      'data.note may be missing, and the reader needs it',
    ])
    expect(told(before, z.object({ total: z.int().min(1) }))).toEqual([
      'data.total may be number, and the reader expects integer',
    ])
    expect(
      told(z.object({ lines: z.array(before) }), z.object({ lines: z.array(z.null()) })),
    ).toEqual(['data.lines[] may be { total: number; note?: string }, and the reader expects null'])
    expect(told(z.enum(['a', 'b']), z.enum(['a']))).toEqual([
      'data may be "b", and the reader expects "a"',
    ])
    expect(told(z.string().regex(/a/), z.string().regex(/b/))).toEqual([
      '? data may be text of another pattern than the reader expects: b',
    ])
  })

  test('follows schemas that refer to themselves', () => {
    const tree = (leaf: z.ZodType) => {
      const node: z.ZodType = z.object({
        leaf,
        get branches() {
          return z.array(node)
        },
      })
      return node
    }
    expect(told(tree(z.string()), tree(z.string()))).toEqual([])
    expect(told(tree(z.string()), tree(z.number()))).not.toEqual([])
  })

  test('knows the schemas of other libraries, and joins that are objects', () => {
    const from = schemaOf(type({ customer: 'string', total: 'number.integer' }))
    const to = schemaOf(type({ customer: 'string', total: 'number', 'note?': 'string' }))
    expect(narrowings(from, to)).toEqual([])
    expect(narrowings(to, from)).toMatchObject([{ path: 'data.total', certain: true }])
    const both = z.intersection(z.object({ a: z.string() }), z.object({ b: z.number() }))
    const plain = z.object({ a: z.string(), b: z.number() })
    expect(told(both, plain)).toEqual([])
    expect(told(plain, both)).toEqual([])
  })
})

function without(pattern: RegExp): Compare {
  return (from, to) => narrowings(from, to).filter(({ reason }) => !pattern.test(reason))
}

test('changes are told field by field', () => {
  const from = z.object({ a: z.string(), b: z.number().optional(), c: z.object({ d: z.int() }) })
  const to = z.object({ a: z.int(), b: z.number(), c: z.object({ e: z.null().optional() }) })
  expect(schemaChanges(schemaOf(from), schemaOf(to))).toEqual([
    { kind: 'changed', path: 'data.a', what: 'string → number' },
    { kind: 'changed', path: 'data.b', what: 'optional → required' },
    { kind: 'removed', path: 'data.c.d', what: 'd: number' },
    { kind: 'added', path: 'data.c.e', what: 'e?: null' },
  ])
  expect(schemaChanges(schemaOf(z.string()), schemaOf(z.string().min(2)))).toEqual([
    { kind: 'changed', path: 'data', what: '{"type":"string"} → {"minLength":2,"type":"string"}' },
  ])
})
