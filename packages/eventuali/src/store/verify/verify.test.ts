import { expect, it } from 'vitest'
import { collection, defineEvents, defineProjection, openStore, type } from '../../index.ts'
import { StorageError } from '../../model/index.ts'
import type { EventStore } from '../../ports/index.ts'
import { openMemoryStore, wrapStore } from '../../testing/index.ts'

const events = defineEvents({ Shipped: type<{ carrier: string }>() })
const carriers = defineProjection({
  name: 'carriers',
  version: 1,
  events: [events],
  collections: { carriers: collection<{ last: number }>() },
  handlers: {
    Shipped: ({ data, position }, ctx) =>
      ctx.collection('carriers').put(data.carrier, { last: position }),
  },
})

async function filled(): Promise<EventStore> {
  const port = await openMemoryStore()
  const store = await openStore(port, { projections: [carriers] })
  await store.projections.start()
  const { position } = await store.append('order-1', events.Shipped({ carrier: 'dhl' }))
  await store.projected('carriers', position)
  const subscription = store.subscribe({ name: 'mails' }, () => {})
  await subscription.reached(position)
  await subscription.stop()
  await store.projections.stop()
  return port
}

it('records whose parts are of no use are problems, and not the end of it', async () => {
  const port = await filled()
  const [projection] = await port.records.get('projection', ['carriers'])
  const [subscription] = await port.records.get('subscription', ['mails'])
  const damaged = { ...(projection?.value as object), generations: { 1: null } }
  const unlisted = { ...(subscription?.value as object), earlier: [null, { positions: 'all' }] }
  await port.transaction((tx) =>
    tx.records.write([
      { kind: 'projection', key: 'carriers', expected: 'any', value: damaged },
      { kind: 'subscription', key: 'mails', expected: 'any', value: unlisted },
    ]),
  )
  const { problems } = await (await openStore(port)).verify()
  expect(problems.map(({ kind, projection, subscription }) => [kind, projection ?? subscription]))
    // One generation, and two lists of earlier positions.
    .toEqual([
      ['checkpoint', 'carriers'],
      ['checkpoint', 'mails'],
      ['checkpoint', 'mails'],
    ])
})

it('a row of a read model that cannot be read leaves the rest of the report', async () => {
  const port = wrapStore(await filled(), {
    models: {
      rows: () => Promise.reject(new StorageError('read', { cause: new SyntaxError('no JSON') })),
    },
  })
  const report = await (await openStore(port)).verify({ projections: [carriers] })
  expect(report).toMatchObject({ ok: false, events: 1, streams: 1, projections: [] })
  expect(report.problems).toMatchObject([{ kind: 'read-model', projection: 'carriers' }])
})

it('a log that cannot be read to its end is not compared in number', async () => {
  const port = wrapStore(await filled(), {
    readLog: () => {
      throw new StorageError('read', { cause: new Error('planted') })
    },
  })
  const report = await (await openStore(port)).verify()
  expect(report.problems.map(({ kind }) => kind)).toEqual(['storage'])
})
