import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { describeStores } from '../../test/harness/adapter-stores.ts'
import { defineAggregate, defineEvents, event, replacedBy, type } from '../model/index.ts'
import { openStore } from '../store/index.ts'
import { checkSchemas, type SchemaSource, schemaChanges } from './index.ts'

const first = defineEvents({
  OrderPlaced: z.object({ customer: z.string(), total: z.number() }),
  OrderShipped: type<{ carrier: string }>(),
})
const placed = (version: number, schema: z.ZodType, details: object = {}) =>
  defineEvents({ OrderPlaced: event(schema, { version, ...details }) } as never) as SchemaSource
const priced = z.object({ customer: z.string(), amount: z.number(), currency: z.string() })
const toPriced = {
  1: ({ customer, total }: { customer: string; total: number }) => ({
    ...{ customer, amount: total, currency: 'EUR' },
  }),
}
const order = (total: number) => first.OrderPlaced({ customer: 'ada', total })

describeStores('schemas', ({ open }) => {
  test('every type and version that was registered or stored is listed and counted', async () => {
    const port = await open()
    const store = await openStore(port, { events: [first], unknown: 'allow' })
    await store.append('order-1', [order(1), { type: 'Unnamed', data: {} }, order(2)])
    const [placedInfo, shipped, unnamed, ...others] = await store.schemas.list()
    expect(others).toEqual([])
    expect(placedInfo).toMatchObject({
      type: 'OrderPlaced',
      version: 1,
      count: 2,
      first: 1,
      last: 3,
    })
    expect(placedInfo?.registered).toMatchObject([{ schema: { type: 'object' }, position: 0 }])
    expect(shipped).toMatchObject({ type: 'OrderShipped', count: 0, first: undefined })
    expect(shipped?.registered).toMatchObject([{ hash: '-' }])
    expect(unnamed).toMatchObject({ type: 'Unnamed', version: 1, count: 1, registered: [] })

    await store.append('order-2', order(3))
    await store.archive('order-2')
    const steps: number[] = []
    const onProgress = (position: number) => steps.push(position)
    const again = await store.schemas.list({ onProgress })
    expect(again[0]).toMatchObject({ count: 3, first: 1, last: 4 })
    // Only what is new was read: the first three were counted before.
    expect(steps.every((position) => position > 3)).toBe(true)
    // What was removed was seen all the same.
    await store.deleteStream('order-2')
    expect((await store.schemas.list())[0]).toMatchObject({ count: 3, last: 4 })
  })

  test('what is registered stays, once for each schema, and in order', async () => {
    const port = await open()
    await openStore(port, { events: [first] })
    const store = await openStore(port, { events: [first] })
    expect(await store.schemas.register([first])).toBe(0)
    const second = placed(2, priced, { upcast: toPriced })
    expect(await store.schemas.register([second])).toBe(1)
    const at = async () =>
      (await store.schemas.registered({ type: 'OrderPlaced' })).map(({ version }) => version)
    expect(await at()).toEqual([1, 2])
    // A change without a new version is seen too.
    await store.schemas.register([placed(2, priced.extend({ note: z.string().optional() }))])
    expect(await at()).toEqual([1, 2, 2])
    const all = await store.schemas.registered()
    expect(all.map((one) => one.type)).toEqual([...Array(3).fill('OrderPlaced'), 'OrderShipped'])
  })

  test('programs that register at once all succeed', async () => {
    const port = await open()
    const sources = Array.from({ length: 8 }, (_, at) =>
      placed(1, z.object({ [`field${at % 4}`]: z.string() })),
    )
    const store = await openStore(port)
    const added = await Promise.all(sources.map((source) => store.schemas.register([source])))
    expect(added.reduce((sum, count) => sum + count, 0)).toBe(4)
    expect(await store.schemas.registered()).toHaveLength(4)
    await store.append('order-1', [order(1), order(2)])
    const lists = await Promise.all(Array.from({ length: 4 }, () => store.schemas.list()))
    for (const [info] of lists) expect(info).toMatchObject({ count: 2 })
    expect((await store.schemas.list())[0]).toMatchObject({ count: 2 })
  })

  test('a store refuses definitions that do not keep what was asked for', async () => {
    const port = await open()
    const enter = (source: SchemaSource, compatibility: 'backward' | 'forward' | 'full') =>
      openStore(port, { events: [source as typeof first], schemas: { compatibility } })
    await enter(first, 'full')
    const gap = placed(2, priced)
    await expect(enter(gap, 'backward')).rejects.toMatchObject({
      code: 'SCHEMA_INCOMPATIBLE',
      problems: [{ kind: 'upcaster-missing', type: 'OrderPlaced', version: 1 }],
    })
    const good = placed(2, priced, { upcast: toPriced })
    // Older programs would not find the total.
    await expect(enter(good, 'forward')).rejects.toMatchObject({
      problems: [{ kind: 'older-readers', details: [{ path: 'data.total' }] }],
    })
    // What was refused is not registered.
    const store = await enter(first, 'full')
    expect(await store.schemas.registered({ type: 'OrderPlaced' })).toHaveLength(1)
    await enter(good, 'backward')
    expect(await store.schemas.registered({ type: 'OrderPlaced' })).toHaveLength(2)
    // A program of the version before may be started once more while the new ones come.
    await enter(first, 'full')
    const wider = z.object({ customer: z.string(), total: z.number(), note: z.string().optional() })
    await expect(enter(placed(1, wider.required()), 'backward')).rejects.toMatchObject({
      problems: [{ kind: 'changed', details: [{ path: 'data.note' }] }],
    })
    await enter(placed(1, wider), 'backward')
    await expect(openStore(port, { schemas: { compatibility: 'some' as never } })).rejects.toThrow(
      /one of backward, forward, full, none/,
    )
  })

  test('check names the stored events that a branch would fail to read', async () => {
    const port = await open()
    const store = await openStore(port, { events: [first] })
    await store.append('order-1', [order(1), order(2), first.OrderShipped({ carrier: 'dhl' })])
    const before = await port.positions()

    const missing = await store.schemas.check([placed(2, priced)])
    expect(missing).toMatchObject({ ok: false, events: 3 })
    const [gap, unknown] = missing.problems
    expect(gap).toMatchObject({
      ...{ kind: 'upcaster-missing', severity: 'error', type: 'OrderPlaced', version: 1 },
      events: { count: 2, first: { stream: 'order-1', version: 1, position: 1 } },
    })
    expect(gap?.stub).toContain('1: (data: { customer: string; total: number }) => {')
    expect(unknown).toMatchObject({
      kind: 'unknown-type',
      severity: 'warning',
      events: { count: 1 },
    })

    const throwing = placed(2, priced, {
      upcast: {
        1: (data: { total: number }) => {
          if (data.total > 1) throw new Error('too much')
          return { customer: 'ada', amount: 1, currency: 'EUR' }
        },
      },
    })
    const thrown = await store.schemas.check([throwing, { registry: aggregate.registry }])
    expect(thrown.problems).toMatchObject([
      { kind: 'upcast-failed', events: { count: 1, first: { version: 2 } } },
    ])
    const wrong = placed(2, priced, { upcast: { 1: () => ({ customer: 'ada', amount: '1' }) } })
    expect((await store.schemas.check([wrong, shippedOnly])).problems).toMatchObject([
      { kind: 'refused', events: { count: 2 }, reason: expect.stringContaining('data.amount') },
    ])
    const right = placed(2, priced, { upcast: toPriced })
    const report = await store.schemas.check([right, shippedOnly])
    expect(report).toMatchObject({ ok: true, problems: [], unchecked: 1 })
    // Nothing was written by any of it.
    expect(await port.positions()).toEqual(before)
    expect(await store.schemas.registered({ type: 'OrderPlaced' })).toHaveLength(1)
  })

  test('events tell what schemas cannot, and validators do not fill in when reading', async () => {
    const port = await open()
    const store = await openStore(port, { events: [first] })
    await store.append('order-1', [order(1), order(2)])
    // Narrower than what was declared, and yet every stored total is whole.
    const whole = placed(1, z.object({ customer: z.string(), total: z.int() }))
    expect(await store.schemas.check([whole], { events: 'none' })).toMatchObject({ ok: false })
    const report = await store.schemas.check([whole, shippedOnly])
    expect(report).toMatchObject({ ok: true, problems: [{ kind: 'changed', severity: 'warning' }] })
    await store.append('order-1', order(2.5))
    const now = await store.schemas.check([whole, shippedOnly])
    expect(now.ok).toBe(false)
    expect(now.problems.map(({ kind }) => kind)).toEqual(['changed', 'refused'])
    const filled = placed(
      1,
      z.object({ customer: z.string(), total: z.number(), currency: z.string().default('EUR') }),
    )
    const lacking = await store.schemas.check([filled, shippedOnly])
    expect(lacking.problems.map(({ kind }) => kind)).toEqual(['changed', 'lacks'])
    // A sample reads the newest ones.
    const sampled = await store.schemas.check([whole, shippedOnly], { events: 1 })
    expect(sampled).toMatchObject({ events: 1, ok: false })
  })
})

const aggregate = defineAggregate('shipment', {
  events: defineEvents({ OrderShipped: type<{ carrier: string }>() }),
  initial: () => 0,
  evolve: { OrderShipped: (count: number) => count + 1 },
  commands: {},
})
const shippedOnly: SchemaSource = { registry: aggregate.registry }

describe('schemas', () => {
  test('a store that is open for reading only is checked, counted and left as it is', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'eventuali-schemas-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const url = `sqlite:${join(folder, 'log.db')}`
    await using writer = await openStore(url)
    await writer.append('order-1', order(1))
    await using store = await openStore(url, { readOnly: true, events: [first] })
    expect(await store.schemas.list()).toMatchObject([{ count: 1, registered: [] }])
    await writer.append('order-1', order(2))
    expect(await store.schemas.list()).toMatchObject([{ count: 2, registered: [] }])
    expect(await writer.schemas.registered()).toEqual([])
    await expect(store.schemas.register([first])).rejects.toMatchObject({ code: 'STORE_READ_ONLY' })
  })

  test('nothing is read or written for a store that is opened without events', async () => {
    await using memory = await openStore('memory:')
    const asked: string[] = []
    const records = new Proxy(memory.port.records, {
      get(target, name) {
        asked.push(`records.${String(name)}`)
        return Reflect.get(target, name).bind(target)
      },
    })
    const port = new Proxy(memory.port, {
      get(target, name) {
        if (name === 'records') return records
        if (name === 'transaction') asked.push(name)
        return Reflect.get(target, name, target)
      },
    })
    await openStore(port)
    await openStore(port, { events: [first], schemas: false })
    expect(asked).toEqual([])
    await openStore(port, { events: [first] })
    expect(asked).toEqual(['records.get', 'transaction'])
  })

  test('renames, splits and newer versions', () => {
    const moved = defineEvents({
      Placed: event(type<{ n: number }>(), { formerly: ['OrderPlaced'] }),
      Split: event(type<{ n: number }>(), {
        version: 2,
        into: ['Placed'],
        upcast: { 1: ({ n }: { n: number }) => replacedBy([{ type: 'Placed', data: { n } }]) },
      }),
    })
    const stored = [
      { type: 'OrderPlaced', version: 1 },
      { type: 'Split', version: 1 },
    ]
    expect(checkSchemas([moved], stored, 'backward')).toEqual([])
    expect(checkSchemas([moved], stored, 'forward')).toMatchObject([
      { kind: 'older-readers', type: 'OrderPlaced' },
    ])
    const schema = { type: 'object', properties: { n: { type: 'string' } } }
    const newer = [{ type: 'Number', version: 3, schema }]
    const number = defineEvents({ Number: z.object({ n: z.number() }) })
    expect(checkSchemas([number], newer)).toMatchObject([
      { kind: 'newer-version', severity: 'error' },
    ])
    const filling = defineEvents({
      Number: event(z.object({ n: z.number(), unit: z.string() }), {
        version: 2,
        defaults: { unit: 'm' },
      }),
    })
    const old = { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] }
    expect(checkSchemas([filling], [{ type: 'Number', version: 1, schema: old }])).toEqual([])
    const renamed = { ...old, properties: { m: { type: 'number' } }, required: ['m'] }
    expect(
      checkSchemas([filling], [{ type: 'Number', version: 1, schema: renamed }]),
    ).toMatchObject([{ kind: 'changed', details: [{ path: 'data.n' }] }])
  })

  test('a stub names each field that only its author can know', () => {
    const [problem] = checkSchemas(
      [placed(2, priced)],
      [
        {
          ...{ type: 'OrderPlaced', version: 1 },
          schema: {
            type: 'object',
            properties: { customer: { type: 'string' }, total: { type: 'number' } },
            required: ['customer', 'total'],
          },
        },
      ],
    )
    expect(problem?.stub).toBe(
      [
        '// OrderPlaced: version 1 as it is stored, to version 2',
        '//   removed data.total: total: number',
        '//   added data.amount: amount: number',
        '//   added data.currency: currency: string',
        '//   changed data: other fields allowed → none',
        '1: (data: { customer: string; total: number }) => {',
        '  const { total, ...rest } = data',
        '  return {',
        '    ...rest,',
        '    amount: SAY_WHAT_OLD_EVENTS_HAVE, // amount: number, or total, if that is its old name',
        '    currency: SAY_WHAT_OLD_EVENTS_HAVE, // currency: string',
        '  }',
        '},',
      ].join('\n'),
    )
  })

  test('any JSON makes a change list and never a crash', () => {
    const schemas = fc.dictionary(
      fc.constantFrom('type', 'properties', 'required', 'anyOf', 'items', 'enum', '$ref', 'not'),
      fc.jsonValue(),
    )
    fc.assert(
      fc.property(schemas, schemas, (a, b) => {
        schemaChanges(a as never, b as never)
        checkSchemas(
          [defineEvents({ N: z.object({ n: z.number() }) })],
          [{ type: 'N', version: 1, schema: a as never }],
        )
      }),
      { numRuns: 500 },
    )
  })
})
