import assert from 'node:assert/strict'
import type { Json, RecordedEvent } from '../../model/index.ts'
import { type EventStoreContext, law } from './context.ts'
import type { ContractCase } from './contract.ts'
import { counting, fresh, freshStream, makeEvent, makeEvents, rejectsWith } from './steps.ts'

/** Stores each value as an event's data and expects it back, exactly. */
async function roundTrip(ctx: EventStoreContext, values: readonly Json[]): Promise<void> {
  const stream = freshStream()
  await ctx.append(
    stream,
    values.map((data) => makeEvent({ data })),
  )
  const events = await ctx.read(stream)
  for (const [i, value] of values.entries()) assert.deepEqual(events[i]?.data, value)
  const log = await ctx.log()
  assert.deepEqual(log, events)
}

/** Expects one and the same typed error for data that JSON cannot carry, and nothing stored. */
async function notJson(ctx: EventStoreContext, value: unknown): Promise<void> {
  const stream = freshStream()
  const good = makeEvent()
  const bad = makeEvent({ data: { deep: [value as Json] } })
  await rejectsWith('DATA_NOT_JSON', () => ctx.try(stream, [good, bad]))
  const other = { stream: freshStream(), expectedVersion: 'any' as const, events: [good] }
  const entry = { stream, expectedVersion: 'any' as const, events: [bad] }
  await rejectsWith('DATA_NOT_JSON', () => ctx.tryAll([other, entry]))
  assert.deepEqual(await ctx.log(), [])
  assert.equal(await ctx.info(stream), undefined)
}

function textOf(event: RecordedEvent | undefined): string | undefined {
  return (event?.data as { text?: string } | undefined)?.text
}

function nested(depth: number): Json {
  let value: Json = 'core'
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { in: value }
  return value
}

/** What goes in comes out, or is refused with the same error everywhere. */
export const dataCases: readonly ContractCase<EventStoreContext>[] = [
  law('data: plain values of every kind', (ctx) =>
    roundTrip(ctx, [null, true, false, 0, '', 'text', [], {}, [null], { a: null }, [[], [{}]]]),
  ),

  law('data: texts of any script, quotes, escapes and line breaks', (ctx) =>
    roundTrip(ctx, [
      'äöü ß ñ',
      '漢字 かな 한글',
      'مرحبا שלום',
      '😀👩‍👩‍👧‍👦🇺🇳',
      'é and e\u0301',
      '"\'`\\/ %s $1 ? :x {}',
      'a\nb\r\nc\td\u2028e\u2029f\u0085g',
      '\ufeffbom \ufffe \uffff \u200b',
      "'; DROP TABLE events; --",
    ]),
  ),

  law('data: U+0000 and control characters', (ctx) =>
    roundTrip(ctx, ['\u0000', 'a\u0000b', { 'k\u0000': 1 }, '\u0001\u001f\u007f']),
  ),

  law('data: lone surrogates', (ctx) =>
    roundTrip(ctx, ['\ud800', 'a\udfffb', { '\udc00': '\ud83d' }, '\ude00\ud83d']),
  ),

  law('data: numbers at the limits of a double', (ctx) =>
    roundTrip(ctx, [
      Number.MAX_SAFE_INTEGER,
      Number.MIN_SAFE_INTEGER,
      2 ** 53,
      2 ** 64,
      1e21,
      1.7976931348623157e308,
      5e-324,
      0.1 + 0.2,
      -1.5,
      1e-7,
      123456789012345680000,
    ]),
  ),

  law('data: texts that look like something else stay texts', (ctx) =>
    roundTrip(ctx, [
      '1',
      'null',
      'true',
      '2020-01-01T00:00:00Z',
      '1e999',
      '[]',
      '12345678901234567890',
    ]),
  ),

  law('data: minus zero is stored as zero', async (ctx) => {
    const stream = freshStream()
    await ctx.append(stream, [makeEvent({ data: -0 })])
    const [event] = await ctx.read(stream)
    assert.ok(Object.is(event?.data, 0))
  }),

  law('data: keys keep their text and their order', async (ctx) => {
    const stream = freshStream()
    const data = { z: 1, '': 2, 'a b': 3, 漢: 4, constructor: 5, toString: 6, a: 7, 'x.y': 8 }
    await ctx.append(stream, [makeEvent({ data })])
    const [event] = await ctx.read(stream)
    assert.equal(JSON.stringify(event?.data), JSON.stringify(data))
  }),

  law('data: a property that is undefined is left out', async (ctx) => {
    const stream = freshStream()
    const data = { a: 1, b: undefined } as unknown as Json
    await ctx.append(stream, [makeEvent({ data })])
    assert.deepEqual((await ctx.read(stream))[0]?.data, { a: 1 })
  }),

  law('data: 190 levels of nesting', (ctx) => roundTrip(ctx, [nested(190)])),

  law('data: nesting without bound is refused', (ctx) => notJson(ctx, nested(100_000))),
  law('data: NaN and Infinity are refused', async (ctx) => {
    await notJson(ctx, Number.NaN)
    await notJson(ctx, Number.POSITIVE_INFINITY)
  }),
  law('data: bigint is refused', (ctx) => notJson(ctx, 10n)),
  law('data: Date is refused', (ctx) => notJson(ctx, new Date(0))),
  law('data: Map, Set and class instances are refused', async (ctx) => {
    await notJson(ctx, new Map())
    await notJson(ctx, new Set([1]))
    await notJson(ctx, new Uint8Array(2))
    await notJson(ctx, new (class Money {})())
  }),
  law('data: functions and symbols are refused', async (ctx) => {
    await notJson(ctx, () => 1)
    await notJson(ctx, Symbol('x'))
    await notJson(ctx, { toJSON: () => 1 })
  }),
  law('data: undefined is refused in an array and as the whole', async (ctx) => {
    await notJson(ctx, undefined)
    const event = makeEvent({ data: undefined as unknown as Json })
    await rejectsWith('DATA_NOT_JSON', () => ctx.try(freshStream(), [event]))
  }),
  law('data: a cycle is refused', (ctx) => {
    const circle: { self?: unknown } = {}
    circle.self = circle
    return notJson(ctx, circle)
  }),

  law('data: keys that pollute prototypes are refused', async (ctx) => {
    await notJson(ctx, JSON.parse('{"__proto__":{"polluted":1}}'))
    await notJson(ctx, { constructor: { prototype: { polluted: 1 } } })
    assert.equal(({} as { polluted?: unknown }).polluted, undefined)
  }),

  law('metadata: the same rules as for data', async (ctx) => {
    const stream = freshStream()
    const metadata = { 'k\u0000': '\ud800', actor: '漢😀', n: 5e-324, deep: { list: [null] } }
    await ctx.append(stream, [makeEvent({ metadata })])
    assert.deepEqual((await ctx.read(stream))[0]?.metadata, metadata)
    const bad = makeEvent({ metadata: { at: new Date(0) as unknown as Json } })
    await rejectsWith('DATA_NOT_JSON', () => ctx.try(stream, [bad]))
  }),

  law('data: 16 MiB come back whole', async (ctx) => {
    const stream = freshStream()
    const text = 'é'.repeat(8 * 1024 * 1024 - 64)
    await ctx.append(stream, [makeEvent({ data: { text } })])
    const [event] = await ctx.read(stream)
    assert.ok(textOf(event) === text, 'the text differs')
    const all = await ctx.log()
    assert.ok(textOf(all[0]) === text, 'the text differs in the log')
  }),

  law('data: over the limit is one typed error, and nothing is stored', async (ctx) => {
    const stream = freshStream()
    const big = makeEvent({ data: 'x'.repeat(17 * 1024 * 1024) })
    await rejectsWith('EVENT_TOO_LARGE', () => ctx.try(stream, [makeEvent(), big]))
    assert.equal(await ctx.info(stream), undefined)
    assert.equal((await ctx.append(stream, 1)).version, 1)
  }),

  law('data: a large batch of large events', async (ctx) => {
    const stream = freshStream()
    const text = 'x'.repeat(256 * 1024)
    await ctx.append(stream, makeEvents(40, { data: text }))
    const events = await ctx.read(stream)
    assert.equal(events.length, 40)
    assert.ok(events.every((event) => event.data === text))
  }),

  law('names: streams, types and tags of any script keep their text', async (ctx) => {
    const base = fresh('n')
    const names = [
      `${base}-é`,
      `${base}-e\u0301`,
      `${base}-É`,
      `${base}-漢😀`,
      `${base}-"'\`\\;%_?`,
      `${base}-with space `,
      `${base}-with space`,
      `${base}-${'x'.repeat(255 - base.length - 1)}`,
    ]
    for (const [n, name] of names.entries()) {
      await ctx.append(name, [makeEvent({ type: name, tags: [name], data: { n } })])
    }
    for (const [n, name] of names.entries()) {
      const events = await ctx.read(name)
      assert.equal(events.length, 1, `${name} has ${events.length} events`)
      assert.deepEqual(events[0]?.data, { n })
      assert.equal(events[0].type, name)
      assert.deepEqual(events[0].tags, [name])
      assert.equal((await ctx.log({ types: [name] })).length, 1)
      assert.equal((await ctx.log({ tags: [name] })).length, 1)
    }
  }),

  law('times: from long ago to far ahead, to the millisecond', async (ctx) => {
    const stream = freshStream()
    const times = [0, -1, -62_135_596_800_000, 253_402_300_799_999, 1_700_000_000_001]
    await ctx.append(
      stream,
      times.map((time) => makeEvent({ time })),
    )
    const events = await ctx.read(stream)
    assert.deepEqual(
      events.map((event) => event.time.getTime()),
      times,
    )
  }),

  law('tags: 60 on one event, in their order', async (ctx) => {
    const stream = freshStream()
    const tags = counting(60).map((n) => `${fresh('k')}:${n}`)
    await ctx.append(stream, [makeEvent({ tags })])
    assert.deepEqual((await ctx.read(stream))[0]?.tags, tags)
    assert.equal((await ctx.log({ tags: tags.slice(10, 40) })).length, 1)
  }),
]
