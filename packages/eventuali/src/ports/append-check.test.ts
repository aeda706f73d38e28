import { describe, expect, it } from 'vitest'
import { assertAppendRequest } from './append-check.ts'
import type { AppendEntry, AppendRequest, NewEvent } from './event-store.ts'

const event: NewEvent = {
  ...{ id: 'x', idGiven: true, type: 'T', data: 1, metadata: {}, time: 1 },
  ...{ schemaVersion: 1, tags: [] },
}
const entry: AppendEntry = { stream: 'a-1', expectedVersion: 'any', events: [event] }
const withEvent = (over: object): AppendRequest => ({
  entries: [{ ...entry, events: [{ ...event, ...over }] }],
})
const withEntry = (over: object): AppendRequest => ({ entries: [{ ...entry, ...over }] })
const archived = { ...event, type: '$archived' }

describe('a request from elsewhere', () => {
  it('passes when a store may rely on it', () => {
    const condition = { query: [{ types: ['T'], tags: ['k:1'] }], position: 0 }
    for (const request of [
      { entries: [entry, { ...entry, stream: 'b-1', expectedVersion: 'exists' as const }] },
      { entries: [entry], condition },
      withEntry({ expectedVersion: 3, ordinals: [0] }),
      withEntry({ change: { kind: 'archive' }, events: [archived] }),
      withEntry({
        change: { kind: 'truncate', before: 1 },
        events: [{ ...event, type: '$truncated' }],
      }),
    ]) {
      expect(() => assertAppendRequest(request)).not.toThrow()
    }
  })

  it('is refused with what is wrong', () => {
    const condition = (over: object) => ({
      entries: [entry],
      condition: { query: [{ types: ['T'], tags: [] }], position: 0, ...over },
    })
    for (const [code, request] of [
      ['ARGUMENT_INVALID', { entries: [] }],
      ['ARGUMENT_INVALID', { entries: [entry, entry] }],
      ['NAME_INVALID', withEntry({ stream: '$x' })],
      ['APPEND_EMPTY', withEntry({ events: [] })],
      ['ARGUMENT_INVALID', withEntry({ expectedVersion: -1 })],
      ['ARGUMENT_INVALID', withEntry({ ordinals: [0, 1] })],
      ['ARGUMENT_INVALID', withEntry({ ordinals: [0, 0], events: [event, event] })],
      [
        'ARGUMENT_INVALID',
        {
          entries: [
            { ...entry, ordinals: [0] },
            { ...entry, stream: 'b' },
          ],
        },
      ],
      ['ARGUMENT_INVALID', withEntry({ change: { kind: 'archive' } })],
      ['ARGUMENT_INVALID', withEntry({ change: { kind: 'delete' }, events: [archived] })],
      [
        'ARGUMENT_INVALID',
        withEntry({
          change: { kind: 'truncate', before: 0 },
          events: [{ ...event, type: '$truncated' }],
        }),
      ],
      ['NAME_INVALID', withEvent({ id: '' })],
      ['NAME_INVALID', withEvent({ type: '$archived' })],
      ['NAME_INVALID', withEvent({ tags: ['\u0000'] })],
      ['ARGUMENT_INVALID', withEvent({ tags: ['a', 'a'] })],
      ['ARGUMENT_INVALID', withEvent({ time: 1.5 })],
      ['ARGUMENT_INVALID', withEvent({ time: 9e15 })],
      ['ARGUMENT_INVALID', withEvent({ schemaVersion: 0 })],
      ['ARGUMENT_INVALID', withEvent({ metadata: [] })],
      ['ARGUMENT_INVALID', condition({ position: -1 })],
      ['ARGUMENT_INVALID', condition({ query: [{ types: [], tags: [] }] })],
      ['NAME_INVALID', condition({ query: [{ types: ['T'], tags: [''] }] })],
    ] as const) {
      const refused = () => assertAppendRequest(request as AppendRequest)
      expect(refused, JSON.stringify(request)).toThrow(expect.objectContaining({ code }))
    }
  })
})
