import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { defineEvents, event, replacedBy, type } from '../model/index.ts'
import { openMemoryStore } from '../stores/memory/index.ts'
import { DeadLetters } from '../subscriptions/index.ts'
import { collection } from './collection.ts'
import { defineProjection } from './define.ts'
import { CollectionReader } from './reader.ts'
import { append, newEvent, Program, shipped, shop } from './shop.test-support.ts'

// What the consumers of a projection do with keys, and with events that stand for others.
const within = { timeoutMs: 10_000 }

async function until(isDone: () => boolean): Promise<void> {
  for (let n = 0; n < 500 && !isDone(); n++) await wait(10)
  expect(isDone()).toBe(true)
}

describe('a projection with a key of its own', () => {
  it('puts what follows a bad event aside by that key, whatever its stream', async () => {
    const port = await openMemoryStore()
    const keyed = defineProjection({
      ...{ name: 'carriers', version: 1, events: [shop] },
      collections: { carriers: collection<{ weight: number }>() },
      key: (event) => (event.type === 'OrderShipped' ? event.data.carrier : 'none'),
      handlers: {
        OrderShipped: ({ data }, ctx) => {
          if (data.weight < 0) throw new Error('planted')
          return ctx.collection('carriers').put(data.carrier, { weight: data.weight })
        },
        $deleted: ({ stream }, ctx) => ctx.collection('carriers').delete(stream),
      },
    })
    await using program = new Program(port, [keyed])
    await program.projections.start()
    await program.projections.pause('carriers')
    await append(port, 'order-1', shipped('dhl', -1))
    // Another stream and the same carrier; and the other way round.
    await append(port, 'order-2', shipped('dhl', 2))
    await append(port, 'order-1', shipped('ups', 3))
    // The store's own events go by their stream: no data, no key.
    await append(port, 'order-9', shipped('dhl', 5))
    await port.append({
      entries: [
        {
          ...{ stream: 'order-9', expectedVersion: 'any', change: { kind: 'delete' } },
          events: [newEvent('$deleted', {})],
        },
      ],
    })
    const position = await append(port, 'order-3', shipped('dpd', 4))
    await program.projections.resume('carriers')
    await program.projections.projected('carriers', position, within)
    const carriers = new CollectionReader<{ weight: number }>(port, 'carriers', 'carriers')
    const found = await carriers.entries()
    expect(found.map(({ key }) => key).toSorted()).toEqual(['dpd', 'ups'])
    const runtime = { clock: { now: () => 0 }, ids: program.ids } as never
    const letters = await new DeadLetters(port, runtime, 10_000).list({ state: 'parked' })
    expect(letters.map(({ key, position: at, reason }) => [key, at, reason])).toEqual([
      ['dhl', 1, 'failed'],
      ['dhl', 2, 'follows'],
    ])
  })
})

describe('effects', () => {
  it('run for each event that stands in the place of one, where there is one for it', async () => {
    const port = await openMemoryStore()
    const today = defineEvents({
      Renamed: type<{ name: string }>(),
      Moved: event(type<{ street: string }>(), {
        version: 2,
        into: ['Renamed'],
        upcast: {
          1: ({ name, street }: { name: string; street: string }) =>
            replacedBy([
              { type: 'Renamed', data: { name } },
              { type: 'Moved', data: { street } },
              { type: 'Renamed', data: { name: name.toUpperCase() } },
            ]),
        },
      }),
    })
    const seen: string[] = []
    const names = defineProjection({
      ...{ name: 'names', version: 1, events: [today] },
      collections: { names: collection<{ name: string }>() },
      handlers: {
        Renamed: ({ stream, data }, ctx) => ctx.collection('names').put(stream, data),
      },
      effects: {
        Renamed: ({ data, position }) => {
          seen.push(`${position} ${data.name}`)
        },
      },
    })
    await using program = new Program(port, [names])
    await program.projections.start()
    await append(port, 'c-1', newEvent('Moved', { name: 'ada', street: 'A 1' }))
    await append(port, 'c-1', newEvent('Moved', { name: 'eva', street: 'A 2' }))
    await until(() => seen.length >= 4)
    expect(seen).toEqual(['1 ada', '1 ADA', '2 eva', '2 EVA'])
    const reader = new CollectionReader<{ name: string }>(port, 'names', 'names')
    await program.projections.projected('names', 2, within)
    expect(await reader.get('c-1')).toEqual({ name: 'EVA' })
  })
})
