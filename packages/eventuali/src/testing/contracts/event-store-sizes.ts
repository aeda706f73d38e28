import assert from 'node:assert/strict'
import { eventBytesMax, type Json, nameLengthMax } from '../../model/index.ts'
import { type EventStoreContext, law } from './context.ts'
import type { ContractCase } from './contract.ts'
import { fresh, makeEvent, rejectsWith } from './steps.ts'

async function roundTrip(ctx: EventStoreContext, data: Json): Promise<void> {
  const stream = fresh('s')
  await ctx.append(stream, [makeEvent({ data }), makeEvent({ data: 'behind it' })])
  const [stored, behind] = await ctx.read(stream)
  const [given, back] = [JSON.stringify(data), JSON.stringify(stored?.data)]
  // Not by assert.equal, whose message would hold both.
  assert.ok(given === back, `${given.length} characters in, ${back?.length} out`)
  assert.equal(behind?.data, 'behind it')
}

const payloads: readonly (readonly [what: string, make: () => Json])[] = [
  ['an empty text', () => ''],
  ['an empty object', () => ({})],
  ['an empty list', () => []],
  ['one byte', () => 'x'],
  ['64 KiB', () => 'x'.repeat(64 * 1024)],
  ['one byte below 64 KiB', () => 'x'.repeat(64 * 1024 - 1)],
  ['one byte above 64 KiB', () => 'x'.repeat(64 * 1024 + 1)],
  ['1 MiB of three-byte characters', () => '€'.repeat((1024 * 1024) / 3)],
  ['ten thousand short texts', () => Array.from({ length: 10_000 }, (_, n) => `t${n}`)],
  [
    'a thousand properties',
    () => Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`p${n}`, n])),
  ],
]

/** From nothing to the limit: what is taken comes back whole. */
export const sizeCases: readonly ContractCase<EventStoreContext>[] = [
  ...payloads.map(([what, make]) => law(`sizes: ${what}`, (ctx) => roundTrip(ctx, make()))),

  law('sizes: an event of exactly the limit', (ctx) =>
    roundTrip(ctx, 'x'.repeat(eventBytesMax - 2)),
  ),

  law('sizes: one byte more is refused, with all that came along', async (ctx) => {
    const [stream, other] = [fresh('s'), fresh('s')]
    const over = makeEvent({ data: 'x'.repeat(eventBytesMax - 1) })
    const entries = [
      { stream: other, expectedVersion: 'any' as const, events: [makeEvent()] },
      { stream, expectedVersion: 'any' as const, events: [makeEvent(), over] },
    ]
    await rejectsWith('EVENT_TOO_LARGE', () => ctx.tryAll(entries))
    assert.deepEqual([await ctx.info(stream), await ctx.info(other)], [undefined, undefined])
  }),

  law('sizes: metadata of 64 KiB', async (ctx) => {
    const stream = fresh('s')
    const metadata = { note: 'm'.repeat(64 * 1024) }
    await ctx.append(stream, [makeEvent({ metadata })])
    assert.deepEqual((await ctx.read(stream))[0]?.metadata, metadata)
  }),

  law('sizes: names as long as they may be', async (ctx) => {
    const longest = (label: string) => fresh(label).padEnd(nameLengthMax, 'é')
    const [stream, type, tag, id] = [longest('s'), longest('t'), longest('g'), longest('i')]
    await ctx.append(stream, [makeEvent({ type, tags: [tag], id, idGiven: true })])
    const [stored] = await ctx.log({ types: [type], tags: [tag] })
    assert.deepEqual(
      [stored?.stream, stored?.type, stored?.tags, stored?.id],
      [stream, type, [tag], id],
    )
    assert.equal((await ctx.store.eventById(stream, id))?.id, id)
  }),
]
