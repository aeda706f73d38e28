import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { Aggregate, bindAggregate, definitionOfClass } from './aggregate-class.ts'
import { codecName, codecNumber, codecOf, expandedBytes, textOfData, valueOfData } from './body.ts'
import { defineEvents, validateData } from './event-definitions.ts'
import { eventRegistry } from './event-registry.ts'
import {
  CodecMissingError,
  ConnectionError,
  IdempotencyConflictError,
  InlineProjectionError,
  ProjectionBuildError,
  SchemaIncompatibleError,
  SqliteUnsafeError,
  StorageError,
  ValidationError,
} from './index.ts'
import { isStandardSchema, isTypeOnly, type } from './standard-schema.ts'

const slow = defineEvents({
  Slow: z.object({ n: z.number() }).refine(async ({ n }) => n < 10),
  Known: type<{ n: number }>(),
})

class Ledger extends Aggregate {
  static readonly aggregateName = 'ledger'
  static readonly events = slow
  sum = 0
  late(n: number): void {
    this.record(slow.Slow({ n }))
  }
  add(n: number): void {
    this.record(slow.Known({ n }))
  }
  foreign(): void {
    this.record({ type: 'Other', data: null } as never)
  }
  onSlow(): void {}
  onKnown({ data }: { data: { n: number } }): void {
    this.sum += data.n
  }
}

describe('record()', () => {
  it('refuses types that the class does not define, and validators it cannot wait for', () => {
    const ledger = new Ledger()
    expect(() => ledger.foreign()).toThrow(expect.objectContaining({ code: 'EVENT_TYPE_UNKNOWN' }))
    expect(() => ledger.late(1)).toThrow(/asynchronous/)
    expect(() => ledger.late(99)).toThrow(/asynchronous/)
    ledger.add(3)
    expect([ledger.sum, ledger.version]).toEqual([3, 1])
  })

  it('needs one handler for each type', () => {
    class Twice extends Aggregate {
      static readonly aggregateName = 'twice'
      static readonly events = defineEvents({ added: type<null>(), Added: type<null>() })
      onAdded(): void {}
    }
    expect(() => definitionOfClass(Twice)).toThrow(/added and Added share the handler onAdded/)
    class Nothing extends Aggregate {
      static readonly aggregateName = 'nothing'
      static readonly events = slow
    }
    expect(() => definitionOfClass(Nothing)).toThrow(/no handler onSlow for Slow/)
  })

  it('is no command, and neither is a handler', () => {
    const { commandOf } = definitionOfClass(Ledger)
    for (const name of ['record', 'constructor', 'onKnown', 'id', 'sum', 'toString']) {
      expect(commandOf(name)).toBe(undefined)
    }
    const ledger = new Ledger()
    const now = new Date(5)
    bindAggregate(ledger, {
      ...{ id: '1', stream: 'ledger-1', version: 4 },
      now,
      commandId: undefined,
    })
    commandOf('add')?.(ledger, 2)
    expect([ledger.sum, ledger.version, ledger.id]).toEqual([2, 5, '1'])
  })
})

describe('a body', () => {
  it('has a codec with a name, or one that a later version has', () => {
    expect(codecName(codecNumber('msgpack', 'zstd'))).toBe('msgpack+zstd')
    expect(codecName(codecNumber('json'))).toBe('json')
    expect(codecName(15)).toBe(undefined)
    expect(codecName(250)).toBe(undefined)
    expect(codecOf('{}')).toBe(0)
    expect(codecOf(new Uint8Array(2))).toBe(-1)
  })

  it('is text as it is', () => {
    expect(valueOfData('{"n":1}')).toEqual({ n: 1 })
    expect(textOfData('{"n": 1}')).toBe('{"n": 1}')
    expect(expandedBytes('{"n":1}')).toBe(7)
  })

  it('that is cut off takes what there is of it, and cannot be read', () => {
    const zstd = codecNumber('json', 'zstd')
    const cut = new Uint8Array([0, 0, 0, 0, zstd, 1, 2])
    expect(expandedBytes(cut)).toBe(7)
    expect(() => valueOfData(cut)).toThrow(RangeError)
    expect(() => textOfData(new Uint8Array(3))).toThrow(/cut off/)
  })
})

describe('a schema', () => {
  it('is one by its standard part, functions included', () => {
    const standard = { validate: () => ({ value: 1 }) }
    expect(isStandardSchema({ '~standard': standard })).toBe(true)
    expect(isStandardSchema(Object.assign(() => {}, { '~standard': standard }))).toBe(true)
    for (const value of [null, 1, {}, { '~standard': null }, { '~standard': {} }]) {
      expect(isStandardSchema(value)).toBe(false)
    }
    expect([isTypeOnly(type()), isTypeOnly(null), isTypeOnly({ kind: 'x' })]).toEqual([
      ...[true, false, false],
    ])
  })

  it('names the place of an issue, whatever its path is made of', () => {
    const issues = [
      { message: 'a', path: ['items', 2, { key: 'at' }, Symbol.for('x')] },
      { message: 'b' },
      { message: 'c', path: [] },
    ]
    const schema = { '~standard': { version: 1, vendor: 'test', validate: () => ({ issues }) } }
    const definition = eventRegistry(defineEvents({ Odd: schema as never })).get('Odd')
    const found = (() => {
      try {
        return validateData(definition as never, {})
      } catch (error) {
        return error
      }
    })() as ValidationError
    expect(found).toBeInstanceOf(ValidationError)
    expect(found.issues).toEqual([
      { path: 'data.items[2].at.Symbol(x)', message: 'a' },
      { path: '', message: 'b' },
      { path: '', message: 'c' },
    ])
  })
})

describe('messages', () => {
  it('name three ids and say when there are more', () => {
    expect(new IdempotencyConflictError('s', ['a', 'b', 'c']).message).toMatch(/holds a, b, c with/)
    const four = new IdempotencyConflictError('s', ['a', 'b', 'c', 'd'])
    expect(four.message).toMatch(/holds a, b, c, … with/)
    expect(four.ids).toHaveLength(4)
  })

  it('show five problems of schemas and count the rest', () => {
    const problems = Array.from({ length: 7 }, (_, n) => ({ reason: `p${n}` })) as never[]
    expect(new SchemaIncompatibleError('full', problems).message).toMatch(/p4; and 2 more$/)
    expect(new SchemaIncompatibleError('full', problems.slice(0, 5)).message).toMatch(/p4$/)
  })

  it('carry what was thrown, error or not', () => {
    const why = new RangeError('planted')
    expect(new InlineProjectionError('p', why).message).toMatch(/stored: planted; mend/)
    expect(new InlineProjectionError('p', 'text').message).toMatch(/stored: text; mend/)
    expect(new ProjectionBuildError('p', 3, why).message).toMatch(/position 3: planted;/)
    expect(new ProjectionBuildError('p', 3, undefined)).toMatchObject({ position: 3 })
    expect(new ProjectionBuildError('p', 3, 7).message).toMatch(/position 3: 7;/)
    expect(new StorageError('a read', { cause: why }).message).toMatch(/at a read: planted$/)
    expect(new StorageError('a read').message).toMatch(/no reason given$/)
    expect(new ConnectionError('gone', { cause: why }).cause).toBe(why)
  })

  it('say what to do without an SQLite, with an unsafe one, and without a codec', () => {
    expect(new SqliteUnsafeError(undefined).message).toMatch(/brings no SQLite/)
    expect(new SqliteUnsafeError('3.40.1').message).toMatch(/SQLite 3\.40\.1 can lose commits/)
    expect(new CodecMissingError('lz4', 'run "npm install x"').message).toMatch(/npm install x/)
  })
})
