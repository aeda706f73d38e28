import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, expect, test } from 'vitest'
import type { StreamInfo } from '../../model/index.ts'
import type { AppendRequest, EventStore, NewEvent } from '../../ports/index.ts'
import { openSqliteStore } from './index.ts'

// Where pages, windows, parts and numbers end.

const MIB = 1024 * 1024
const cleanups: (() => unknown)[] = []
let drawn = 0

afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})

async function opened(): Promise<{ store: EventStore; raw: DatabaseSync }> {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-limits-'))
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'log.db')
  const store = await openSqliteStore({ file, profile: 'relaxed' })
  const raw = new DatabaseSync(file)
  cleanups.push(
    () => store.close(),
    () => raw.close(),
  )
  return { store, raw }
}

const event = (more: Partial<NewEvent> = {}): NewEvent => ({
  ...{ id: `event-${drawn++}`, idGiven: false, type: 'T', data: null, metadata: {} },
  ...{ time: 0, schemaVersion: 1, tags: [], ...more },
})

const one = (stream: string, ...events: NewEvent[]): AppendRequest => ({
  entries: [{ stream, expectedVersion: 'any', events: events.length === 0 ? [event()] : events }],
})

const exhausted = { code: 'NUMBERS_EXHAUSTED' }

test('the last position is given, and none beyond it', async () => {
  const { store, raw } = await opened()
  await store.append(one('a'))
  raw.exec(`UPDATE eventuali_head SET last_position = ${Number.MAX_SAFE_INTEGER - 2}`)
  // In one group: what needs two is refused, what needs one gets the last.
  const both = await Promise.allSettled([
    store.append(one('b', event(), event())),
    store.append(one('c')),
    store.append(one('d')),
  ])
  expect(both).toMatchObject([
    { status: 'rejected', reason: exhausted },
    { value: { ok: true, entries: [{ positions: [Number.MAX_SAFE_INTEGER - 1] }] } },
    { status: 'rejected', reason: exhausted },
  ])
  expect([await store.stream('b'), await store.stream('d')]).toEqual([undefined, undefined])
})

test('the last version of a stream is given, and none beyond it', async () => {
  const { store, raw } = await opened()
  await store.append(one('a'))
  raw.exec(`UPDATE eventuali_streams SET version = ${Number.MAX_SAFE_INTEGER - 2} WHERE name = 'a'`)
  // Another handle, which remembers no heads.
  const other = await openSqliteStore({ file: raw.location() as string })
  cleanups.push(() => other.close())
  const last = await other.append(one('a'))
  expect(last).toMatchObject({ ok: true, entries: [{ version: Number.MAX_SAFE_INTEGER - 1 }] })
  await expect(other.append(one('a'))).rejects.toMatchObject(exhausted)
  expect(await other.append(one('b'))).toMatchObject({ ok: true })
})

test('only ids that the caller gave are compared with each other', async () => {
  const { store } = await opened()
  const given = event({ id: 'same', idGiven: true })
  const drawnAlike = event({ id: 'same', idGiven: false })
  expect(await store.append(one('a', given, drawnAlike))).toMatchObject({ ok: true })
  const twice = await store.append(one('b', given, { ...given }))
  expect(twice).toMatchObject({ ok: false, reason: 'idempotency-conflict', ids: ['same'] })
})

test('a stream may begin with its end', async () => {
  const { store } = await opened()
  const [entry] = one('a', event({ type: '$deleted' })).entries
  const changed = { ...entry, change: { kind: 'delete' } } as AppendRequest['entries'][number]
  expect((await store.append({ entries: [changed] })).ok).toBe(true)
  expect(await store.stream('a')).toMatchObject({ version: 1, state: 'deleted' })
  for await (const fault of store.faults()) expect(fault).toBeUndefined()
})

test('an event far behind others that are not asked for is found, in both directions', async () => {
  const { store } = await opened()
  const many = Array.from({ length: 9000 }, () => event())
  await store.append(one('a', event({ type: 'First' }), ...many, event({ type: 'Last' })))
  for (const [type, direction, position] of [
    ['Last', 'forward', 9002],
    ['First', 'backward', 1],
  ] as const) {
    const query = { types: [type], direction, upTo: 9002 }
    const pages = await Array.fromAsync(store.readLog(query))
    expect(pages.map((page) => page.map((found) => found.position))).toEqual([[position]])
  }
})

test('streams come in pages, each once, however many there are', async () => {
  const { store } = await opened()
  const names = Array.from({ length: 3500 }, (_, n) => `s-${String(n).padStart(4, '0')}`)
  const entries = names.flatMap((name) => one(name).entries)
  await store.append({ entries })
  const sizes: number[] = []
  const seen: StreamInfo[] = []
  for await (const page of store.streams({ category: 's' })) {
    sizes.push(page.length)
    seen.push(...page)
  }
  expect(seen.map(({ stream }) => stream)).toEqual(names)
  expect(sizes).toEqual([1000, 1000, 1000, 500])
  const some = await Array.fromAsync(store.streams({ after: 's-0999', limit: 1500 }))
  expect(some.flat().map(({ stream }) => stream)).toEqual(names.slice(1000, 2500))
})

test('a step of recoding ends where it holds enough, and the next goes on there', async () => {
  const { store } = await opened()
  const data = () => 'Grüße '.repeat((1.6 * MIB) / 8)
  for (let n = 0; n < 8; n++) await store.append(one('a', event({ data: data() })))
  const ends: number[] = []
  for (let after = 0; after < 8; ) {
    const step = await store.transaction((tx) =>
      tx.recode({
        codec: { compress: { with: 'brotli', above: 0 } },
        after,
        upTo: 8,
        countMax: 100,
      }),
    )
    expect(step.changed).toBe(step.position - after)
    after = step.position
    ends.push(after)
  }
  expect(ends.length).toBeGreaterThan(1)
  expect(ends.at(-1)).toBe(8)
  const read = (
    await Array.fromAsync(store.readStream({ stream: 'a', direction: 'forward' }))
  ).flat()
  expect(read).toHaveLength(8)
  for (const { data: back } of read) expect(back === data()).toBe(true)
})
