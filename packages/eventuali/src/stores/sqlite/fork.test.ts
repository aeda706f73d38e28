import fs, {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { EventStore } from '../../ports/index.ts'
import { openSqliteStore } from './index.ts'

// What may happen while a log is copied, and on file systems that cannot do everything.

const MIB = 1024 * 1024
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})

async function filled(...bytes: readonly number[]): Promise<{ store: EventStore; folder: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-fork-'))
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
  const store = await openSqliteStore({ file: join(folder, 'log.db'), profile: 'relaxed' })
  cleanups.push(() => store.close())
  const events = bytes.map((size, n) => ({
    ...{ id: `e-${n}`, idGiven: false, type: 'T', data: 'x'.repeat(size), metadata: {} },
    ...{ time: 0, schemaVersion: 1, tags: [] },
  }))
  await store.append({ entries: [{ stream: 's', expectedVersion: 'any', events }] })
  return { store, folder }
}

/** Makes links fail as they do where a file system has none. */
function withoutLinks(before: () => void = () => {}): void {
  const { linkSync } = fs
  fs.linkSync = () => {
    before()
    throw Object.assign(new Error('operation not permitted'), { code: 'EPERM' })
  }
  syncBuiltinESMExports()
  cleanups.push(() => {
    fs.linkSync = linkSync
    syncBuiltinESMExports()
  })
}

const left = (folder: string) => readdirSync(folder).filter((name) => !name.startsWith('log.db'))

test('large events are copied in parts of bytes', async () => {
  const { store, folder } = await filled(2.5 * MIB, 2.5 * MIB, 2.5 * MIB, 10, 10)
  const parts: number[] = []
  const onProgress = (position: number) => void parts.push(position)
  const outcome = await store.fork({ into: join(folder, 'fork.db'), upTo: 5, onProgress })
  expect(parts).toEqual([2, 5])
  expect(outcome).toMatchObject({ events: 5, streams: 1 })
})

test('a file that somebody makes under the name meanwhile is not written over', async () => {
  for (const links of [true, false]) {
    const { store, folder } = await filled(10)
    const into = join(folder, 'fork.db')
    const appear = () => writeFileSync(into, 'of somebody else')
    if (!links) withoutLinks(appear)
    const onProgress = links ? appear : undefined
    const forking = store.fork({ into, upTo: 1, onProgress })
    await expect(forking).rejects.toMatchObject({ code: 'FORK_TARGET_EXISTS' })
    expect(readFileSync(into, 'utf8')).toBe('of somebody else')
    expect(left(folder)).toEqual(['fork.db'])
  }
})

test('a fork is made where files cannot be linked', async () => {
  const { store, folder } = await filled(10, 10)
  withoutLinks()
  const into = join(folder, 'fork.db')
  await store.fork({ into, upTo: 2 })
  expect(left(folder)).toEqual(['fork.db'])
  const fork = await openSqliteStore({ file: into })
  expect((await fork.stream('s'))?.version).toBe(2)
  await fork.close()
})

test('a fork that is too late or not wanted any more leaves nothing behind', async () => {
  const { store, folder } = await filled(10, 10)
  const into = join(folder, 'fork.db')
  const stop = new AbortController()
  const onProgress = () => stop.abort(new Error('enough'))
  const stopped = store.fork({ into, upTo: 2, onProgress }, { signal: stop.signal })
  await expect(stopped).rejects.toThrow('enough')
  const late = store.fork({ into, upTo: 2 }, { timeoutMs: 0.001 })
  await expect(late).rejects.toMatchObject({ code: 'TIMEOUT' })
  expect(existsSync(into)).toBe(false)
  expect(left(folder)).toEqual([])
})
