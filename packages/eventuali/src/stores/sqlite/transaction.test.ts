import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, expect, test } from 'vitest'
import type { AppendRequest, EventStore } from '../../ports/index.ts'
import { openSqliteStore } from './index.ts'

// Transactions that end otherwise than their callback believes.

const cleanups: (() => unknown)[] = []
let drawn = 0
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})

async function opened(): Promise<{ store: EventStore; file: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-transaction-'))
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'log.db')
  const store = await openSqliteStore({ file, profile: 'relaxed' })
  cleanups.push(() => store.close())
  return { store, file }
}

function one(stream: string, data: string | null = null): AppendRequest {
  const event = { type: 'T', data, metadata: {}, time: 1, schemaVersion: 1, tags: [] }
  const events = [{ id: `e-${drawn++}`, idGiven: false, ...event }]
  return { entries: [{ stream, expectedVersion: 'any', events }] }
}

const failed = { code: 'STORAGE_FAILED' }

test('one that an append rolled back commits nothing, whatever the callback does', async () => {
  const { store, file } = await opened()
  const raw = new DatabaseSync(file)
  raw.exec(`CREATE TRIGGER planted BEFORE INSERT ON eventuali_events WHEN NEW.data LIKE '%boom%'
    BEGIN SELECT RAISE(ROLLBACK, 'planted'); END`)
  raw.close()
  const swallowed = store.transaction(async (tx) => {
    await tx.append(one('a'))
    await expect(tx.append(one('b', 'boom'))).rejects.toMatchObject(failed)
    // Outside of a transaction it would be committed at once.
    await expect(tx.append(one('c'))).rejects.toMatchObject(failed)
  })
  await expect(swallowed).rejects.toMatchObject(failed)
  expect(await store.positions()).toEqual({ safe: 0, newest: 0 })
  expect(await store.append(one('a'))).toMatchObject({ ok: true, entries: [{ version: 1 }] })
})

test('a part that fails after the end undoes nothing of the next transaction', async () => {
  const { store } = await opened()
  let fail: (reason: Error) => void = () => {}
  const late = new Promise<never>((_, reject) => {
    fail = reject
  })
  let part: Promise<unknown> = Promise.resolve()
  const tooLong = store.transaction(
    async (tx) => {
      part = tx.savepoint(() => late)
      part.catch(() => {})
      await part
    },
    { timeoutMs: 30 },
  )
  await expect(tooLong).rejects.toMatchObject({ code: 'TRANSACTION_TIMEOUT' })
  await store.transaction(async (tx) => {
    await tx.savepoint(async () => {
      await tx.append(one('a'))
      fail(new Error('too late'))
      await expect(part).rejects.toThrow('too late')
    })
    await tx.append(one('b'))
  })
  expect(await store.positions()).toEqual({ safe: 2, newest: 2 })
})

test('a read waits for a transaction on the only connection, no longer than it may', async () => {
  const store = await openSqliteStore({ file: ':memory:' })
  cleanups.push(() => store.close())
  await store.transaction(async (tx) => {
    await tx.append(one('a'))
    const read = store.stream('a', { timeoutMs: 20 })
    await expect(read).rejects.toMatchObject({ code: 'STORAGE_BUSY' })
  })
  expect((await store.stream('a'))?.version).toBe(1)
})
