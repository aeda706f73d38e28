import { crc32, gzipSync } from 'node:zlib'
import { importEvents, openStore } from '../../src/index.ts'
import {
  bodyEncoder,
  type CodecOptions,
  decodeRow,
  encodeEvent,
  rowIsIntact,
  type StoredRow,
  textOfRow,
} from '../../src/model/index.ts'
import type { Target } from '../harness/assault.ts'
import type { Junk } from '../harness/junk.ts'

/** Lines that are nearly right; of some keys there are two. */
function line(junk: Junk, n: number, withIds: boolean): string {
  const data = JSON.stringify(junk.json())
  const id = withIds ? `,"id":"i${junk.below(9)}"` : ''
  switch (junk.below(14)) {
    case 0:
      return `{"stream":"s-1","type":"T","data":{"a":1},"data":${data}${id}}`
    case 1:
      return `{"stream":${JSON.stringify(junk.text())},"type":"T","data":${data}${id}}`
    case 2:
      return `{"stream":"s-1","type":"T","data":{"__proto__":{"polluted":${n}}}${id}}`
    case 3:
      return `{"specversion":"1.0","id":"c${n}","source":"/x","type":"T","data":${data}}`
    case 4: {
      const key = junk.pick(['time', 'tags', 'metadata', 'schemaVersion', 'version', '__proto__'])
      const value = junk.pick(['1e400', '"x"', '[1]', '{"__proto__":1}', '-0', '9'.repeat(30)])
      return `{"stream":"s-1","type":"T","data":${data},"${key}":${value}${id}}`
    }
    case 5: {
      const depth = junk.below(300)
      return `{"stream":"s-1","type":"T","data":${'['.repeat(depth)}${']'.repeat(depth)}${id}}`
    }
    default:
      return `{"stream":"s-${junk.below(3)}","type":"T","data":${data}${id}}`
  }
}

interface File {
  readonly bytes: Buffer
  /** Whether some of its events have ids, of which one may come twice. */
  readonly withIds: boolean
}

function file(junk: Junk): File {
  const withIds = junk.below(2) === 0
  const count = junk.below(8)
  const lines = Array.from({ length: count }, (_, n) => line(junk, n, withIds))
  const end = junk.pick(['\n', '\r\n', '\n\n'])
  const isArray = junk.below(4) === 0
  let text = isArray ? `[${lines.join(junk.pick([',', ',\n', ', ,']))}]` : lines.join(end)
  if (junk.below(6) === 0) text = `\ufeff${text}`
  // A digit too many, a megabyte of them, or a line without an end.
  if (junk.below(400) === 0) text += `\n{"stream":"s-1","type":"T","data":${'9'.repeat(1e6)}}`
  if (junk.below(400) === 0) text += `\n{"a":"${'x'.repeat(4e5)}`
  let bytes: Buffer = Buffer.from(text)
  if (junk.below(3) === 0) bytes = mutated(bytes, junk)
  if (junk.below(4) === 0) bytes = gzipSync(bytes, { level: 1 })
  if (junk.below(4) === 0) bytes = mutated(bytes, junk)
  return { bytes, withIds }
}

function mutated(bytes: Buffer, junk: Junk): Buffer {
  const copy = Buffer.from(bytes)
  const at = junk.below(copy.length + 1)
  switch (junk.below(4)) {
    case 0:
      return copy.subarray(0, at)
    case 1:
      return Buffer.concat([copy.subarray(0, at), junk.bytes(6), copy.subarray(at)])
    case 2:
      return Buffer.concat([copy.subarray(at), copy.subarray(0, at)])
    default:
      for (let flips = 1 + junk.below(4); flips > 0 && copy.length > 0; flips--) {
        const byte = junk.below(copy.length)
        copy[byte] = (copy[byte] ?? 0) ^ (1 << junk.below(8))
      }
      return copy
  }
}

function* chunks(bytes: Buffer, junk: Junk): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; ) {
    const length = 1 + junk.below(junk.below(4) === 0 ? 3 : 5000)
    yield bytes.subarray(at, at + length)
    at += length
  }
}

/** Imports a file that somebody made badly; what is stored are whole batches. */
async function importFile(junk: Junk): Promise<string | undefined> {
  const { bytes, withIds } = file(junk)
  const batchCountMax = 1 + junk.below(4)
  const skipInvalid = junk.below(3) === 0
  const store = await openStore('memory:')
  const stored = async () => (await store.positions()).newest
  try {
    const options = { batchCountMax, skipInvalid, sourceName: 'junk' }
    const result = await importEvents(store, chunks(bytes, junk), options)
    const there = await stored()
    return result.events === there ? undefined : `${result.events} imported, ${there} stored`
  } catch (error) {
    const there = await stored()
    if (!withIds && !skipInvalid && there % batchCountMax !== 0) {
      return `stored ${there} events of batches of ${batchCountMax}`
    }
    throw error
  } finally {
    await store.close()
  }
}

const codecs: readonly CodecOptions[] = [
  { encoding: 'msgpack' },
  { compress: { with: 'gzip', above: 0 } },
  { compress: { with: 'brotli', above: 0 } },
  { compress: { with: 'zstd', above: 0 } },
  { compress: { with: 'lz4', above: 0 } },
  { compress: { with: 'snappy', above: 0 } },
  { encoding: 'msgpack', compress: { with: 'zstd', above: 0 } },
]
const encoders = codecs.map((codec) => bodyEncoder(codec))
const numbers = [0, 1, 2, 15, 16, 17, 32, 33, 48, 49, 64, 65, 80, 81, 96, 112, 255]

/** Makes the checksum right, so that what lies behind it is reached. */
function sealed(body: Buffer): Buffer {
  if (body.length >= 5) body.writeUInt32LE(crc32(body.subarray(4)), 0)
  return body
}

/** The bytes of a row's data: damaged, forged, or made of nothing. */
function body(junk: Junk): Buffer {
  const data = { text: 'word '.repeat(1 + junk.below(30)), more: junk.json() }
  const event = { ...{ id: 'a', idGiven: false, type: 'T', data, metadata: {} } }
  const rest = { time: 0, schemaVersion: 1, tags: [] }
  const encoded = encodeEvent('s-1', { ...event, ...rest }, junk.pick(encoders))
  switch (junk.below(6)) {
    case 0:
      return junk.bytes(60)
    case 1:
      return sealed(Buffer.concat([Buffer.of(0, 0, 0, 0, junk.pick(numbers)), junk.bytes(40)]))
    case 2: {
      // The size of a bomb.
      const bomb = Buffer.from(encoded.body ?? encoded.data)
      if (bomb.length > 9) bomb.writeUInt32LE(junk.pick([0, 1, 2 ** 20, 2 ** 31, 2 ** 32 - 1]), 5)
      return sealed(bomb)
    }
    case 3:
      return mutated(Buffer.from(encoded.body ?? encoded.data), junk)
    default: {
      const forged = mutated(Buffer.from(encoded.body ?? encoded.data), junk)
      if (junk.below(3) === 0 && forged.length > 4) forged[4] = junk.pick(numbers)
      return sealed(forged)
    }
  }
}

/** Reads a row that no store wrote: as data that JSON carries, or not at all. */
function decode(junk: Junk): string | undefined {
  const text = () => junk.pick(['', '{}', '{"a":1}', '[', '{"__proto__":{"x":1}}', junk.text()])
  const row: StoredRow = {
    ...{ stream: 's-1', version: 1, position: 1, id: 'a', type: 'T', time: 0, recordedAt: 0 },
    data: junk.below(8) === 0 ? text() : body(junk),
    metadata: junk.below(8) === 0 ? text() : '',
    tagsText: junk.below(8) === 0 ? text() : '',
    schemaVersion: 1,
    checksum: junk.below(2 ** 30),
  }
  // Before the decoding, which may throw: both are to be typed.
  const intact = rowIsIntact(row)
  if (intact) return 'a row of chance is intact'
  textOfRow(row)
  const { data } = decodeRow(row)
  const json = JSON.stringify(data)
  return json === undefined ? `data is ${typeof data}` : undefined
}

/** Files to import, and stored bytes. */
export function fileTargets(): Target[] {
  return [
    { name: 'imported files', cases: 7000, open: async () => ({ tryOnce: importFile }) },
    { name: 'stored bytes', cases: 16_000, open: async () => ({ tryOnce: decode }) },
  ]
}
