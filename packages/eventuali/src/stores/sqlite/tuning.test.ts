import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, expect, test } from 'vitest'
import { openStore } from '../../store/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'eventuali-tune-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const large = { type: 'Grown', data: { text: 'x'.repeat(1_000_000) } }

test('a file with much free room is vacuumed on request, and the log stays as it was', async () => {
  const file = join(folder, 'free.db')
  await using store = await openStore(`sqlite:${file}`)
  expect(await store.tune()).toEqual([])
  for (let n = 0; n < 40; n++) await store.append(`large-${n}`, large)
  for (let n = 1; n < 40; n++) await store.deleteStream(`large-${n}`)
  const before = await store.readAll({ upTo: 'newest' }).toArray()
  const [advice, ...others] = await store.tune()
  expect(others).toEqual([])
  expect(advice).toMatchObject({
    ...{ name: 'vacuum', scope: 'store', statement: 'VACUUM', applied: false },
    now: expect.stringMatching(/MiB of .* MiB are free pages/),
  })
  const [done] = await store.tune({ apply: ['vacuum'] })
  expect(done).toMatchObject({ name: 'vacuum', applied: true })
  expect(await store.tune({ apply: 'all' })).toEqual([])
  expect(await store.readAll({ upTo: 'newest' }).toArray()).toEqual(before)
  const { position } = await store.append('after-1', { type: 'Small', data: null })
  expect(position).toBeGreaterThan(before.at(-1)?.position ?? 0)
  expect((await store.verify()).ok).toBe(true)
  await store.close()
  expect(statSync(file).size).toBeLessThan(4_000_000)
})

test('a log that another program holds open is named, and begun anew once it lets go', async () => {
  const file = join(folder, 'held.db')
  await using store = await openStore(`sqlite:${file}`)
  await store.append('large-0', large)
  const reader = new DatabaseSync(file, { readOnly: true })
  reader.exec('BEGIN')
  reader.prepare('SELECT count(*) FROM eventuali_events').get()
  for (let n = 1; n < 80; n++) await store.append(`large-${n}`, large)
  const [advice] = await store.tune()
  expect(advice).toMatchObject({ name: 'checkpoint', scope: 'store', applied: false })
  reader.exec('COMMIT')
  reader.close()
  expect(await store.tune({ apply: ['checkpoint'] })).toMatchObject([{ applied: true }])
  expect(await store.tune()).toEqual([])
})

test('what is no advice, or not for the store to do, is refused and does nothing', async () => {
  const file = join(folder, 'pages.db')
  const made = new DatabaseSync(file)
  made.exec('PRAGMA page_size = 8192; CREATE TABLE other (x)')
  made.close()
  await using store = await openStore(`sqlite:${file}`)
  expect(await store.tune({ apply: 'all' })).toMatchObject([
    { name: 'page-size', scope: 'server', now: '8192 bytes a page', applied: false },
  ])
  const refused = { code: 'ARGUMENT_INVALID' }
  await expect(store.tune({ apply: ['page-size'] })).rejects.toMatchObject(refused)
  await expect(store.tune({ apply: ['vacuum'] })).rejects.toThrow(/is no advice for this store now/)
  await expect(store.tune({ apply: 7 as never })).rejects.toThrow(/names, or 'all'/)
  await expect(store.transaction(() => store.tune())).rejects.toMatchObject({
    code: 'TRANSACTION_NESTED',
  })
  await using reader = await openStore(`sqlite:${file}`, { readOnly: true })
  await expect(reader.tune()).rejects.toMatchObject({ code: 'STORE_READ_ONLY' })
  await using memory = await openStore('memory:')
  await expect(memory.tune()).rejects.toMatchObject({ code: 'CAPABILITY_MISSING' })
})

test('a file is mapped for reads only where that is asked for', async () => {
  const url = `sqlite:${join(folder, 'mapped.db')}`
  await using plain = await openStore(url)
  expect((await plain.port.settings()).mmap_size).toBe('0')
  await plain.append('a-1', { type: 'Noted', data: 1 })
  await using mapped = await openStore(url, { mmapBytes: 1_048_576 })
  expect((await mapped.port.settings()).mmap_size).toBe('1048576')
  await plain.append('a-1', { type: 'Noted', data: 2 })
  expect((await mapped.readStream('a-1').toArray()).map(({ data }) => data)).toEqual([1, 2])
  for (const mmapBytes of [-1, 1.5]) {
    await expect(openStore(url, { mmapBytes })).rejects.toThrow(/mmapBytes/)
  }
})
