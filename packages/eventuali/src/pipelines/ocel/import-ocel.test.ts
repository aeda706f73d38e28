import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Json } from '../../model/index.ts'
import { openStore } from '../../store/index.ts'
import { exportEvents } from '../export-events.ts'
import { importEvents } from '../import-events.ts'
import { exportOcel } from './export-ocel.ts'
import { importOcel } from './import-ocel.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'eventuali-ocel-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** The purchase of the standard's own example, in short: times are of objects, values are texts. */
const purchase = {
  objectTypes: [
    { name: 'Purchase Order', attributes: [{ name: 'quantity', type: 'string' }] },
    { name: 'Invoice', attributes: [{ name: 'blocked', type: 'string' }] },
    { name: 'Payment', attributes: [] },
  ],
  eventTypes: [
    { name: 'Create Order', attributes: [{ name: 'amount', type: 'integer' }] },
    { name: 'Pay', attributes: [{ name: 'rate', type: 'float' }] },
    {
      name: 'Insert Invoice',
      attributes: [
        { name: 'checked', type: 'boolean' },
        { name: 'due', type: 'time' },
        { name: 'number', type: 'integer' },
      ],
    },
  ],
  objects: [
    {
      id: 'PO1',
      type: 'Purchase Order',
      attributes: [{ name: 'quantity', time: '1970-01-01T00:00:00Z', value: '500' }],
      relationships: [{ objectId: 'R1', qualifier: 'invoice of the order' }],
    },
    { id: 'R1', type: 'Invoice', attributes: [], relationships: [] },
    { id: 'P1', type: 'Payment', attributes: [], relationships: [] },
  ],
  events: [
    {
      id: 'e1',
      type: 'Create Order',
      time: '2022-01-10T09:15:00+01:00',
      attributes: [{ name: 'amount', value: '500' }],
      relationships: [{ objectId: 'PO1', qualifier: 'Created order' }],
    },
    {
      id: 'e2',
      type: 'Insert Invoice',
      time: '2022-01-14T11:00:00Z',
      attributes: [
        { name: 'checked', value: 'true' },
        { name: 'due', value: '2022-02-01T00:00:00Z' },
        { name: 'number', value: '90071992547409931' },
      ],
      relationships: [
        { objectId: 'R1', qualifier: 'Inserted invoice' },
        { objectId: 'PO1', qualifier: '' },
      ],
    },
    {
      id: 'e3',
      type: 'Pay',
      time: '2022-01-15T11:00:00Z',
      attributes: [{ name: 'rate', value: '1.5' }],
      relationships: [
        { objectId: 'R1', qualifier: '' },
        { objectId: 'P1', qualifier: 'Payment' },
      ],
    },
  ],
}

const categories = ['Purchase Order', 'Invoice']

function fileOf(log: object, name = 'log.json'): string {
  const file = join(folder, name)
  writeFileSync(file, JSON.stringify(log))
  return file
}

/** A source that gives so many bytes at a time. */
function* inPieces(text: string, size: number): Generator<Buffer> {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

describe('an import of OCEL 2.0', () => {
  it('stores each event in the stream of its object, with the others as tags', async () => {
    await using store = await openStore('memory:')
    const result = await importOcel(store, fileOf(purchase), { categories })
    expect(result).toMatchObject({ events: 3, duplicates: 0, streams: 2, skippedCount: 0 })
    const [created, inserted, paid] = await store.readAll().toArray()
    expect(created).toMatchObject({
      ...{ id: 'e1', stream: 'Purchase Order-PO1', type: 'Create Order', tags: [] },
      ...{ data: { amount: 500 }, time: new Date('2022-01-10T08:15:00Z') },
      metadata: {
        object: {
          attributes: [{ name: 'quantity', time: '1970-01-01T00:00:00Z', value: '500' }],
          relationships: [{ objectId: 'R1', qualifier: 'invoice of the order' }],
        },
      },
    })
    expect(inserted).toMatchObject({
      ...{ stream: 'Purchase Order-PO1', version: 2, tags: ['Invoice:R1'] },
      // A number that would be rounded stays the text that it is.
      data: { checked: true, due: '2022-02-01T00:00:00Z', number: '90071992547409931' },
      metadata: { qualifiers: { 'Invoice:R1': 'Inserted invoice' } },
    })
    expect(inserted?.metadata.object).toBeUndefined()
    expect(paid).toMatchObject({
      ...{ stream: 'Invoice-R1', tags: ['Payment:P1'], data: { rate: 1.5 } },
      metadata: { qualifiers: { 'Payment:P1': 'Payment' } },
    })
  })

  it('stores nothing twice, whatever the batches, packed or not', async () => {
    await using store = await openStore('sqlite::memory:')
    const file = fileOf(purchase)
    await importOcel(store, file, { categories, batchCountMax: 2 })
    expect(await importOcel(store, file, { categories })).toMatchObject({
      ...{ events: 0, duplicates: 3, streams: 2 },
    })
    const packed = join(folder, 'log.json.gz')
    writeFileSync(packed, gzipSync(JSON.stringify(purchase)))
    expect(await importOcel(store, packed, { categories })).toMatchObject({ duplicates: 3 })
  })

  it.each([1, 2, 7, 100_000])('reads bytes that come %i at a time', async (size) => {
    await using store = await openStore('memory:')
    const spaced = JSON.stringify({ ...purchase, note: { a: ['"x", ]'] }, n: -1.5 }, null, 2)
    const text = `\ufeff${spaced.replaceAll('"PO1"', '"P\\"O{[ä\\\\"')}`
    expect(await importOcel(store, inPieces(text, size), { categories })).toMatchObject({
      events: 3,
    })
    expect((await store.readAll().toArray())[0]?.stream).toBe('Purchase Order-P"O{[ä\\')
  })

  it('finds objects behind the events in a file, and says so of bytes that come once', async () => {
    const { objects, eventTypes, ...others } = purchase
    const late = { ...others, objects, eventTypes }
    await using store = await openStore('memory:')
    await expect(importOcel(store, [JSON.stringify(late)], { categories })).rejects.toMatchObject({
      ...{ code: 'IMPORT_LINE_INVALID', line: 1 },
      message: expect.stringContaining('give the file by its path'),
    })
    expect(await importOcel(store, fileOf(late), { categories })).toMatchObject({ events: 3 })
    expect((await store.readAll().toArray())[0]?.data).toEqual({ amount: 500 })
  })

  it('makes the category of a type with hyphens, and keeps ids that begin with it', async () => {
    await using store = await openStore('memory:')
    const log = {
      objects: [
        { id: 'order-7', type: 'order' },
        { id: '7', type: 'work-item' },
      ],
      events: ['order-7', '7'].map((objectId, n) => ({
        ...{ id: `e${n}`, type: 'T', time: '2024-05-01T10:00:00Z' },
        relationships: [{ objectId, qualifier: 'x' }],
      })),
    }
    await importOcel(store, [JSON.stringify(log)], { categories: ['order', 'work-item'] })
    const streams = (await store.readAll().toArray()).map(({ stream }) => stream)
    expect(streams).toEqual(['order-7', 'work_item-7'])
  })
})

describe('what cannot be stored', () => {
  const event = (more: object) => ({ ...purchase.events[0], ...more })
  it.each([
    [event({ type: undefined }), 'the event has no type'],
    [event({ id: 7 }), 'the event has no id'],
    [event({ time: 'today' }), 'time "today" is no time with a zone'],
    [event({ time: '2022-01-10T09:15:00' }), 'is no time with a zone'],
    [event({ relationships: [] }), 'it relates to nothing, and to no Purchase Order or Invoice'],
    [event({ relationships: [{ objectId: 'P1' }] }), 'it relates to Payment, and to no Purchase'],
    [
      event({ relationships: [{ objectId: 'P9' }] }),
      'the object "P9", which the log does not have',
    ],
    [event({ relationships: {} }), 'relationships is no list'],
    [event({ attributes: {} }), 'attributes is no list'],
    [event({ attributes: [{ value: 1 }] }), 'an attribute has no name'],
  ])('is named with its line: %#', async (bad, why) => {
    await using store = await openStore('memory:')
    const file = fileOf({ ...purchase, events: [bad, ...purchase.events.slice(1)] })
    await expect(importOcel(store, file, { categories })).rejects.toMatchObject({
      ...{ code: 'IMPORT_LINE_INVALID', message: expect.stringContaining(why) },
    })
    expect((await store.positions()).newest).toBe(0)
    const result = await importOcel(store, file, { categories, skipInvalid: true })
    expect(result).toMatchObject({ events: 2, skippedCount: 1 })
    expect(result.skipped[0]?.reason).toContain(why)
  })

  it('without categories is told which there are', async () => {
    await using store = await openStore('memory:')
    await expect(importOcel(store, fileOf(purchase))).rejects.toThrow(
      'an event relates to Purchase Order: say with categories which types of objects are streams',
    )
    const wrong = importOcel(store, fileOf(purchase), { categories: [''] })
    await expect(wrong).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
  })

  it.each([
    ['', 'it is empty'],
    ['[]', 'line 1: it is no JSON object'],
    ['{"events":[{"id":"e1"', 'it ends too early'],
    ['{\n"events":[{} {}]}', 'line 2: "events" is no list of objects'],
    ['{"events":[{},]}', '"events" is no list of objects'],
    ['{"events":[7]}', '"events" is no list of objects'],
    ['{"events":[]} x', 'something follows after the end of the log'],
    ['{]', 'a bracket is closed that was not opened'],
    ['{"ocel:events":{}}', 'it has no list of events; OCEL 2.0 in JSON is what is read'],
    ['{"events":[],"objects":[{"id":1}]}', 'line 1: an object must have an id and a type'],
    ['{"events":[],"objects":[{id}]}', 'line 1: is not JSON'],
    ['{"events":[],"eventTypes":[{"attributes":1}]}', 'attributes is no list'],
  ])('as no log at all is refused: %j', async (text, why) => {
    await using store = await openStore('memory:')
    const file = join(folder, 'bad.json')
    writeFileSync(file, text)
    for (const source of [file, [text]]) {
      await expect(importOcel(store, source, { categories })).rejects.toMatchObject({
        ...{ code: 'IMPORT_SOURCE_FAILED', message: expect.stringContaining(why) },
      })
    }
  })

  it('is not gone on with after the signal', async () => {
    await using store = await openStore('memory:')
    const signal = AbortSignal.abort(new Error('enough'))
    const options = { categories, signal }
    await expect(importOcel(store, fileOf(purchase), options)).rejects.toThrow('enough')
  })
})

describe('an export that is imported', () => {
  it('gives the same events in the same streams', async () => {
    await using from = await openStore('memory:')
    const time = (n: number) => new Date(Date.UTC(2024, 4, 1, 10, n))
    const all: readonly [string, Json, object][] = [
      ['order-1', { total: 30, gift: false, note: 'x', due: '2024-06-01T00:00:00Z' }, {}],
      ['order-1', { total: 1.5 }, { tags: ['item:tea', 'item:cup'], metadata: { actor: 'ada' } }],
      ['order-2', { total: 'ten', nested: { a: [1, null] } }, { tags: ['item:tea', 'urgent'] }],
      ['order-2', { actor: 'in the data' }, { metadata: { actor: 'bob', tenant: 't' } }],
      ['mail-1', null, { schemaVersion: 3, metadata: { correlationId: 'c' } }],
      ['mail-1', [1, 'two'], { metadata: { actor: 'eve' } }],
      ['odd', { 'eventuali:data': 7, __proto: 1 }, {}],
      ['odd@1/x', {}, { id: 'mine/1' }],
    ]
    const lines = all.map(([stream, data, more], n) =>
      JSON.stringify({ stream, type: 'T', data, time: time(n), ...more }),
    )
    await importEvents(from, [lines.join('\n')])
    const text = (await Array.fromAsync(exportOcel(from))).join('')
    const file = join(folder, 'export.json')
    writeFileSync(file, text)
    for (const source of [file, inPieces(text, 11)]) {
      await using to = await openStore('memory:')
      expect(await importOcel(to, source)).toMatchObject({ events: all.length, streams: 5 })
      const [was, is] = await Promise.all(
        [from, to].map(async (store) => (await Array.fromAsync(exportEvents(store))).join('')),
      )
      expect(is).toBe(was)
      expect(await importOcel(to, file)).toMatchObject({ events: 0, duplicates: all.length })
      expect((await Array.fromAsync(exportOcel(to))).join('')).toBe(text)
    }
  })

  it('of an empty store is empty', async () => {
    await using store = await openStore('memory:')
    const text = (await Array.fromAsync(exportOcel(store))).join('')
    expect(await importOcel(store, [text])).toMatchObject({ events: 0, streams: 0 })
  })
})
