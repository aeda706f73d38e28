import { expect, it } from 'vitest'
import { type EncodableEvent, encodeEvent } from './codec.ts'

const event = { id: 'a', idGiven: true, type: 'T', data: {}, tags: [], time: 0, schemaVersion: 1 }

function encoded(metadata: unknown): string {
  const given = { ...event, metadata } as unknown as EncodableEvent
  return encodeEvent('s', given).metadata
}

it('metadata that JSON would turn into nothing is refused, and not left out', () => {
  for (const metadata of [new Map([['tenant', 'a']]), new Date(0), new Set([1]), undefined]) {
    expect(() => encoded(metadata)).toThrow(expect.objectContaining({ code: 'DATA_NOT_JSON' }))
  }
})

it('metadata without keys takes no room', () => {
  expect([{}, Object.create(null), { tenant: undefined }].map(encoded)).toEqual(['', '', ''])
})
