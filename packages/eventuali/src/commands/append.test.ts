import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { seededRandom, systemClock, uuidV7Source } from '../kernel/index.ts'
import { defineEvents, event, eventRegistry, type } from '../model/index.ts'
import { openMemoryStore } from '../stores/memory/index.ts'
import { append, appendAll } from './append.ts'
import { withContext } from './context.ts'
import { prepareEvents } from './prepare.ts'
import { type CommandRuntime, defaultRetryPolicy } from './runtime.ts'

const events = defineEvents({
  Placed: z.object({ total: z.coerce.number<string | number>() }),
  Slow: v.pipeAsync(
    v.object({ name: v.string() }),
    v.checkAsync(async ({ name }) => name !== 'bad', 'is bad'),
  ),
  Tagged: event(type<{ course: string }>(), { tags: (data) => [`course:${data.course}`] }),
  Due: event(type<{ at: Date }>(), {
    version: 3,
    codec: {
      encode: (data) => ({ at: data.at.getTime() }),
      decode: (stored) => ({ at: new Date(stored.at) }),
    },
  }),
})

const random = seededRandom(1)
const runtime: CommandRuntime = {
  clock: systemClock,
  random,
  ids: uuidV7Source(systemClock, random),
  registry: eventRegistry(events),
  unknown: 'refuse',
  retry: defaultRetryPolicy,
}
const open: CommandRuntime = { ...runtime, registry: eventRegistry(), unknown: 'allow' }

describe('append', () => {
  it('stores the output of the validator and gives the recorded events', async () => {
    const store = await openMemoryStore()
    const result = await append(store, runtime, 'order-1', [
      events.Placed({ total: '30' }),
      events.Tagged({ course: 'c' }, { tags: ['x:1', 'course:c'] }),
    ])
    expect(result).toMatchObject({ stream: 'order-1', version: 2 })
    expect(result.events[0]).toMatchObject({ version: 1, type: 'Placed', data: { total: 30 } })
    expect(result.events[1]?.tags).toEqual(['course:c', 'x:1'])
    expect(result.position).toBe(result.events[1]?.position)
    const [page] = await Array.fromAsync(
      store.readStream({ stream: 'order-1', direction: 'forward' }),
    )
    expect(page).toEqual(result.events)
  })

  it('validates what a creator made even without definitions', async () => {
    const store = await openMemoryStore()
    const bad = events.Placed({ total: 'x' })
    await expect(append(store, open, 's', bad)).rejects.toMatchObject({
      code: 'EVENT_INVALID',
      issues: [{ path: 'data.total' }],
    })
    await append(store, open, 's', { type: 'Anything', data: { free: true } })
  })

  it('takes no promise turn unless a validator does', async () => {
    expect(prepareEvents(runtime, 's', events.Placed({ total: 1 }))).not.toBeInstanceOf(Promise)
    const slow = prepareEvents(runtime, 's', [events.Slow({ name: 'a' })])
    expect(slow).toBeInstanceOf(Promise)
    expect((await slow).events[0]?.data).toEqual({ name: 'a' })
    await expect(prepareEvents(runtime, 's', events.Slow({ name: 'bad' }))).rejects.toMatchObject({
      code: 'EVENT_INVALID',
    })
  })

  it('encodes by the codec and shows the data as it was', async () => {
    const store = await openMemoryStore()
    const due = events.Due({ at: new Date(5) }, { id: 'due-1' })
    const first = await append(store, open, 's', due)
    expect(first.events[0]).toMatchObject({ data: { at: new Date(5) }, schemaVersion: 3 })
    const again = await append(store, open, 's', due)
    expect(again).toMatchObject({ duplicate: true, version: 1, position: first.position })
    expect(again.events).toEqual(first.events)
    expect((await store.eventById('s', 'due-1'))?.data).toEqual({ at: 5 })
  })

  it('turns refusals into errors', async () => {
    const store = await openMemoryStore()
    const placed = events.Placed({ total: 1 })
    await append(store, runtime, 's', placed, { expectedVersion: 0 })
    await expect(append(store, runtime, 's', placed, { expectedVersion: 0 })).rejects.toMatchObject(
      { code: 'VERSION_CONFLICT', actualVersion: 1, expectedVersion: 0 },
    )
    await append(store, runtime, 's', events.Placed({ total: 2 }, { id: 'a' }))
    await expect(
      append(store, runtime, 's', events.Placed({ total: 3 }, { id: 'a' })),
    ).rejects.toMatchObject({ code: 'IDEMPOTENCY_CONFLICT', ids: ['a'] })
  })

  it.each([
    ['no events', [], {}, 'APPEND_EMPTY'],
    ['a foreign type', { type: 'Foreign', data: 1 }, {}, 'EVENT_TYPE_UNKNOWN'],
    ['a system type', { type: '$deleted', data: 1 }, {}, 'NAME_INVALID'],
    ['no event at all', [null], {}, 'ARGUMENT_INVALID'],
    ['a bad id', events.Placed({ total: 1 }, { id: '' }), {}, 'NAME_INVALID'],
    ['a bad time', events.Placed({ total: 1 }, { time: new Date('x') }), {}, 'ARGUMENT_INVALID'],
    ['a bad tag', events.Placed({ total: 1 }, { tags: [''] }), {}, 'NAME_INVALID'],
    [
      'a negative version',
      events.Placed({ total: 1 }),
      { expectedVersion: -1 },
      'ARGUMENT_INVALID',
    ],
    ['half a version', events.Placed({ total: 1 }), { expectedVersion: 0.5 }, 'ARGUMENT_INVALID'],
    [
      'one id twice',
      [events.Placed({ total: 1 }, { id: 'a' }), events.Placed({ total: 1 }, { id: 'a' })],
      {},
      'ARGUMENT_INVALID',
    ],
  ])('refuses %s', async (_name, input, options, code) => {
    const store = await openMemoryStore()
    await expect(append(store, runtime, 's', input as never, options)).rejects.toMatchObject({
      code,
    })
    expect(await store.stream('s')).toBeUndefined()
  })

  it('puts the context under what an event says itself', async () => {
    const store = await openMemoryStore()
    const result = await withContext({ correlationId: 'c', actor: 'ada' }, () =>
      withContext({ actor: 'bob' }, () =>
        append(store, runtime, 's', [
          events.Placed({ total: 1 }),
          events.Placed({ total: 2 }, { metadata: { correlationId: 'own' } }),
        ]),
      ),
    )
    expect(result.events.map((e) => e.metadata)).toEqual([
      { correlationId: 'c', actor: 'bob' },
      { correlationId: 'own', actor: 'bob' },
    ])
  })
})

describe('appendAll', () => {
  it('gives one result for each stream, and all or nothing', async () => {
    const store = await openMemoryStore()
    const [a, b] = await appendAll(store, runtime, [
      { stream: 'a', events: events.Placed({ total: 1 }) },
      { stream: 'b', events: [events.Slow({ name: 'x' }), events.Placed({ total: 2 })] },
    ])
    expect(a?.version).toBe(1)
    expect(b?.version).toBe(2)
    await expect(
      appendAll(store, runtime, [
        { stream: 'a', events: events.Placed({ total: 1 }) },
        { stream: 'b', events: events.Placed({ total: 1 }), expectedVersion: 7 },
      ]),
    ).rejects.toMatchObject({ code: 'VERSION_CONFLICT', stream: 'b' })
    expect((await store.stream('a'))?.version).toBe(1)
  })

  it('checks its condition', async () => {
    const store = await openMemoryStore()
    const tagged = { stream: 'a', events: events.Tagged({ course: 'c' }) }
    const query = { types: ['Tagged'], tags: ['course:c'] }
    const [first] = await appendAll(store, runtime, [tagged], { condition: { query, position: 0 } })
    await expect(
      appendAll(store, runtime, [tagged], { condition: { query, position: 0 } }),
    ).rejects.toMatchObject({ code: 'CONDITION_FAILED', events: first?.events })
    for (const condition of [
      { query: [], position: 0 },
      { query: { types: [] }, position: 0 },
      { query, position: -1 },
    ]) {
      await expect(appendAll(store, runtime, [tagged], { condition })).rejects.toMatchObject({
        code: 'ARGUMENT_INVALID',
      })
    }
  })

  it('refuses no entry and a stream named twice', async () => {
    const store = await openMemoryStore()
    const entry = { stream: 'a', events: events.Placed({ total: 1 }) }
    for (const entries of [[], [entry, entry]]) {
      await expect(appendAll(store, runtime, entries)).rejects.toMatchObject({
        code: 'ARGUMENT_INVALID',
      })
    }
  })
})
