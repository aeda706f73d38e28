import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { defineEvents, event, OutcomeUnknownError, type } from '../model/index.ts'
import { openMemoryStore, wrapStore } from '../testing/index.ts'
import { type AppendManyEntry, openStore } from './index.ts'

const folder = mkdtempSync(join(tmpdir(), 'eventuali-many-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const events = defineEvents({
  Noted: event(type<{ n: number; room: string }>(), { tags: ({ room }) => [`room:${room}`] }),
})
const noted = (n: number) => events.Noted({ n, room: `${n % 3}` })

test.each(['memory:', `sqlite:${join(folder, 'many.db')}`])(
  'events of many streams are stored in their order, with their tags, on %s',
  async (url) => {
    await using store = await openStore(url, { events: [events] })
    const batches: number[] = []
    async function* entries(): AsyncGenerator<AppendManyEntry> {
      for (let n = 0; n < 2500; n++) yield { stream: `s-${n % 7}`, events: noted(n) }
    }
    const done = await store.appendMany(entries(), {
      batchCountMax: 1000,
      onProgress: (progress) => batches.push(progress.events),
    })
    expect([done, batches]).toEqual([{ events: 2500, duplicates: 0 }, [1000, 2000, 2500]])
    const log = await store.readAll().toArray()
    expect(log.map(({ data }) => data.n)).toEqual(Array.from({ length: 2500 }, (_, n) => n))
    const room = await store.readAll({ tags: ['room:1'] }).toArray()
    expect(room.length).toBe(833)
    expect((await store.stream('s-3'))?.version).toBe(357)
    expect((await store.verify()).ok).toBe(true)
  },
)

test('a batch ends at its bytes too, and an entry is never cut', async () => {
  const sizes: number[] = []
  const port = wrapStore(await openMemoryStore(), {
    append: (next, request, options) => {
      sizes.push(request.entries.reduce((sum, entry) => sum + entry.events.length, 0))
      return next.append(request, options)
    },
  })
  await using store = await openStore(port)
  const large = { type: 'Large', data: 'x'.repeat(3_000_000) }
  const small = { type: 'Small', data: 1 }
  const entries = [
    ...Array.from({ length: 4 }, () => ({ stream: 'large-1', events: large })),
    { stream: 'small-1', events: Array.from({ length: 12 }, () => small) },
    { stream: 'small-2', events: small },
  ]
  await store.appendMany(entries, { batchCountMax: 5 })
  expect(sizes).toEqual([3, 1, 12, 1])
})

test('a failure says what is stored, and with ids the call can be made again', async () => {
  let isDown = true
  let appends = 0
  const port = wrapStore(await openMemoryStore(), {
    append: async (next, request, options) => {
      if (isDown && ++appends === 3) throw new RangeError('the disk is on fire')
      return next.append(request, options)
    },
  })
  await using store = await openStore(port)
  const all = Array.from({ length: 50 }, (_, n) => ({
    ...{ stream: `s-${n % 4}`, events: { type: 'Noted', data: { n }, id: `note-${n}` } },
  }))
  const failed = store.appendMany(all, { batchCountMax: 10 })
  await expect(failed).rejects.toMatchObject({
    ...{ code: 'APPEND_ENDED_EARLY', events: 20, message: /20 events are stored.*on fire/ },
    cause: new RangeError('the disk is on fire'),
  })
  isDown = false
  const again = await store.appendMany(all, { batchCountMax: 15 })
  expect(again).toEqual({ events: 30, duplicates: 20 })
  const log = await store.readAll().toArray()
  expect(log.map(({ data }) => (data as { n: number }).n)).toEqual(all.map((_, n) => n))
})

test('what is unknown is not tried again without ids, and is with them', async () => {
  let lost = 1
  const port = wrapStore(await openMemoryStore(), {
    append: async (next, request, options) => {
      const outcome = await next.append(request, options)
      if (lost-- > 0) throw new OutcomeUnknownError('the append')
      return outcome
    },
  })
  await using store = await openStore(port)
  const plain = [{ stream: 'a-1', events: { type: 'Noted', data: 1 } }]
  await expect(store.appendMany(plain)).rejects.toMatchObject({ events: 0 })
  expect((await store.stream('a-1'))?.version).toBe(1)
  let first = true
  const again = wrapStore(await openMemoryStore(), {
    append: async (next, request, options) => {
      const outcome = await next.append(request, options)
      if (first) {
        first = false
        throw new OutcomeUnknownError('the append')
      }
      return outcome
    },
  })
  await using other = await openStore(again)
  const known = [{ stream: 'a-1', events: { type: 'Noted', data: 1, id: 'one' } }]
  expect(await other.appendMany(known)).toEqual({ events: 0, duplicates: 1 })
  expect((await other.stream('a-1'))?.version).toBe(1)
})

test('bad entries, options and signals end it with nothing half stored', async () => {
  await using store = await openStore('memory:', { events: [events] })
  const bad = [
    { stream: 'a-1', events: noted(1) },
    { stream: 'a-2', events: { type: 'Nobody', data: {} } as never },
  ]
  await expect(store.appendMany(bad)).rejects.toMatchObject({
    ...{ code: 'APPEND_ENDED_EARLY', events: 0 },
    cause: expect.objectContaining({ code: 'EVENT_TYPE_UNKNOWN' }),
  })
  expect(await store.stream('a-1')).toBeUndefined()
  const unnamed = store.appendMany([{ stream: '', events: noted(1) }])
  await expect(unnamed).rejects.toMatchObject({
    cause: expect.objectContaining({ code: 'NAME_INVALID' }),
  })
  for (const batchCountMax of [0, 1.5, 10_001]) {
    await expect(store.appendMany([], { batchCountMax })).rejects.toThrow(/batchCountMax/)
  }
  const stop = new AbortController()
  const ended = store.appendMany(
    Array.from({ length: 30 }, (_, n) => ({ stream: 'b-1', events: noted(n) })),
    { batchCountMax: 10, signal: stop.signal, onProgress: () => stop.abort(new Error('enough')) },
  )
  await expect(ended).rejects.toMatchObject({ events: 10, cause: new Error('enough') })
})
