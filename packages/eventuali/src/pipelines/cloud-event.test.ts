import { describe, expect, it } from 'vitest'
import { ImportSourceError } from '../model/index.ts'
import { openMemoryStore } from '../stores/memory/index.ts'
import { importEvents } from './index.ts'

const events = [
  {
    specversion: '1.0',
    id: 'e-1',
    source: '/shop',
    type: 'com.shop.placed',
    subject: 'order-1',
    time: '2024-05-01T10:00:00.123456Z',
    datacontenttype: 'application/json',
    data: { text: 'a "quoted" ] } \\ \u00e9', list: [[], {}] },
    correlationid: 'c-1',
    tracestate: 'x=1',
  },
  { specversion: '1.0', id: 'e-2', source: '/shop', type: 'com.shop.ping' },
]

async function* cut(text: string, size: number): AsyncGenerator<Uint8Array> {
  const all = Buffer.from(text)
  for (let at = 0; at < all.length; at += size) yield all.subarray(at, at + size)
}

async function importArray(text: string, size = 1000) {
  const store = await openMemoryStore()
  const options = { sourceName: 'events.json', skipInvalid: true }
  const result = await importEvents(store, cut(text, size), options)
  const log = []
  const { safe } = await store.positions()
  for await (const page of store.readLog({ direction: 'forward', upTo: safe })) log.push(...page)
  return { result, log }
}

describe('a JSON array of CloudEvents', () => {
  it('is imported element by element, wherever the bytes are cut', async () => {
    for (const text of [JSON.stringify(events), `\uFEFF\n${JSON.stringify(events, null, 2)}\n`]) {
      for (const size of [1, 3, 16, 10_000]) {
        const { result, log } = await importArray(text, size)
        expect(result).toMatchObject({ events: 2, streams: 2, skippedCount: 0 })
        expect(log[0]).toMatchObject({
          id: 'e-1',
          stream: 'order-1',
          type: 'com.shop.placed',
          time: new Date('2024-05-01T10:00:00.123Z'),
          data: events[0]?.data,
          metadata: {
            source: '/shop',
            datacontenttype: 'application/json',
            correlationId: 'c-1',
            tracestate: 'x=1',
          },
        })
        expect(log[1]).toMatchObject({ id: 'e-2', stream: '/shop', data: null })
      }
    }
  })

  it('may hold lines of our own, and CloudEvents may stand on lines', async () => {
    const own = JSON.stringify({ stream: 's', type: 'T', data: 1 })
    expect((await importArray(`[${own},${own}]`)).result).toMatchObject({ events: 2 })
    const lines = events.map((event) => JSON.stringify(event)).join('\n')
    expect((await importArray(lines)).result).toMatchObject({ events: 2 })
  })

  it('reports bad elements by the line they begin on', async () => {
    const good = JSON.stringify(events[1])
    const text = `[\n1, "a,]",\nnull,\n${good},\n{"x":},[2] ]`
    const { result } = await importArray(text)
    expect(result.events).toBe(1)
    expect(result.skipped.map(({ line }) => line)).toEqual([2, 2, 3, 5, 5])
    const binary = JSON.stringify({ ...events[1], data_base64: 'AA==' })
    expect((await importArray(`[${binary}]`)).result.skipped[0]?.reason).toMatch(/data_base64/)
  })

  it('is refused as a whole when it is no array any more', async () => {
    const good = JSON.stringify(events[1])
    for (const text of [
      '[',
      `[${good}`,
      `[${good},]`,
      `[,${good}]`,
      `[${good} ${good}]`,
      `[${good}] x`,
      `[${good},`,
      '[}',
      '["abc',
    ]) {
      await expect(importArray(text), text).rejects.toThrow(ImportSourceError)
    }
  })
})
