import { describe, expect, it } from 'vitest'
import { LruMap } from './lru.ts'

describe('LruMap', () => {
  it('never holds more than its bound, and keeps what is used', () => {
    const map = new LruMap<number, number>(10)
    map.set(0, 0)
    for (let i = 1; i <= 1000; i++) {
      map.set(i, i)
      expect(map.get(0)).toBe(0)
    }
    const held = Array.from({ length: 1001 }, (_, i) => map.get(i)).filter((v) => v !== undefined)
    expect(held.length).toBeLessThanOrEqual(10)
    expect(map.get(1)).toBeUndefined()
  })

  it('gives the newest value of a key, and none after delete or clear', () => {
    const map = new LruMap<string, number>(4)
    map.set('a', 1)
    map.set('b', 1)
    map.set('a', 2)
    expect(map.get('a')).toBe(2)
    map.delete('a')
    expect(map.get('a')).toBeUndefined()
    map.clear()
    expect(map.get('b')).toBeUndefined()
  })
})
