import { expect, test } from 'vitest'
import { isSafeSqlite } from './versions.ts'

test('only releases without the WAL-reset bug are written with', () => {
  for (const safe of ['3.44.6', '3.44.9', '3.50.7', '3.51.3', '3.52.0', '3.53.4', '4.0.0']) {
    expect([safe, isSafeSqlite(safe)]).toEqual([safe, true])
  }
  for (const unsafe of ['3.7.0', '3.40.1', '3.44.5', '3.45.3', '3.49.9', '3.50.6', '3.51.2']) {
    expect([unsafe, isSafeSqlite(unsafe)]).toEqual([unsafe, false])
  }
})
