import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { openStore, type Store } from '../../store/index.ts'
import { exportXes, importXes } from './index.ts'

const permits = join(import.meta.dirname, '../../../../../examples/data/receipt.xes.gz')

async function textOf(parts: AsyncIterable<string>): Promise<string> {
  return (await Array.fromAsync(parts)).join('')
}

/** What an import must give again. */
async function contentOf(store: Store): Promise<unknown[]> {
  const events = await store.readAll({}).toArray()
  return events
    .map(({ position, recordedAt, ...kept }) => ({ ...kept, time: kept.time.getTime() }))
    .sort((a, b) => (a.stream === b.stream ? a.version - b.version : a.stream < b.stream ? -1 : 1))
}

const log = (inner: string) =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<log xes.version="1.0">\n${inner}\n</log>`
const event = (name: string, more = '') =>
  `<event><string key="concept:name" value="${name}"/>
<date key="time:timestamp" value="2024-05-01T10:00:00Z"/>${more}</event>`
const trace = (name: string, ...events: string[]) =>
  `<trace><string key="concept:name" value="${name}"/>\n${events.join('\n')}</trace>`

describe('an import of XES', () => {
  it('makes traces streams, and types, times, actors and data of their attributes', async () => {
    await using store = await openStore('memory:')
    const more = `<string key="org:resource" value="ada"/><int key="cost" value="7"/>
      <float key="rate" value="2.0"/><boolean key="urgent" value="1"/>
      <list key="papers"><values><string key="0" value="plan"/><string key="1" value="deed"/></values></list>
      <string key="site" value="Bonn"><int key="zip" value="53111"/></string>`
    const text = log(
      `<extension name="Concept" prefix="concept" uri="x"/><global scope="event"><string key="a" value="b"/></global>
       <string key="source" value="town"><int key="n" value="1"/></string>
       <trace><string key="concept:name" value="7"/><date key="due" value="2024-06-01T00:00:00+02:00"/>
       ${event('Received', more)}</trace>`,
    )
    const result = await importXes(store, [text], { category: 'permit' })
    expect(result).toMatchObject({ events: 1, duplicates: 0, streams: 1, emptyTraces: 0 })
    const [stored] = await store.readStream('permit-7').toArray()
    expect(stored).toMatchObject({
      type: 'Received',
      time: new Date('2024-05-01T10:00:00Z'),
      data: {
        ...{ cost: 7, rate: 2, urgent: true, papers: ['plan', 'deed'] },
        site: { '#value': 'Bonn', zip: 53111 },
      },
      metadata: { actor: 'ada', xesTypes: { rate: 'float' } },
    })
    expect(stored?.metadata.case).toEqual({ due: '2024-06-01T00:00:00+02:00' })
  })

  it('takes text in pieces of any size, packed, and in other encodings', async () => {
    const text = log(trace('Zoë 😀', event('Entré', '<string key="note" value="a &amp; &#10;b"/>')))
    const whole = Buffer.from(text)
    const bytes = Array.from(whole, (byte) => Uint8Array.of(byte))
    const latin = Buffer.from(text.replace('UTF-8', 'ISO-8859-1').replace(' 😀', ''), 'latin1')
    for (const [source, stream] of [
      [[whole], 'case-Zoë 😀'],
      [bytes, 'case-Zoë 😀'],
      [[latin], 'case-Zoë'],
    ] as const) {
      await using store = await openStore('memory:')
      await importXes(store, source)
      const [stored] = await store.readStream(stream).toArray()
      expect(stored).toMatchObject({ type: 'Entré', data: { note: 'a & \nb' } })
    }
  })

  it('stores nothing twice, and goes on where it was interrupted', async () => {
    await using store = await openStore('memory:')
    const text = log([1, 2, 3].map((n) => trace(`${n}`, event('A'), event('B'))).join('\n'))
    const broken = text.slice(0, text.indexOf('value="3"'))
    const options = { sourceName: 'log.xes', batchCountMax: 2 }
    await expect(importXes(store, [broken], options)).rejects.toMatchObject({
      code: 'IMPORT_LINE_INVALID',
    })
    expect((await store.readAll({}).toArray()).length).toBe(4)
    const rest = await importXes(store, [text], { ...options, batchCountMax: 3 })
    expect(rest).toMatchObject({ events: 2, duplicates: 4 })
  })

  it.each([
    ['no XML', 'hello', 1, 'not well-formed'],
    ['another document', '<logs/>', 1, 'the document is <logs>'],
    ['nothing', '', 1, 'not well-formed'],
    ['a tag that is not closed', log('<trace>\n<event>\n</trace>'), 5, 'not well-formed'],
    ['an entity of its own', log(trace('1', event('&lol;'))), 4, 'not well-formed'],
    ['an event without a name', log(trace('1', '<event/>')), 4, 'no concept:name'],
    [
      'a trace name of control characters',
      log(trace('a&#9;b', event('A'))),
      4,
      'control character',
    ],
    ['a type of the store', log(trace('1', event('$deleted'))), 4, 'starts with $'],
    ['an event in no trace', log(event('A')), 3, 'in no trace'],
    ['no number', log(trace('1', event('A', '\n<int key="n" value="1.5"/>'))), 4, 'n is no int'],
    ['no key', log(trace('1', event('A', '<int value="1"/>'))), 4, 'no key'],
    ['twice', log(trace('1', event('A', '<id key="concept:name" value="B"/>'))), 4, 'there twice'],
    [
      'a trace told late',
      log(trace('1', event('A'), '<id key="x" value="1"/>')),
      6,
      'after an event',
    ],
    [
      'a time without a zone',
      log(trace('1', event('A').replace('00Z', '00'))),
      4,
      'no time with a zone',
    ],
    [
      'bad JSON',
      log(trace('1', event('A', '<id key="eventuali:data" value="{"/>'))),
      4,
      'not JSON',
    ],
  ])('says line and reason of %s', async (_what, text, line, reason) => {
    await using store = await openStore('memory:')
    const failed = importXes(store, [text])
    await expect(failed).rejects.toMatchObject({ code: 'IMPORT_LINE_INVALID', line })
    await expect(failed).rejects.toThrow(reason)
    expect(await store.readAll({}).toArray()).toEqual([])
  })

  it('goes on after events that cannot be stored, when asked to, not after bad XML', async () => {
    await using store = await openStore('memory:')
    const text = log(trace('1', event('A'), '<event/>', event('B')) + trace('2'))
    const result = await importXes(store, [text], { skipInvalid: true })
    expect(result).toMatchObject({ events: 2, skippedCount: 1, emptyTraces: 1 })
    expect(result.skipped).toEqual([{ line: 6, reason: expect.stringContaining('concept:name') }])
    const cut = importXes(store, [text.slice(0, -9)], { skipInvalid: true })
    await expect(cut).rejects.toMatchObject({ code: 'IMPORT_LINE_INVALID' })
  })

  it('refuses bytes that are not the encoding, unknown encodings, and wrong options', async () => {
    await using store = await openStore('memory:')
    const bad = Buffer.concat([Buffer.from('<log>'), Buffer.from([0xff, 0xfe])])
    const unknown = '<?xml version="1.0" encoding="klingon"?><log/>'
    const code = 'IMPORT_SOURCE_FAILED'
    await expect(importXes(store, [bad])).rejects.toMatchObject({ code })
    await expect(importXes(store, [unknown])).rejects.toMatchObject({ code })
    await expect(importXes(store, [log('')], { category: 'a-b' })).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    })
    await expect(
      importXes(store, [log('')], { signal: AbortSignal.abort(new Error('enough')) }),
    ).rejects.toThrow('enough')
  })
})

describe('a round trip', () => {
  it('gives the events of any store again', async () => {
    await using store = await openStore('memory:')
    await using copy = await openStore('memory:')
    await store.append('order-1', [
      {
        type: 'Placed',
        data: { a: null, '#value': 1, list: [[1], {}, null], 'org:resource': 'x' },
      },
      { type: 'Noted', data: 'a\u0000\ufffe<&>"\n\u{1f600}', tags: ['item:tea', 'odd'] },
      {
        type: 'Dated',
        data: { due: '2024-05-01T10:00:00+02:00', big: 1e21, half: 0.5, no: false },
      },
    ])
    await store.append('plain', [
      { type: 'Kept', data: {}, metadata: { case: { a: 1 }, actor: 'a\u0001', tenant: 't' } },
      { type: 'Kept', data: [], metadata: { case: { a: 1 }, xesCaseTypes: 7 }, id: 'my id' },
    ])
    await store.archive('plain')
    const before = (await contentOf(store)).length
    await importXes(copy, [await textOf(exportXes(store))])
    const without = (events: unknown[]) =>
      events.filter((one) => !(one as { type: string }).type.startsWith('$'))
    await store.archive('plain', { undo: true })
    expect(before).toBeGreaterThan(0)
    expect(without(await contentOf(copy))).toEqual(without(await contentOf(store)))
  })

  it('gives any JSON again', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.jsonValue(), { minLength: 1, maxLength: 5 }), async (all) => {
        // What JSON carries: -0 is 0 there.
        const data = all.map((one) => JSON.parse(JSON.stringify(one)))
        await using store = await openStore('memory:')
        await using copy = await openStore('memory:')
        await store.append(
          'any-1',
          data.map((one) => ({ type: 'Any', data: one, metadata: { free: one } })),
        )
        await importXes(copy, [await textOf(exportXes(store))])
        expect(await contentOf(copy)).toEqual(await contentOf(store))
      }),
      { numRuns: 100, seed: 7 },
    )
  })

  it('gives the types and values of a file again', async () => {
    const typed = `<int key="n" value="7"/><float key="f" value="7"/><id key="i" value="x"/>
      <date key="d" value="2024-06-01T00:00:00.000+02:00"/><string key="s" value="2024-06-01T00:00:00Z"/>
      <int key="huge" value="123456789012345678901"/><float key="inf" value="INF"/>
      <string key="nested" value="a"><float key="f" value="1"/></string>`
    const [first, second] = ['', ''].map(() => trace('1', event('A', typed), event('B')))
    const source = log(`${first}`.replace('<event>', `${typed}<event>`))
    expect(second).toBe(first)
    await using store = await openStore('memory:')
    await importXes(store, [source], { category: 'permit' })
    const text = await textOf(exportXes(store, { categories: ['permit'] }))
    const squeezed = (xml: string) => xml.replace(/>\s+</g, '><')
    expect(squeezed(text).split(squeezed(typed))).toHaveLength(3)
    expect(text).toContain('<string key="concept:name" value="1"/>')
  })

  it('gives a real log again, with the counts that its own head states', async () => {
    await using store = await openStore('memory:')
    await using copy = await openStore('memory:')
    const result = await importXes(store, permits, { category: 'permit' })
    expect(result).toMatchObject({ events: 8577, streams: 1434, skippedCount: 0 })
    await importXes(copy, exportXes(store))
    expect(await contentOf(copy)).toEqual(await contentOf(store))
  })
})

describe('an export to XES', () => {
  it('leaves out deleted streams, removed versions and other categories', async () => {
    await using store = await openStore('memory:')
    for (const stream of ['order-1', 'order-2', 'mail-1']) {
      await store.append(stream, [
        { type: 'A', data: { stream } },
        { type: 'B', data: { stream } },
      ])
    }
    await store.deleteStream('order-2')
    await store.truncate('order-1', { before: 2 })
    const text = await textOf(exportXes(store, { categories: ['order'] }))
    expect(text.match(/<trace>/g)).toHaveLength(1)
    expect(text.match(/<event>/g)).toHaveLength(1)
    expect(text).not.toContain('$')
  })

  it('ends where the log ended when it began', async () => {
    await using store = await openStore('memory:')
    await store.append('order-1', { type: 'A', data: {} })
    const parts = exportXes(store)
    let text = (await parts.next()).value ?? ''
    await store.append('order-1', { type: 'Late', data: {} })
    await store.append('order-2', { type: 'Late', data: {} })
    text += await textOf(parts)
    expect(text).toContain('value="A"')
    expect(text).not.toContain('Late')
  })
})
