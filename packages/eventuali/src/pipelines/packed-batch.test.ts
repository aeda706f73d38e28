import { describe, expect, it } from 'vitest'
import { isSkipped, LineReader } from './import-lines.ts'
import { BatchPacker, BatchUnpacker, type PackedBatch, packLine } from './packed-batch.ts'

/** Lines as the other thread sends them. */
function packed(packer: BatchPacker, reader: LineReader, lines: readonly string[]): PackedBatch {
  const items = lines.map((text, index) => {
    const read = reader.read({ line: index + 1, text })
    if (isSkipped(read)) throw new Error(read.reason)
    return packLine(read)
  })
  return structuredClone(packer.pack({ items, skipped: [] }))
}

const line = (stream: string, data: unknown) => JSON.stringify({ stream, type: 'T', data })

describe('a packed batch', () => {
  it('names each stream and type once, in all batches together', () => {
    const packer = new BatchPacker()
    const reader = new LineReader('test')
    const unpacker = new BatchUnpacker(() => 7)
    const first = packed(packer, reader, [line('a', 1), line('b', 2), line('a', 3)])
    const second = packed(packer, reader, [line('b', 4), line('c', 5)])
    expect([first.streams, first.types]).toEqual([['a', 'b'], ['T']])
    expect([second.streams, second.types]).toEqual([['c'], []])
    const items = [first, second].flatMap((batch) => unpacker.unpack(batch).items)
    expect(items.map(({ stream, event }) => [stream, event.data, event.time])).toEqual([
      ['a', 1, 7],
      ['b', 2, 7],
      ['a', 3, 7],
      ['b', 4, 7],
      ['c', 5, 7],
    ])
  })

  it('leaves a line out, in its place, that only the other thread could read', () => {
    const lines = [line('a', 1), '{"stream":"a","type":"T","data":1e400}', line('a', 3)]
    const batch = packed(new BatchPacker(), new LineReader('test'), lines)
    expect(batch.whole).toEqual([1])
    const texts = batch.texts.with(1, '[')
    const skipped = [{ line: 3, reason: 'first' }]
    const unpacked = new BatchUnpacker(() => 7).unpack({ ...batch, texts, skipped })
    expect(unpacked.items.map(({ event }) => event.data)).toEqual([1, 3])
    expect(unpacked.skipped).toEqual([
      { line: 2, reason: expect.stringContaining('is not JSON') },
      { line: 3, reason: 'first' },
    ])
  })
})
