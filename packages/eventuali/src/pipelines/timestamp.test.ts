import { expect, it } from 'vitest'
import { timeOf } from './timestamp.ts'

it('reads RFC 3339 times with a zone, to the millisecond', () => {
  for (const [text, iso] of [
    ['2013-01-31T10:15:00Z', '2013-01-31T10:15:00.000Z'],
    ['2012-02-29T23:59:59.999999999+05:30', '2012-02-29T18:29:59.999Z'],
    ['2000-02-29t00:00:00z', '2000-02-29T00:00:00.000Z'],
    ['0050-02-28T00:00Z', '0050-02-28T00:00:00.000Z'],
    ['-000050-12-31T00:00:00Z', '-000050-12-31T00:00:00.000Z'],
    ['+275760-09-13T00:00:00.000Z', '+275760-09-13T00:00:00.000Z'],
  ] as const) {
    expect(new Date(timeOf(text) ?? Number.NaN).toISOString()).toBe(iso)
  }
})

it('takes nothing else', () => {
  for (const text of [
    '',
    '2013',
    '2013-01-01',
    '2013-01-01T10:00:00',
    '2013-02-29T00:00:00Z',
    '1900-02-29T00:00:00Z',
    '2013-04-31T00:00:00Z',
    '2013-13-01T00:00:00Z',
    '2013-01-32T00:00:00Z',
    '2013-01-01T25:00:00Z',
    'Jan 1 2013 10:00 GMT',
    0,
    null,
    undefined,
    new Date(0),
  ]) {
    expect(timeOf(text)).toBeUndefined()
  }
})

it('reads the commonest form like every other', () => {
  for (let ms = Date.UTC(1899, 11, 1); ms < Date.UTC(2101, 0, 1); ms += 86_399_000 * 29) {
    const text = new Date(ms).toISOString()
    expect(timeOf(text.replace('.000Z', 'Z'))).toBe(ms)
    expect(timeOf(text)).toBe(ms)
  }
  expect(timeOf('2013-01-31T1:015:00Z')).toBeUndefined()
  expect(timeOf('2013-01-31T10:60:00Z')).toBeUndefined()
  expect(timeOf('2013-00-31T10:00:00Z')).toBeUndefined()
})
