import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  codecName,
  codecNumber,
  codecOf,
  type EncodingName,
  frameBody,
  textOfData,
} from './body.ts'
import { type BodyEncoder, bodyEncoder, type CodecOptions, exactEncoder } from './body-encoder.ts'
import {
  decodeRow,
  type EncodableEvent,
  encodeEvent,
  rowIsIntact,
  type StoredRow,
  textOfRow,
} from './codec.ts'
import { compressionNames, compressorOf } from './compression.ts'

const seed = Number(process.env.EVENTUALI_SEED ?? Date.now() % 2 ** 31)

const encodings: readonly EncodingName[] = ['json', 'msgpack']
const choices: readonly CodecOptions[] = encodings.flatMap((encoding) => [
  { encoding },
  ...compressionNames.map((name) => ({ encoding, compress: { with: name, above: 0 } })),
  { encoding, compress: {} },
])

/** Any code units, halves of pairs and U+0000 included. */
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc
    .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 20 })
    .map((units) => String.fromCharCode(...units)),
  fc.constantFrom('', '\u0000', '\ud800', '\udfff\ud800', '\\ud800', 'ж'.repeat(3000)),
)
const key = fc.oneof(
  text,
  fc.constantFrom('constructor', 'toJSON', 'then', 'length', '0', '10', '-1', 'hasOwnProperty'),
)
const number = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.constantFrom(-0, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 53), 5e-324, 1e21, 123456789.125),
)
const { data } = fc.letrec<{ data: unknown }>((tie) => ({
  data: fc.oneof(
    { maxDepth: 5, depthIdentifier: 'data' },
    text,
    number,
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('data'), { maxLength: 6 }),
    fc.dictionary(key, fc.oneof(tie('data'), fc.constant(undefined)), { maxKeys: 6 }),
  ),
}))

const eventOf = (value: unknown): EncodableEvent => ({
  ...{ id: 'e-1', idGiven: false, type: 'Happened', metadata: { actor: 'ada' } },
  ...{ data: value, time: 1_700_000_000_000, schemaVersion: 1, tags: ['a'] },
})

function rowOf(value: unknown, encoder: BodyEncoder | undefined): StoredRow {
  const { body, ...encoded } = encodeEvent('s-1', eventOf(value), encoder)
  const rest = { stream: 's-1', version: 1, position: 1, recordedAt: 0 }
  return { ...encoded, ...rest, data: body ?? encoded.data }
}

test('any data comes back from any codec as JSON would give it', () => {
  const encoders = choices.map((choice) => bodyEncoder(choice))
  fc.assert(
    fc.property(data, fc.constantFrom(...encoders), (value, encoder) => {
      const json = JSON.stringify(value)
      fc.pre(!/"__proto__":/.test(json) && !/"prototype":/.test(json))
      const row = rowOf(value, encoder)
      expect(textOfRow(row)).toBe(json)
      expect(rowIsIntact(row)).toBe(true)
      const decoded = decodeRow(row)
      expect(JSON.stringify(decoded.data)).toBe(json)
      expect(decoded.data).toEqual(JSON.parse(json))
    }),
    { seed, numRuns: 3000 },
  )
})

test('every codec is put to use by data that it makes smaller', () => {
  const value = { text: 'tea and cake '.repeat(500) }
  const used = new Set(choices.map((choice) => codecOf(rowOf(value, bodyEncoder(choice)).data)))
  expect([...used].map(codecName).sort()).toEqual([...new Set(allNames())].sort())
})

function allNames(): string[] {
  return encodings.flatMap((encoding) => [
    encoding,
    ...compressionNames.map((name) => codecName(codecNumber(encoding, name)) as string),
  ])
}

test('the checksum of a row is that of its JSON, whatever it is stored with', () => {
  const value = { customer: 'Zoë', total: 30.5, lines: ['tea '.repeat(500)] }
  const checksums = choices.map((choice) => rowOf(value, bodyEncoder(choice)).checksum)
  expect(new Set([...checksums, rowOf(value, undefined).checksum]).size).toBe(1)
})

test('small data and data that does not shrink are not compressed', () => {
  const encoder = bodyEncoder({ compress: { with: 'gzip', above: 100 } })
  expect(encoder?.encode(JSON.stringify('a'.repeat(98)))).toBeUndefined()
  const body = encoder?.encode(JSON.stringify('a'.repeat(99)))
  expect(codecOf(body as Uint8Array)).toBe(codecNumber('json', 'gzip'))
  expect(bodyEncoder({ compress: { with: 'snappy', above: 0 } })?.encode('[1]')).toBeUndefined()
})

test('what MessagePack would change stays JSON', () => {
  const encoder = bodyEncoder({ encoding: 'msgpack' })
  expect(encoder?.encode(JSON.stringify({ half: '\ud800' }))).toBeUndefined()
  expect(encoder?.encode('{"constructor":1}')).toBeUndefined()
  expect(codecOf(encoder?.encode('{"a":1}') as Uint8Array)).toBe(1)
  // Text that some other program has written: numbers and spaces would not come back as they are.
  const exact = exactEncoder(encoder)
  expect(exact.encode('{"a": 1}')).toBeUndefined()
  expect(exact.encode('{"a":1.0}')).toBeUndefined()
  expect(textOfData(exact.encode('{"a":1}') as Uint8Array)).toBe('{"a":1}')
})

test.each([
  [{ encoding: 'xml' }, 'codec.encoding'],
  [{ compress: true }, 'codec.compress'],
  [{ compress: { with: 'zip' } }, 'codec.compress.with'],
  [{ compress: { above: -1 } }, 'codec.compress.above'],
])('%j is refused', (options, argument) => {
  expect(() => bodyEncoder(options as CodecOptions)).toThrow(expect.objectContaining({ argument }))
})

test('no byte of a body can be changed, and none left out, unnoticed', () => {
  for (const choice of choices.slice(1)) {
    const row = rowOf({ text: 'the quick brown fox '.repeat(100) }, bodyEncoder(choice))
    const body = row.data as Uint8Array
    for (let at = 0; at < body.length; at++) {
      const flipped = Uint8Array.from(body)
      flipped[at] = (flipped[at] as number) ^ (1 << (at % 8))
      for (const bad of [flipped, body.subarray(0, at)]) {
        const damaged = { ...row, data: bad }
        expect(rowIsIntact(damaged)).toBe(false)
        expect(() => decodeRow(damaged)).toThrow(
          expect.objectContaining({ code: 'EVENT_CORRUPT', position: 1 }),
        )
      }
    }
  }
})

test.each(compressionNames)('%s gives no more bytes than were said', (name) => {
  const compressor = compressorOf(name)
  const many = compressor.compress(Buffer.alloc(1_000_000))
  expect(compressor.decompress(many, 1_000_000)).toHaveLength(1_000_000)
  expect(() => compressor.decompress(many, 999_999)).toThrow()
  expect(() => compressor.decompress(many, 1_000_001)).toThrow()
  expect(compressor.decompress(compressor.compress(Buffer.alloc(0)), 0)).toHaveLength(0)
})

/** A body that somebody put together, with the right checksum in front. */
function forged(codec: number, size: number | undefined, content: Uint8Array): StoredRow {
  return { ...rowOf({}, undefined), data: frameBody(codec, size, content) }
}

test.each([
  ['a big integer', [0xc7, 1, 0x42, 1]],
  ['a pattern', [0xd4, 0x78, 0, 0x92, 0xa1, 0x61, 0xa1, 0x67]],
  ['a set', [0xd4, 0x73, 0, 0x91, 1]],
  ['a date', [0xd6, 0xff, 1, 2, 3, 4]],
  ['nothing', [0xd4, 0, 0]],
  ['a list that holds itself', [0xd6, 0x69, 0, 0, 0, 1, 0x91, 0xd6, 0x70, 0, 0, 0, 1]],
  ['NaN', [0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0]],
])('MessagePack of %s is no data of ours', (_what, bytes) => {
  const row = forged(codecNumber('msgpack'), undefined, Uint8Array.from(bytes))
  expect(() => decodeRow(row)).toThrow(expect.objectContaining({ code: 'EVENT_CORRUPT' }))
  expect(() => textOfRow(row)).toThrow(expect.objectContaining({ code: 'EVENT_CORRUPT' }))
})

test.each(compressionNames)('a body of %s that says it holds a gigabyte is refused', (name) => {
  const row = forged(codecNumber('json', name), 2 ** 30, new Uint8Array(64))
  expect(() => decodeRow(row)).toThrow(
    expect.objectContaining({ cause: new RangeError('its body would take 1073741824 bytes') }),
  )
})

test('what is nested too deep for MessagePack stays text, and can be read', () => {
  const encoder = bodyEncoder({ encoding: 'msgpack' })
  let looks = 0
  // Shallow when it is checked, deep when it is written.
  const turning = {
    get data() {
      return looks++ === 0 ? 1 : JSON.parse(`${'['.repeat(300)}${']'.repeat(300)}`)
    },
  }
  const row = rowOf(turning, encoder)
  expect(JSON.stringify(decodeRow(row).data)).toHaveLength(600 + '{"data":}'.length)
})

test.each([
  { id: Buffer.from('a') },
  { id: null },
  { version: null },
  { time: '5' },
  { recordedAt: Buffer.from('5') },
  { schemaVersion: null },
  { metadata: 5 },
  { tagsText: 5 },
  { data: null },
  { data: 5 },
])('a row with %o is none that was written', (wrong) => {
  const row = { ...rowOf({ a: 1 }, undefined), ...wrong } as unknown as StoredRow
  expect(rowIsIntact(row)).toBe(false)
  expect(() => decodeRow(row)).toThrow(
    expect.objectContaining({ code: 'EVENT_CORRUPT', position: 1 }),
  )
})
