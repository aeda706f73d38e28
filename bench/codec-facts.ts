import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { Packr } from 'msgpackr'
import {
  bodyEncoder,
  type CodecOptions,
  decodeRow,
  type EncodableEvent,
  encodeEvent,
  type StoredRow,
} from '../packages/eventuali/src/model/index.ts'
import type { FactBench } from './read-side-cases.ts'
import type { Fact } from './report.ts'
import { Workload } from './workload.ts'

const flights = new URL('../examples/data/flights-2013-01.ndjson.gz', import.meta.url)

const codecs: readonly (readonly [name: string, codec: CodecOptions])[] = [
  ['msgpack', { encoding: 'msgpack' }],
  ...(['zstd', 'gzip', 'brotli', 'lz4', 'snappy'] as const).map(
    (name) => [`json+${name}`, { compress: { with: name, above: 0 } }] as const,
  ),
  ['msgpack+zstd', { encoding: 'msgpack', compress: { with: 'zstd', above: 0 } }],
]

function eventOf(data: unknown, i: number): EncodableEvent {
  const named = { id: `e-${i}`, idGiven: false, type: 'Happened', metadata: {} }
  return { ...named, data, time: 1_700_000_000_000, schemaVersion: 1, tags: [] }
}

function rowsOf(events: readonly EncodableEvent[], codec: CodecOptions): StoredRow[] {
  const encoder = bodyEncoder(codec)
  return events.map((event, i) => {
    const { body, ...encoded } = encodeEvent('s-1', event, encoder)
    const place = { stream: 's-1', version: i + 1, position: i + 1, recordedAt: 0 }
    return { ...encoded, ...place, data: body ?? encoded.data }
  })
}

function sizeOf(rows: readonly StoredRow[]): number {
  let bytes = 0
  for (const { data } of rows) {
    bytes += typeof data === 'string' ? Buffer.byteLength(data) : data.length
  }
  return bytes
}

/** How many times as long the one takes as the other: in turns, the median of the rounds. */
function timesAsLong(rounds: number, one: () => void, other: () => void): number {
  const ratios: number[] = []
  const time = (work: () => void): number => {
    const startedAt = performance.now()
    work()
    return performance.now() - startedAt
  }
  for (let round = -1; round < rounds; round++) {
    const first = time(one)
    const ratio = first / time(other)
    if (round >= 0) ratios.push(ratio)
  }
  ratios.sort((a, b) => a - b)
  return ratios[Math.floor(ratios.length / 2)] as number
}

/** Orders in lots: about 6 KB. */
function largeData(workload: Workload): unknown[] {
  return Array.from({ length: 300 }, () => ({
    lines: Array.from({ length: 22 }, () => (workload.event() as { data: unknown }).data),
  }))
}

function flightsData(count: number): unknown[] {
  const lines = gunzipSync(readFileSync(flights)).toString().split('\n', count)
  return lines.map((line) => (JSON.parse(line) as { data: unknown }).data)
}

function factsOf(name: string, data: readonly unknown[], rounds: number): Fact[] {
  const events = data.map(eventOf)
  const plain = rowsOf(events, {})
  const plainBytes = sizeOf(plain)
  const share = (bytes: number): number => (100 * bytes) / plainBytes
  const facts: Fact[] = [
    { name: `${name} as json: data of an event`, value: plainBytes / data.length, unit: 'bytes' },
  ]
  for (const [codec, options] of codecs) {
    const rows = rowsOf(events, options)
    const encodeRows = () => rowsOf(events, options)
    const write = timesAsLong(rounds, encodeRows, () => rowsOf(events, {}))
    const decodeRows = () => rows.forEach(decodeRow)
    const read = timesAsLong(rounds, decodeRows, () => plain.forEach(decodeRow))
    const title = `${name} as ${codec}`
    facts.push(
      { name: `${title}: size`, value: share(sizeOf(rows)), unit: "% of json's" },
      { name: `${title}: time to encode`, value: write, unit: "times json's" },
      { name: `${title}: time to decode`, value: read, unit: "times json's" },
    )
  }
  const records = new Packr({ structures: [], useRecords: true })
  let bytes = 0
  for (const one of data) bytes += records.pack(one).length
  const title = `${name} as msgpack with shared structures (no codec of the store): size`
  return [...facts, { name: title, value: share(bytes), unit: "% of json's" }]
}

/** Sizes and speeds of codecs, against JSON text, on three kinds of data. */
export function codecFacts(quick: boolean): FactBench {
  const rounds = quick ? 1 : 7
  return {
    name: 'codecs: size and speed of stored data',
    run: async () => {
      const workload = new Workload(11)
      const orders = Array.from(
        { length: 1000 },
        () => (workload.event() as { data: unknown }).data,
      )
      return [
        ...factsOf('flights', flightsData(quick ? 200 : 5000), rounds),
        ...factsOf('orders', orders, rounds),
        ...factsOf('large', largeData(workload), rounds),
      ]
    },
  }
}
