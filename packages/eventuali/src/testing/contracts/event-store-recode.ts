import assert from 'node:assert/strict'
import type { CodecOptions } from '../../model/index.ts'
import type { RecodeStep } from '../../ports/index.ts'
import { type EventStoreContext, law } from './context.ts'
import type { ContractCase } from './contract.ts'
import { fresh, freshStream, makeEvent, rolledBack } from './steps.ts'

const packed: CodecOptions = { encoding: 'msgpack', compress: { with: 'gzip', above: 0 } }
const json: CodecOptions = {}

/** Parts of the log from where the case began, each in a transaction, until the end is reached. */
async function recodeAll(
  ctx: EventStoreContext,
  codec: CodecOptions,
  countMax: number,
): Promise<RecodeStep[]> {
  const upTo = await ctx.settled()
  const steps: RecodeStep[] = []
  for (let after = ctx.start; after < upTo; ) {
    const request = { codec, after, upTo, countMax }
    const step = await ctx.store.transaction((tx) => tx.recode(request))
    assert.ok(step.position > after && step.position <= upTo, `a part ends at ${step.position}`)
    assert.ok(step.seen <= countMax, `a part of ${countMax} looked at ${step.seen}`)
    steps.push(step)
    after = step.position
  }
  return steps
}

const sum = (steps: readonly RecodeStep[], name: 'seen' | 'changed'): number =>
  steps.reduce((total, step) => total + step[name], 0)

async function filled(ctx: EventStoreContext, count: number): Promise<string> {
  const stream = freshStream()
  for (let n = 0; n < count; n++) {
    const data = { n, text: `Grüße 🚀 ${'la '.repeat(400)}`, list: [1.5, null, true] }
    await ctx.append(stream, [makeEvent({ data, tags: [fresh('k:')], metadata: { actor: 'ada' } })])
  }
  return stream
}

/** Data that is stored in another way. */
export const recodeCases: readonly ContractCase<EventStoreContext>[] = [
  law('recode: changes how data is stored, and nothing that a reader sees', async (ctx) => {
    const stream = await filled(ctx, 4)
    const before = await ctx.read(stream)
    await recodeAll(ctx, packed, 100)
    assert.deepEqual(await ctx.read(stream), before)
    assert.deepEqual(await ctx.log(), before)
    const back = await recodeAll(ctx, json, 100)
    assert.equal(sum(back, 'changed'), 4)
    assert.ok(back.every(({ bytesBefore, bytesAfter }) => bytesBefore < bytesAfter))
    assert.deepEqual(await ctx.read(stream), before)
    assert.equal(sum(await recodeAll(ctx, json, 100), 'changed'), 0)
    assert.equal((await ctx.append(stream, 1)).version, 5)
  }),

  law('recode: goes part by part, and misses none', async (ctx) => {
    await filled(ctx, 7)
    await recodeAll(ctx, packed, 100)
    const steps = await recodeAll(ctx, json, 2)
    assert.equal(sum(steps, 'seen'), 7)
    assert.equal(sum(steps, 'changed'), 7)
  }),

  law('recode: is undone with its transaction', async (ctx) => {
    const stream = await filled(ctx, 3)
    const before = await ctx.read(stream)
    await recodeAll(ctx, packed, 100)
    const upTo = await ctx.settled()
    const request = { codec: json, after: ctx.start, upTo, countMax: 100 }
    await rolledBack(ctx.store, async (tx) => {
      assert.equal((await tx.recode(request)).changed, 3)
    })
    assert.deepEqual(await ctx.read(stream), before)
    assert.equal(sum(await recodeAll(ctx, json, 100), 'changed'), 3)
  }),
]
