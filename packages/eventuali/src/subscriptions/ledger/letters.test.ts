import { expect, it } from 'vitest'
import type { RecordedEvent } from '../../model/index.ts'
import { newLetter, storedError } from './letters.ts'

it('an error that cannot be looked at is told of all the same', () => {
  const hostile = new Proxy(
    {},
    {
      get: () => {
        throw new Error('planted')
      },
    },
  )
  const told = { name: 'unknown', message: 'an error that cannot be shown', code: '' }
  expect(storedError(hostile)).toEqual(told)
})

it('a letter is new without a note', () => {
  const event = { position: 7, stream: 'a-1', version: 2, type: 'T', id: 'e1' } as RecordedEvent
  const { key, value } = newLetter('mails', event, {
    ...{ key: 'a-1', ordered: true, reason: 'failed', attempts: 1, parkedAt: 5, error: null },
  })
  expect(key.endsWith('/0000000000000007')).toBe(true)
  expect(value).toMatchObject({ subscription: 'mails', eventId: 'e1', note: '' })
})
