import { expect, test } from 'vitest'
import { tagHash } from './tag-hash.ts'

test('a tag has the same key for ever', () => {
  expect(tagHash('course:1')).toBe(tagHash('course:1'))
  // Stored in databases: a change here needs a migration.
  expect(tagHash('course:1')).toBe(0xd72ce4b73c84)
  expect(tagHash('ünïcode:🚀')).toBe(0xf2a4ec40388d)
})

test('a key is a safe integer of 48 bits', () => {
  for (let i = 0; i < 1000; i++) {
    const key = tagHash(`student:${i}`)
    expect(Number.isSafeInteger(key)).toBe(true)
    expect(key).toBeGreaterThanOrEqual(0)
    expect(key).toBeLessThan(2 ** 48)
  }
})
