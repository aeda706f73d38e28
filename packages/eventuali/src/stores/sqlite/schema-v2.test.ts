import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, onTestFinished, test } from 'vitest'
import { defineEvents, type } from '../../model/index.ts'
import { collection, defineProjection } from '../../projections/index.ts'
import { openStore } from '../../store/index.ts'

/** A file of the second schema as its own release wrote it: read side and an inline projection. */
const schemaV2 = readFileSync(new URL('schema-v2.sql', import.meta.url), 'utf8')

const events = defineEvents({
  ItemAdded: type<{ sku: string }>(),
  Paid: type<{ total: number }>(),
})
const carts = defineProjection({
  ...{ name: 'carts', version: 1, events: [events], mode: 'inline' },
  collections: { carts: collection<{ items: number }>() },
  handlers: {
    ItemAdded: ({ stream, version }, ctx) =>
      ctx.collection('carts').put(stream, { items: version }),
  },
})

test('a file of the second schema is taken on with its data and its read side', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-v2-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'log.db')
  const connection = new DatabaseSync(file)
  connection.exec(`PRAGMA journal_mode = WAL; ${schemaV2}`)
  connection.close()

  await using store = await openStore(`sqlite:${file}`, { projections: [carts] })
  expect((await store.verify()).problems).toEqual([])
  const log = await store.readAll({ includeArchived: true }).toArray()
  expect(log.map(({ position, stream, type: name }) => `${position} ${stream} ${name}`)).toEqual([
    '1 cart-1 ItemAdded',
    '2 cart-1 Paid',
    '3 cart-2 ItemAdded',
    '4 cart-2 $archived',
  ])
  // The subscription goes on behind what it has handled.
  const seen: number[] = []
  const subscription = store.subscribe({ name: 'mail' }, ({ position }) => {
    seen.push(position)
  })
  // The inline projection is still every writer's, and has its documents.
  await using foreign = await openStore(`sqlite:${file}`)
  await expect(foreign.append('cart-9', { type: 'ItemAdded', data: {} })).rejects.toMatchObject({
    code: 'PROJECTION_MISSING',
  })
  await store.projections.start()
  const { position } = await store.append('cart-1', events.ItemAdded({ sku: 'milk' }))
  const documents = store.collection(carts, 'carts')
  expect(await documents.get('cart-1')).toEqual({ items: 3 })
  expect(await documents.get('cart-2')).toEqual({ items: 1 })
  await expect.poll(() => seen).toEqual([position])
  await subscription.stop()
})
