import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { sleep, systemClock } from '../../kernel/index.ts'
import { manualClock } from '../../testing/index.ts'
import { openSqliteStore } from './index.ts'
import { Watcher } from './watch.ts'

test('a listener that goes when it is called is the last to be polled for', async () => {
  const clock = manualClock()
  let commits = 0
  const watcher = new Watcher(clock, () => commits, undefined)
  let calls = 0
  const stop = watcher.watch(() => {
    calls++
    stop()
  })
  await clock.advance(200)
  expect(calls).toBe(0)
  commits++
  await clock.advance(200)
  expect(calls).toBe(1)
  expect(clock.pending).toBe(0)
  commits++
  await clock.advance(1000)
  expect(calls).toBe(1)
})

test('while nothing is committed the polls become rare, then frequent again', async () => {
  const clock = manualClock()
  let commits = 0
  let polls = 0
  const probe = () => {
    polls++
    return commits
  }
  const watcher = new Watcher(clock, probe, undefined)
  let calls = 0
  watcher.watch(() => calls++)
  await clock.advance(1000)
  const idle = polls
  await clock.advance(1000)
  expect(polls - idle).toBe(10)
  const before = polls
  commits++
  await clock.advance(100)
  expect(calls).toBe(1)
  // The one that found it, then others after 4, 8, 16 and 32 ms.
  expect(polls - before).toBe(5)
  watcher.close()
  expect(clock.pending).toBe(0)
})

test("what a caller's transaction appended is no news before its end", async () => {
  const connection = new DatabaseSync(':memory:')
  const store = await openSqliteStore({ connection })
  const event = { type: 'T', data: null, metadata: {}, time: 1, schemaVersion: 1, tags: [] }
  const append = async () => {
    const events = [{ id: 'e', idGiven: false, ...event }]
    const tx = store.join(connection)
    await tx.append({ entries: [{ stream: 's', expectedVersion: 'any', events }] })
  }
  let calls = 0
  const stop = store.watch(() => calls++)
  connection.exec('BEGIN')
  await append()
  await sleep(systemClock, 60)
  connection.exec('ROLLBACK')
  await sleep(systemClock, 150)
  expect(calls).toBe(0)
  connection.exec('BEGIN')
  await append()
  await sleep(systemClock, 60)
  expect(calls).toBe(0)
  connection.exec('COMMIT')
  for (let i = 0; i < 400 && calls === 0; i++) await sleep(systemClock, 5)
  expect(calls).toBe(1)
  stop()
  await store.close()
  connection.close()
})
