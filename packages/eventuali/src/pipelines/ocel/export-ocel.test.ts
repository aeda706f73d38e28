import { expect, it } from 'vitest'
import { openStore } from '../../store/index.ts'
import { exportOcel } from './export-ocel.ts'

interface Ocel {
  objectTypes: { name: string; attributes: unknown[] }[]
  eventTypes: { name: string; attributes: { name: string; type: string }[] }[]
  objects: { id: string; type: string }[]
  events: {
    id: string
    type: string
    time: string
    attributes: { name: string; value: unknown }[]
    relationships: { objectId: string; qualifier: string }[]
  }[]
}

async function ocelOf(parts: AsyncIterable<string>): Promise<Ocel> {
  return JSON.parse((await Array.fromAsync(parts)).join(''))
}

it('makes streams and tags objects, and relates events to them', async () => {
  await using store = await openStore('memory:')
  const time = new Date('2024-05-01T10:00:00Z')
  await store.append('order-1', [
    {
      ...{ type: 'Placed', data: { total: 30, due: '2024-06-01T00:00:00Z', gift: null }, time },
      ...{ tags: ['item:tea', 'urgent'], metadata: { actor: 'ada' } },
    },
  ])
  const log = await ocelOf(exportOcel(store))
  expect(log.objectTypes.map(({ name }) => name)).toEqual(['order', 'item'])
  expect(log.eventTypes).toEqual([
    {
      name: 'Placed',
      attributes: [
        { name: 'actor', type: 'string' },
        { name: 'total', type: 'integer' },
        { name: 'due', type: 'time' },
        { name: 'eventuali:data', type: 'string' },
        { name: 'eventuali:metadata', type: 'string' },
        { name: 'eventuali:tags', type: 'string' },
      ],
    },
  ])
  expect(log.objects.map(({ id, type }) => [id, type])).toEqual([
    ['order-1', 'order'],
    ['#item:tea', 'item'],
  ])
  expect(log.events).toEqual([
    {
      id: expect.stringMatching(/^order-1@1\//),
      type: 'Placed',
      time: '2024-05-01T10:00:00.000Z',
      attributes: [
        { name: 'actor', value: 'ada' },
        { name: 'total', value: 30 },
        { name: 'due', value: '2024-06-01T00:00:00Z' },
        {
          name: 'eventuali:data',
          value: '{"total":30,"due":"2024-06-01T00:00:00Z","gift":null}',
        },
        { name: 'eventuali:metadata', value: '{"actor":"ada"}' },
        { name: 'eventuali:tags', value: '["item:tea","urgent"]' },
      ],
      relationships: [
        { objectId: 'order-1', qualifier: 'order' },
        { objectId: '#item:tea', qualifier: 'item' },
      ],
    },
  ])
})

it('gives an attribute one type, whatever the events say', async () => {
  await using store = await openStore('memory:')
  const all = [{ n: 1, m: 1, x: true }, { n: 1.5, m: 'one', x: [1] }, null, 7]
  await store.append(
    'a-1',
    all.map((data) => ({ type: 'T', data })),
  )
  const log = await ocelOf(exportOcel(store))
  const types = new Map(log.eventTypes[0]?.attributes.map(({ name, type }) => [name, type]))
  expect(Object.fromEntries(types)).toEqual({
    ...{ n: 'float', m: 'string', x: 'string', data: 'integer', 'eventuali:data': 'string' },
  })
  const values = log.events.map(({ attributes }) =>
    Object.fromEntries(attributes.map(({ name, value }) => [name, value])),
  )
  expect(values).toEqual([
    { n: 1, m: '1', x: 'true', 'eventuali:data': '{"n":1,"m":1,"x":true}' },
    { n: 1.5, m: 'one', x: '[1]', 'eventuali:data': '{"n":1.5,"m":"one","x":[1]}' },
    { 'eventuali:data': 'null' },
    { data: 7, 'eventuali:data': '7' },
  ])
})

it('names every object, and leaves out what is not asked for or came later', async () => {
  await using store = await openStore('memory:')
  for (const stream of ['order-1', 'order-2', 'mail-1', 'order-3']) {
    await store.append(stream, { type: 'T', data: {}, tags: [`for:${stream}`] })
  }
  await store.deleteStream('order-3')
  const parts = exportOcel(store, { categories: ['order'] })
  const head = (await parts.next()).value ?? ''
  await store.append('order-9', { type: 'T', data: {} })
  const log: Ocel = JSON.parse(head + (await Array.fromAsync(parts)).join(''))
  const ids = log.objects.map(({ id }) => id)
  expect(ids).toEqual(['order-1', 'order-2', '#for:order-1', '#for:order-2'])
  const related = log.events.flatMap(({ relationships }) => relationships.map((r) => r.objectId))
  expect(new Set(related)).toEqual(new Set(ids))
  expect(await ocelOf(exportOcel(await openStore('memory:')))).toEqual({
    ...{ objectTypes: [], eventTypes: [], events: [], objects: [] },
  })
})
