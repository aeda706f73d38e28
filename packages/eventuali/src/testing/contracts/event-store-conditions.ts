import assert from 'node:assert/strict'
import type { AppendCondition } from '../../ports/index.ts'
import { type EventStoreContext, law } from './context.ts'
import type { ContractCase } from './contract.ts'
import {
  counting,
  fresh,
  freshStream,
  makeEvent,
  makeEvents,
  numbers,
  positionsOf,
  refused,
  succeeded,
} from './steps.ts'

function on(position: number, types: readonly string[], ...tags: string[]): AppendCondition {
  return { query: [{ types, tags }], position }
}

/** Appends that hold only while nothing that matches a query arrived. */
export const conditionCases: readonly ContractCase<EventStoreContext>[] = [
  law('condition: holds while nothing that matches arrived', async (ctx) => {
    const type = fresh('Seen')
    const stream = freshStream()
    await ctx.append(stream, [makeEvent({ type, tags: ['a:1'] })])
    const condition = on(await ctx.settled(), [type], 'a:1')
    assert.equal((await ctx.append(stream, 1, { condition })).version, 2)
  }),

  law('condition: fails when a match arrived, and tells it', async (ctx) => {
    const type = fresh('Seat')
    const position = await ctx.settled()
    const other = freshStream()
    await ctx.append(other, [makeEvent({ type, tags: ['c:1'], data: { n: 5 } })])
    const stream = freshStream()
    const outcome = await ctx.try(stream, 2, { condition: on(position, [type], 'c:1') })
    const refusal = refused(outcome, 'condition-failed')
    assert.equal(refusal.position, position)
    assert.deepEqual(refusal.events, await ctx.read(other))
    assert.equal(await ctx.info(stream), undefined)
    assert.equal((await ctx.log()).length, 1)
  }),

  law('condition: the event at the position itself was seen, one later was not', async (ctx) => {
    const type = fresh('Edge')
    const result = await ctx.append(freshStream(), makeEvents(2, { type, tags: ['e:1'] }))
    const [first, last] = result.positions as [number, number]
    const stream = freshStream()
    const refusal = refused(
      await ctx.try(stream, 1, { condition: on(first, [type], 'e:1') }),
      'condition-failed',
    )
    assert.deepEqual(positionsOf(refusal.events), [last])
    await ctx.append(stream, 1, { condition: on(last, [type], 'e:1') })
    const early = await ctx.try(stream, 1, { condition: on(last - 1, [type], 'e:1') })
    refused(early, 'condition-failed')
  }),

  law('condition: other types do not count', async (ctx) => {
    const type = fresh('Mine')
    await ctx.append(freshStream(), [makeEvent({ type: fresh('Other'), tags: ['x:1'] })])
    await ctx.append(freshStream(), 1, { condition: on(ctx.start, [type], 'x:1') })
  }),

  law('condition: other tags do not count', async (ctx) => {
    const type = fresh('Tagged')
    await ctx.append(freshStream(), [makeEvent({ type, tags: ['x:2'] }), makeEvent({ type })])
    await ctx.append(freshStream(), 1, { condition: on(ctx.start, [type], 'x:1') })
  }),

  law('condition: all tags of an item are needed', async (ctx) => {
    const type = fresh('Both')
    const stream = freshStream()
    await ctx.append(stream, [
      makeEvent({ type, tags: ['a:1'] }),
      makeEvent({ type, tags: ['b:1'] }),
    ])
    const condition = on(ctx.start, [type], 'a:1', 'b:1')
    await ctx.append(freshStream(), 1, { condition })
    await ctx.append(stream, [makeEvent({ type, tags: ['z:1', 'b:1', 'a:1'] })])
    refused(await ctx.try(freshStream(), 1, { condition }), 'condition-failed')
  }),

  law('condition: any of the types of an item is enough', async (ctx) => {
    const [one, two] = [fresh('One'), fresh('Two')]
    await ctx.append(freshStream(), [makeEvent({ type: two, tags: ['a:1'] })])
    const condition = on(ctx.start, [one, two], 'a:1')
    refused(await ctx.try(freshStream(), 1, { condition }), 'condition-failed')
  }),

  law('condition: any item of the query is enough', async (ctx) => {
    const [one, two] = [fresh('One'), fresh('Two')]
    await ctx.append(freshStream(), [makeEvent({ type: two, tags: ['b:1'] })])
    const query = [
      { types: [one], tags: ['a:1'] },
      { types: [two], tags: ['b:1'] },
    ]
    const condition = { query, position: ctx.start }
    refused(await ctx.try(freshStream(), 1, { condition }), 'condition-failed')
    const crossed = [
      { types: [one], tags: ['b:1'] },
      { types: [two], tags: ['a:1'] },
    ]
    await ctx.append(freshStream(), 1, { condition: { query: crossed, position: ctx.start } })
  }),

  law('condition: an item without tags matches any event of its types', async (ctx) => {
    const type = fresh('Plain')
    const condition = on(ctx.start, [type])
    await ctx.append(freshStream(), 1, { condition })
    await ctx.append(freshStream(), [makeEvent({ type })])
    refused(await ctx.try(freshStream(), 1, { condition }), 'condition-failed')
  }),

  law('condition: the first 100 matches are told, in log order', async (ctx) => {
    const type = fresh('Crowd')
    for (let i = 0; i < 3; i++) {
      await ctx.append(freshStream(), makeEvents(50, { type, tags: ['q:1'] }))
    }
    const outcome = await ctx.try(freshStream(), 1, { condition: on(ctx.start, [type], 'q:1') })
    const expected = (await ctx.log({ types: [type] })).slice(0, 100)
    assert.deepEqual(refused(outcome, 'condition-failed').events, expected)
  }),

  law('condition: the expected version is looked at first', async (ctx) => {
    const type = fresh('T')
    const stream = freshStream()
    await ctx.append(stream, [makeEvent({ type })])
    const condition = on(ctx.start, [type])
    const outcome = await ctx.try(stream, 1, { expectedVersion: 0, condition })
    refused(outcome, 'version-conflict')
  }),

  law("condition: the request's own events do not count", async (ctx) => {
    const type = fresh('Own')
    const events = makeEvents(3, { type, tags: ['a:1'] })
    await ctx.append(freshStream(), events, { condition: on(ctx.start, [type], 'a:1') })
  }),

  law('condition: holds for all entries of a request or for none', async (ctx) => {
    const type = fresh('T')
    const [a, b] = [freshStream(), freshStream()]
    const entries = [
      { stream: a, expectedVersion: 0, events: makeEvents(1, { type }) },
      { stream: b, expectedVersion: 0, events: makeEvents(1) },
    ]
    await ctx.append(freshStream(), [makeEvent({ type })])
    refused(await ctx.tryAll(entries, on(ctx.start, [type])), 'condition-failed')
    assert.equal(await ctx.info(a), undefined)
    assert.equal(await ctx.info(b), undefined)
    succeeded(await ctx.tryAll(entries, on(await ctx.settled(), [type])))
  }),

  law('condition: types that no event ever had hold', async (ctx) => {
    await ctx.append(freshStream(), 1, { condition: on(0, [fresh('Never')], 'a:1') })
    await ctx.append(freshStream(), 1, { condition: on(0, [fresh('Never')]) })
  }),

  law('condition: position 0 looks at the whole log', async (ctx) => {
    const type = fresh('First')
    await ctx.append(freshStream(), [makeEvent({ type })])
    refused(await ctx.try(freshStream(), 1, { condition: on(0, [type]) }), 'condition-failed')
  }),

  law('condition: tags are compared exactly', async (ctx) => {
    const type = fresh('Exact')
    const tags = ['course:A%', 'course:"q"', 'course:\\', 'course:漢😀', 'course:a_b']
    await ctx.append(freshStream(), [makeEvent({ type, tags })])
    const near = ['course:a%', 'course:AB', 'course:', 'course:"q', 'course:axb', 'ourse:A%', '漢']
    for (const tag of near) {
      await ctx.append(freshStream(), 1, { condition: on(ctx.start, [type], tag) })
    }
    for (const tag of tags) {
      const condition = on(ctx.start, [type], tag)
      refused(await ctx.try(freshStream(), 1, { condition }), 'condition-failed')
    }
  }),

  law('condition: events of an archived stream count as any others', async (ctx) => {
    const type = fresh('Kept')
    const stream = freshStream()
    await ctx.append(stream, [makeEvent({ type, tags: ['a:1'] })])
    await ctx.change(stream, { kind: 'archive' })
    const outcome = await ctx.try(freshStream(), 1, { condition: on(ctx.start, [type], 'a:1') })
    refused(outcome, 'condition-failed')
  }),

  law('condition: removed events do not count', async (ctx) => {
    const type = fresh('Gone')
    const stream = freshStream()
    await ctx.append(stream, [makeEvent({ type, tags: ['a:1'] })])
    await ctx.change(stream, { kind: 'delete' })
    await ctx.append(freshStream(), 1, { condition: on(ctx.start, [type], 'a:1') })
  }),

  law('condition: 16 racers have one winner, in each of 20 rounds', async (ctx) => {
    const type = fresh('Taken')
    for (let round = 0; round < 20; round++) {
      const condition = on(await ctx.settled(), [type], 'seat:1')
      const racers = counting(16).map((n) =>
        ctx.try(freshStream(), [makeEvent({ type, tags: ['seat:1', `by:${n}`] })], { condition }),
      )
      const outcomes = await Promise.all(racers)
      assert.equal(outcomes.filter((outcome) => outcome.ok).length, 1, `round ${round}`)
      for (const outcome of outcomes) if (!outcome.ok) refused(outcome, 'condition-failed')
    }
    assert.equal((await ctx.log({ types: [type] })).length, 20)
  }),

  law('condition: racers on disjoint tags all win', async (ctx) => {
    const type = fresh('Apart')
    const position = await ctx.settled()
    const outcomes = await Promise.all(
      counting(16).map((n) =>
        ctx.try(freshStream(), [makeEvent({ type, tags: [`seat:${n}`] })], {
          condition: on(position, [type], `seat:${n}`),
        }),
      ),
    )
    assert.equal(outcomes.filter((outcome) => outcome.ok).length, 16)
  }),

  law('condition: holds against plain appends that race with it', async (ctx) => {
    const type = fresh('Race')
    for (let round = 0; round < 20; round++) {
      const tags = [`seat:${round}`]
      const condition = on(await ctx.settled(), [type], ...tags)
      const plain = freshStream()
      const calls = counting(8).map((n) =>
        n === 4
          ? ctx.try(plain, [makeEvent({ type, tags, data: { n: 0 } })])
          : ctx.try(freshStream(), [makeEvent({ type, tags, data: { n } })], { condition }),
      )
      await Promise.all(calls)
      // Whoever wrote under the condition must be the first one after its position.
      const arrived = numbers(await ctx.log({ types: [type], tags }))
      assert.ok(arrived.includes(0), 'the plain append was lost')
      assert.ok(arrived.length <= 2, `round ${round}: ${arrived.join()} after one position`)
      if (arrived.length === 2) assert.notEqual(arrived[0], 0, 'a condition held over an event')
    }
  }),
]
