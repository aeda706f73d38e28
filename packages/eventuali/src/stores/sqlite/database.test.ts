import fs, { mkdtempSync, rmSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { diskIsFull, syncFolder } from './database.ts'
import { openSqliteStore } from './index.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})

function freshFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-database-'))
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'log.db')
}

/** Makes every sync of a file fail. */
function syncFails(code: string): () => void {
  const { fsyncSync } = fs
  fs.fsyncSync = () => {
    throw Object.assign(new Error(`${code}: planted`), { code })
  }
  syncBuiltinESMExports()
  const mend = () => {
    fs.fsyncSync = fsyncSync
    syncBuiltinESMExports()
  }
  cleanups.push(mend)
  return mend
}

test('a commit to a file whose name could not be made to last is not acknowledged', async () => {
  const store = await openSqliteStore({ file: freshFile() })
  cleanups.push(() => store.close())
  const event = { type: 'T', data: null, metadata: {}, time: 1, schemaVersion: 1, tags: [] }
  const append = (id: string) => {
    const events = [{ id, idGiven: true, ...event }]
    return store.append({ entries: [{ stream: 's', expectedVersion: 'any', events }] })
  }
  const mend = syncFails('EIO')
  await expect(append('a')).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
  mend()
  // Tried again under its id it is found, and acknowledged once the name is safe.
  expect(await append('a')).toMatchObject({ ok: true, entries: [{ version: 1 }] })
})

test('a system that cannot sync folders is no failure', () => {
  const file = freshFile()
  for (const code of ['EINVAL', 'EPERM', 'EISDIR']) {
    const mend = syncFails(code)
    expect(() => syncFolder(file)).not.toThrow()
    mend()
  }
  expect(() => syncFolder(join(file, 'none', 'log.db'))).not.toThrow()
})

test('what has no disk, or one that does not answer, is not full', () => {
  expect(diskIsFull(undefined)).toBe(false)
  expect(diskIsFull(join(freshFile(), 'none', 'log.db'))).toBe(false)
})
