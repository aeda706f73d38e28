import { describe, expect, it } from 'vitest'
import { durationMs } from './duration.ts'
import { occurrenceAfter, occurrenceFollowing, recurrenceOf } from './recurrence.ts'

const minute = 60_000
const at = (text: string) => new Date(text).getTime()

function next(pattern: string, timeZone: string, from: string, count: number): string[] {
  const recurrence = recurrenceOf(pattern, { timeZone })
  const found: string[] = []
  for (let last = at(from); found.length < count; ) {
    const moment = occurrenceAfter(recurrence, last)
    if (moment === undefined) break
    found.push(new Date(moment).toISOString().slice(0, 16))
    last = moment
  }
  return found
}

describe('durationMs', () => {
  it.each([
    ['30 minutes', 30 * minute],
    ['2h', 120 * minute],
    ['1h 30m', 90 * minute],
    ['1 day, 2 hours', 26 * 60 * minute],
    ['1.5 seconds', 1500],
    ['250ms', 250],
    ['PT30M', 30 * minute],
    ['P1DT12H', 36 * 60 * minute],
    ['P2W', 14 * 24 * 60 * minute],
    ['0s', 0],
    [1234, 1234],
  ])('reads %s', (text, ms) => {
    expect(durationMs(text)).toBe(ms)
  })

  it.each([
    ['1 month', /months or years/],
    ['P1M', /months or years/],
    ['P1Y2D', /months or years/],
    ['3 fortnights', /unit "fortnights"/],
    ['soon', /is no duration/],
    ['', /is no duration/],
    ['PT', /is no duration/],
    ['P', /is no duration/],
    ['5', /is no duration/],
    ['1h and 5m', /./],
    ['-5 minutes', /is no duration/],
    [-1, /is not 0 or more/],
    [Number.NaN, /is not 0 or more/],
    ['200 years', /months or years/],
    ['999999 days', /hundred years/],
    [null, /no text and no number/],
  ])('refuses %s', (text, message) => {
    expect(() => durationMs(text as string)).toThrow(message)
  })
})

describe('a recurrence', () => {
  it('keeps its local time when the clocks change', () => {
    expect(next('0 9 * * 1-5', 'Europe/Berlin', '2026-03-26T12:00:00Z', 2)).toEqual([
      '2026-03-27T08:00',
      '2026-03-30T07:00',
    ])
    expect(next('0 9 * * *', 'America/New_York', '2026-10-31T12:00:00Z', 3)).toEqual([
      '2026-10-31T13:00',
      '2026-11-01T14:00',
      '2026-11-02T14:00',
    ])
  })

  it('comes once on a day on which its hour is left out, and once when it comes twice', () => {
    expect(next('30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00:00Z', 2)).toEqual([
      '2026-03-29T01:00',
      '2026-03-30T00:30',
    ])
    expect(next('30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00:00Z', 2)).toEqual([
      '2026-10-25T00:30',
      '2026-10-26T01:30',
    ])
  })

  it('of every half hour loses none and doubles none over both changes', () => {
    for (const from of ['2026-03-28T22:00:00Z', '2026-10-24T20:00:00Z']) {
      const moments = next('*/30 * * * *', 'Europe/Berlin', from, 20).map((text) => at(`${text}Z`))
      moments.forEach((moment, index) => {
        expect(moment).toBe(at(from) + (index + 1) * 30 * minute)
      })
    }
  })

  it('knows leap days and months without a 31st', () => {
    expect(next('0 0 29 2 *', 'UTC', '2026-01-01T00:00:00Z', 2)).toEqual([
      '2028-02-29T00:00',
      '2032-02-29T00:00',
    ])
    expect(next('0 0 31 * *', 'UTC', '2026-03-31T00:00:00Z', 2)).toEqual([
      '2026-05-31T00:00',
      '2026-07-31T00:00',
    ])
    expect(next('0 0 31 2 *', 'UTC', '2026-01-01T00:00:00Z', 1)).toEqual([])
  })

  it('may be a distance, and leaves out what was missed if told so', () => {
    const all = recurrenceOf('15 minutes')
    expect(occurrenceFollowing(all, 0, 60 * minute)).toBe(15 * minute)
    const latest = recurrenceOf('15 minutes', { missed: 'latest' })
    expect(occurrenceFollowing(latest, 0, 50 * minute)).toBe(45 * minute)
    expect(occurrenceFollowing(latest, 0, 10 * minute)).toBe(15 * minute)
    const cron = recurrenceOf('0 * * * *', { missed: 'latest' })
    expect(occurrenceFollowing(cron, 0, 200 * minute)).toBe(180 * minute)
    expect(occurrenceFollowing(cron, 0, 30 * minute)).toBe(60 * minute)
  })

  it('refuses patterns and zones that nobody knows', () => {
    expect(() => recurrenceOf('0 9 * * 9')).toThrow(/refused/)
    expect(() => recurrenceOf('61 * * * *')).toThrow(/refused/)
    expect(() => recurrenceOf('0 9 * * *', { timeZone: 'Mars/North' })).toThrow(/not known/)
    expect(() => recurrenceOf('0s')).toThrow(/without a pause/)
    expect(() => recurrenceOf('often')).toThrow(/no duration/)
  })
})
