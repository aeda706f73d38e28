import { createReadStream, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { isEventualiError } from '../kernel/index.ts'
import {
  IdempotencyConflictError,
  OutcomeUnknownError,
  type RecordedEvent,
} from '../model/index.ts'
import type { AppendRequest, EventStore } from '../ports/index.ts'
import { openMemoryStore } from '../stores/memory/index.ts'
import { exportEvents, type ImportOptions, importEvents, lineBytesMax } from './index.ts'

const january = fileURLToPath(
  new URL('../../../../examples/data/flights-2013-01.ndjson.gz', import.meta.url),
)

async function* bytes(...parts: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield typeof part === 'string' ? Buffer.from(part) : part
}

const lineOf = (stream: string, n: number): string =>
  `${JSON.stringify({ stream, type: 'Counted', data: { n }, time: '2020-01-01T00:00:00Z' })}\n`

/** Lines over three streams in turn. */
const someLines = (count: number): string[] =>
  Array.from({ length: count }, (_, n) => lineOf(`s-${n % 3}`, n))

async function logOf(store: EventStore): Promise<RecordedEvent[]> {
  const { safe } = await store.positions()
  const events: RecordedEvent[] = []
  for await (const page of store.readLog({ direction: 'forward', upTo: safe })) {
    events.push(...page)
  }
  return events
}

async function importText(
  store: EventStore,
  text: string | Uint8Array,
  options: ImportOptions = {},
) {
  return importEvents(store, bytes(text), { sourceName: 'test', ...options })
}

async function errorOf(work: Promise<unknown>): Promise<Error & { code: string; line?: number }> {
  try {
    await work
  } catch (error) {
    expect(isEventualiError(error)).toBe(true)
    return error as Error & { code: string; line?: number }
  }
  throw new Error('it was expected to fail')
}

describe('an import', () => {
  it('keeps ids, times, metadata, tags and the order of the lines', async () => {
    const store = await openMemoryStore()
    const lines = [
      {
        stream: 'a-1',
        type: 'T',
        data: { x: 1 },
        id: 'mine',
        time: '2013-01-01T12:00:00+02:00',
        metadata: { actor: 'ada', free: [1] },
        tags: ['k:v', 'k:v'],
        schemaVersion: 3,
      },
      { stream: 'b-1', type: 'T', data: null },
      { stream: 'a-1', type: 'U', data: [1, 'é', { '\u2028': true }] },
    ]
    const text = lines.map((line) => JSON.stringify(line)).join('\n')
    const result = await importText(store, text)
    expect(result).toMatchObject({ events: 3, duplicates: 0, streams: 2, skippedCount: 0 })
    const log = await logOf(store)
    expect(log.map((event) => [event.stream, event.version, event.type])).toEqual([
      ['a-1', 1, 'T'],
      ['b-1', 1, 'T'],
      ['a-1', 2, 'U'],
    ])
    expect(log[0]).toMatchObject({
      id: 'mine',
      time: new Date('2013-01-01T10:00:00Z'),
      metadata: { actor: 'ada', free: [1] },
      tags: ['k:v'],
      schemaVersion: 3,
    })
    expect(log[2]?.data).toEqual(lines[2]?.data)
  })

  it('reads the packed January log and knows it again, however it is read', async () => {
    const store = await openMemoryStore()
    const reported: number[] = []
    const first = await importEvents(store, january, {
      onProgress: ({ bytesRead }) => reported.push(bytesRead),
    })
    expect(reported).toHaveLength(81)
    expect(reported.at(-1)).toBe(statSync(january).size)
    expect(first).toMatchObject({ events: 80_491, duplicates: 0, streams: 27_004 })
    const stream = createReadStream(january)
    const options = { sourceName: 'flights-2013-01.ndjson', batchCountMax: 317 }
    const again = await importEvents(store, stream, options)
    expect(again).toMatchObject({ events: 0, duplicates: 80_491, streams: 27_004 })
  })

  it('takes a byte order mark, Windows line ends, blank lines and no last line end', async () => {
    const unix = await openMemoryStore()
    const windows = await openMemoryStore()
    await importText(unix, someLines(4).join(''))
    const text = `\uFEFF${someLines(4).join('\n').replaceAll('\n', '\r\n').trimEnd()}`
    const result = await importText(windows, text)
    expect(result).toMatchObject({ events: 4, skippedCount: 0 })
    const ids = async (store: EventStore) => (await logOf(store)).map(({ id }) => id)
    expect(await ids(windows)).toEqual(await ids(unix))
  })

  it('gives the same result however the bytes are cut', async () => {
    const text = Buffer.from(`\uFEFF${someLines(7).join('\n')}${lineOf('ü-1', 7)}`)
    const packed = gzipSync(text)
    for (const source of [text, packed]) {
      for (const size of [1, 2, 7, 64]) {
        const store = await openMemoryStore()
        const parts: Uint8Array[] = []
        for (let at = 0; at < source.length; at += size) parts.push(source.subarray(at, at + size))
        const result = await importEvents(store, bytes(...parts), { sourceName: 'cut' })
        expect(result).toMatchObject({ events: 8, streams: 4 })
      }
    }
  })

  it('keeps two equal lines of one stream apart', async () => {
    const store = await openMemoryStore()
    const text = lineOf('s-1', 1).repeat(3)
    expect(await importText(store, text)).toMatchObject({ events: 3 })
    expect(await importText(store, text)).toMatchObject({ events: 0, duplicates: 3 })
  })

  it('reads an empty source as no events', async () => {
    const store = await openMemoryStore()
    for (const text of ['', '\n\n', '\uFEFF', '[]', ' [ ] \n']) {
      expect(await importText(store, text)).toMatchObject({
        events: 0,
        streams: 0,
        skippedCount: 0,
      })
    }
  })
})

describe('an import that is run again', () => {
  it('goes on after an interruption, with another batch size', async () => {
    const lines = someLines(1000)
    for (const [before, after] of [
      [100, 7],
      [7, 1000],
      [333, 100],
    ]) {
      const store = await openMemoryStore()
      const stop = new AbortController()
      const cut = importEvents(store, bytes(...lines), {
        sourceName: 'test',
        batchCountMax: before,
        signal: stop.signal,
        onProgress: ({ events }) => {
          if (events >= 400) stop.abort(new Error('enough'))
        },
      })
      await expect(cut).rejects.toThrow('enough')
      const stored = (await logOf(store)).length
      expect(stored).toBeGreaterThanOrEqual(400)
      expect(stored).toBeLessThan(1000)
      const result = await importText(store, lines.join(''), { batchCountMax: after })
      expect(result).toMatchObject({ events: 1000 - stored, duplicates: stored })
      const log = await logOf(store)
      expect(log.map(({ data }) => (data as { n: number }).n)).toEqual(lines.map((_, n) => n))
    }
  })

  it('stores what was added to the file since', async () => {
    const store = await openMemoryStore()
    const lines = someLines(30)
    await importText(store, lines.slice(0, 20).join(''))
    const result = await importText(store, lines.join(''))
    expect(result).toMatchObject({ events: 10, duplicates: 20 })
  })

  it('recognises an id that the source has twice, and refuses other content for it', async () => {
    const store = await openMemoryStore()
    const line = (n: number) =>
      `${JSON.stringify({ stream: 's', type: 'T', id: 'x', data: { n } })}\n`
    expect(await importText(store, line(1) + line(1))).toMatchObject({ events: 1, duplicates: 1 })
    await expect(importText(store, line(2))).rejects.toThrow(IdempotencyConflictError)
    await expect(importText(store, lineOf('t', 1) + line(2))).rejects.toThrow(
      IdempotencyConflictError,
    )
    expect(await logOf(store)).toHaveLength(1)
  })

  it('two at once store everything once', async () => {
    const store = await openMemoryStore()
    const text = someLines(500).join('')
    const [one, two] = await Promise.all([
      importText(store, text, { batchCountMax: 50 }),
      importText(store, text, { batchCountMax: 70 }),
    ])
    expect(one.events + two.events).toBe(500)
    expect(await logOf(store)).toHaveLength(500)
  })

  it('tries a batch again whose fate is unknown, and stores it once', async () => {
    const store = await openMemoryStore()
    let failures = 0
    const append = async (request: AppendRequest) => {
      const outcome = await store.append(request)
      if (failures++ < 2) throw new OutcomeUnknownError('the append')
      return outcome
    }
    const target = { append, eventById: store.eventById.bind(store) }
    const result = await importEvents(target, bytes(...someLines(9)), { sourceName: 'test' })
    expect(result.events + result.duplicates).toBe(9)
    expect(await logOf(store)).toHaveLength(9)
  })
})

const bad: readonly (readonly [name: string, line: string, reason: RegExp])[] = [
  ['no JSON', '{"stream":', /is not JSON/],
  ['no object', '17', /is not a JSON object/],
  ['null', 'null', /is not a JSON object/],
  ['no stream', '{"type":"T","data":1}', /has no "stream"/],
  ['a stream that is no text', '{"stream":1,"type":"T","data":1}', /is not a string/],
  ['a system stream', '{"stream":"$x","type":"T","data":1}', /starts with \$/],
  ['no type', '{"stream":"s","data":1}', /has no "type"/],
  ['a system type', '{"stream":"s","type":"$deleted","data":1}', /starts with \$/],
  ['no data', '{"stream":"s","type":"T"}', /has no "data"/],
  ['an empty id', '{"stream":"s","type":"T","data":1,"id":""}', /is empty/],
  ['a local time', '{"stream":"s","type":"T","data":1,"time":"2013-01-01T10:00:00"}', /RFC 3339/],
  ['no such day', '{"stream":"s","type":"T","data":1,"time":"2013-02-30T10:00:00Z"}', /RFC 3339/],
  ['a number as time', '{"stream":"s","type":"T","data":1,"time":1}', /RFC 3339/],
  ['metadata as text', '{"stream":"s","type":"T","data":1,"metadata":"x"}', /metadata/],
  ['tags as text', '{"stream":"s","type":"T","data":1,"tags":"x"}', /tags/],
  ['a tag that is no text', '{"stream":"s","type":"T","data":1,"tags":[1]}', /tag/],
  ['schema version 0', '{"stream":"s","type":"T","data":1,"schemaVersion":0}', /schemaVersion/],
  ['__proto__ in data', '{"stream":"s","type":"T","data":{"__proto__":{"x":1}}}', /pollutes/],
  ['__proto__ outside', '{"__proto__":{"stream":"s"},"type":"T","data":1}', /has no "stream"/],
  ['1e400', '{"stream":"s","type":"T","data":1e400}', /Infinity/],
  ['a large integer', '{"stream":"s","type":"T","data":{"n":9007199254740993}}', /exact number/],
  ['a huge integer', `{"stream":"s","type":"T","data":${'9'.repeat(2e6)}}`, /exact number/],
  [
    'deep nesting',
    `{"stream":"s","type":"T","data":${'['.repeat(9e4)}${']'.repeat(9e4)}}`,
    /deeper/,
  ],
  ['a CloudEvent of 0.3', '{"specversion":"0.3","id":"1","source":"/","type":"T"}', /specversion/],
  ['a CloudEvent without id', '{"specversion":"1.0","source":"/","type":"T"}', /without "id"/],
]

describe('a bad line', () => {
  it.each(bad)(
    '(%s) is refused with its number, and nothing of its batch is stored',
    async (...row) => {
      const [, line, reason] = row
      const store = await openMemoryStore()
      const text = `${someLines(4).join('')}\n${line}\n${someLines(9).slice(4).join('')}`
      const error = await errorOf(importText(store, text, { batchCountMax: 2 }))
      expect(error.code).toBe('IMPORT_LINE_INVALID')
      expect(error.line).toBe(6)
      expect(error.message).toMatch(reason)
      expect(await logOf(store)).toHaveLength(4)
      expect(({} as { x?: number }).x).toBeUndefined()

      const result = await importText(store, text, { skipInvalid: true })
      expect(result).toMatchObject({ events: 5, duplicates: 4, skippedCount: 1 })
      expect(result.skipped[0]?.line).toBe(6)
      expect(result.skipped[0]?.reason).toMatch(reason)
    },
  )

  it('that is mended later does not make the others new', async () => {
    const store = await openMemoryStore()
    const lines = someLines(9)
    const broken = lines.with(4, '{"stream":"s-1","type":7,"data":1}\n')
    await importText(store, broken.join(''), { skipInvalid: true })
    const result = await importText(store, lines.join(''))
    expect(result).toMatchObject({ events: 1, duplicates: 8 })
  })

  it('may be invalid UTF-8', async () => {
    const store = await openMemoryStore()
    const wrong = Buffer.from('{"stream":"s","type":"T","data":"x"}\n')
    wrong[wrong.indexOf('x"}')] = 0xff
    const source = Buffer.concat([Buffer.from(lineOf('s', 1)), wrong, Buffer.from(lineOf('s', 2))])
    const result = await importText(store, source, { skipInvalid: true })
    expect(result).toMatchObject({
      events: 2,
      skipped: [{ line: 2, reason: 'is not valid UTF-8' }],
    })
  })

  it('may be too long; it is not kept in memory', async () => {
    const store = await openMemoryStore()
    async function* source(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(lineOf('s', 1))
      const part = Buffer.alloc(1024 * 1024, 'x')
      for (let i = 0; i < 100; i++) yield part
      yield Buffer.from(`\n${lineOf('s', 2)}`)
    }
    const before = process.memoryUsage().arrayBuffers
    const result = await importEvents(store, source(), { sourceName: 't', skipInvalid: true })
    expect(result).toMatchObject({ events: 2, skippedCount: 1 })
    expect(result.skipped[0]?.reason).toBe(`is longer than ${lineBytesMax} bytes`)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(60 * 1024 * 1024)
  })
})

describe('a source', () => {
  it('that is not there, cut off or damaged is told from a bad line', async () => {
    const store = await openMemoryStore()
    const missing = await errorOf(importEvents(store, '/nowhere/there.ndjson'))
    expect(missing).toMatchObject({ code: 'IMPORT_SOURCE_FAILED' })
    expect(missing.message).toContain('there is no such file')
    const packed = gzipSync(someLines(5000).join(''))
    const cut = await errorOf(importText(store, packed.subarray(0, packed.length - 100)))
    expect(cut.message).toMatch(/gzip data is damaged or cut off/)
    const damaged = Buffer.from(packed)
    damaged.fill(0, 2000, 2010)
    expect(await errorOf(importText(store, damaged))).toMatchObject({
      code: expect.stringMatching(/IMPORT_(SOURCE_FAILED|LINE_INVALID)/),
    })
  })

  it('takes batches of 1 to 10,000 lines only', async () => {
    const store = await openMemoryStore()
    for (const batchCountMax of [0, -1, 1.5, 10_001, Number.NaN]) {
      const error = await errorOf(importText(store, '', { batchCountMax }))
      expect(error.code).toBe('ARGUMENT_INVALID')
    }
  })

  it('that waits for bytes ends when the signal is aborted', async () => {
    const store = await openMemoryStore()
    async function* never(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(lineOf('s', 1))
      await new Promise(() => {})
    }
    const stop = new AbortController()
    const running = importEvents(store, never(), { sourceName: 't', signal: stop.signal })
    stop.abort(new Error('stopped'))
    await expect(running).rejects.toThrow('stopped')
  })
})

describe('an export', () => {
  it('imported elsewhere gives the same events', async () => {
    const store = await openMemoryStore()
    const lines = someLines(2500).map((line, n) => {
      const more = { metadata: { actor: `a${n % 7}` }, tags: n % 2 === 0 ? [`n:${n}`] : [] }
      return `${JSON.stringify({ ...JSON.parse(line), ...more, schemaVersion: 1 + (n % 3) })}\n`
    })
    await importText(store, lines.join(''))
    const copy = await openMemoryStore()
    const parts: Uint8Array[] = []
    for await (const text of exportEvents(store)) parts.push(Buffer.from(text))
    await importEvents(copy, bytes(...parts))
    const plain = (events: RecordedEvent[]) => events.map((event) => ({ ...event, recordedAt: 0 }))
    expect(plain(await logOf(copy))).toEqual(plain(await logOf(store)))
  })

  it('of one stream has its events only', async () => {
    const store = await openMemoryStore()
    await importText(store, someLines(30).join(''))
    let text = ''
    for await (const page of exportEvents(store, { stream: 's-1' })) text += page
    const read = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(read.map(({ stream, version }) => [stream, version])).toEqual(
      Array.from({ length: 10 }, (_, i) => ['s-1', i + 1]),
    )
    const both = exportEvents(store, { stream: 's-1', types: ['T'] })
    await expect(both.next()).rejects.toThrow('cannot be joined')
  })
})
