import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { manualClock } from '../../testing/index.ts'
import type { SqlConnection } from './driver.ts'
import { WalBound } from './wal-bound.ts'

const MIB = 1024 * 1024

/** A bound over a log of any size, and a checkpoint that a reader may be in the way of. */
function bounded() {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-wal-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'log.db')
  writeFileSync(`${file}-wal`, '')
  const clock = manualClock()
  const state = { busy: 0, asked: 0, fails: false }
  const get = () => {
    state.asked++
    if (state.fails) throw new Error('planted')
    return [state.busy]
  }
  const connection = { prepare: () => ({ get }) } as unknown as SqlConnection
  const bound = new WalBound(file, clock)
  const commit = (count = 1, bytes = MIB): number => {
    const before = state.asked
    for (let n = 0; n < count; n++) bound.afterCommit(connection, bytes)
    return state.asked - before
  }
  // Sparse: takes no room on the disk.
  const grow = (bytes: number): void => truncateSync(`${file}-wal`, bytes)
  return { clock, state, commit, grow }
}

test('a log below the bound is left alone, and not measured at every commit', () => {
  const { commit, grow } = bounded()
  grow(8 * MIB)
  expect(commit()).toBe(0)
  grow(41 * MIB)
  // The next look is after another two MiB.
  expect(commit(16, MIB / 8)).toBe(0)
  expect(commit(1, MIB / 8)).toBe(1)
  // Or less, where less is left.
  grow(39.5 * MIB)
  expect(commit(1, MIB / 8)).toBe(0)
  grow(41 * MIB)
  expect(commit(4, MIB / 8)).toBe(0)
  expect(commit(1, MIB / 8)).toBe(1)
})

test('a log beyond the bound is begun anew at each commit until it is small', () => {
  const { commit, grow } = bounded()
  grow(40 * MIB)
  expect(commit(3)).toBe(3)
  grow(0)
  expect(commit(5)).toBe(0)
  // One that may have filled it alone is looked at alone.
  grow(41 * MIB)
  expect(commit(1, 50 * MIB)).toBe(1)
})

test('a reader in the way is asked less and less often, at least once a second', async () => {
  const { clock, state, commit, grow } = bounded()
  grow(41 * MIB)
  state.busy = 1
  expect(commit(10)).toBe(1)
  for (const delayMs of [25, 50, 100, 200, 400, 800, 1000, 1000]) {
    await clock.advance(delayMs - 1)
    expect(commit(3)).toBe(0)
    await clock.advance(1)
    expect(commit(3)).toBe(1)
  }
  // It is gone: from here on as in the beginning.
  state.busy = 0
  await clock.advance(1000)
  expect(commit(2)).toBe(2)
  state.busy = 1
  expect(commit(2)).toBe(1)
  await clock.advance(25)
  expect(commit()).toBe(1)
})

test('a checkpoint that fails fails no commit', () => {
  const { state, commit, grow } = bounded()
  grow(41 * MIB)
  state.fails = true
  expect(commit(2)).toBe(2)
  state.fails = false
  expect(commit()).toBe(1)
})
