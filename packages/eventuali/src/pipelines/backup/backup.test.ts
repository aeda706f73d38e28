import { readdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it, vi } from 'vitest'
import { openStore } from '../../store/index.ts'
import { openMemoryStore } from '../../stores/memory/index.ts'
import { backupStore, checkBackup, restoreBackup } from './index.ts'
import { contentOf, fill, opened, temporaryFolder } from './stores.test-support.ts'

const restoring = { restoring: true } as const
const codec = { encoding: 'msgpack', compress: { with: 'gzip', above: 100 } } as const

it.each([
  ['memory', 'sqlite'],
  ['sqlite', 'memory'],
  ['sqlite', 'sqlite'],
] as const)(
  'a log of %s is the same one in %s, whatever its streams have been through',
  async (from, to) => {
    const folder = temporaryFolder()
    const urlOf = (kind: string, name: string) =>
      kind === 'memory' ? 'memory:' : `sqlite:${join(folder, name)}`
    const source = await opened(urlOf(from, 'a.db'), { codec })
    await fill(source)
    const made = await backupStore(source, { out: folder })
    const target = await opened(urlOf(to, 'b.db'), restoring)
    const progress = new Set<string>()
    const result = await restoreBackup(target, [made.file], {
      onProgress: ({ phase }) => progress.add(phase),
    })
    expect([...progress]).toEqual(['check', 'restore', 'compare'])
    expect(await contentOf(target)).toEqual(await contentOf(source))
    expect((await target.verify()).problems).toEqual([])
    expect(result).toMatchObject({ position: made.upTo, resumedAfter: 0 })
    expect(target.incarnation).not.toBe(source.incarnation)
    const next = await target.append('cart-0', { type: 'Added', data: 1 })
    expect(next.position).toBeGreaterThan(made.upTo)
    const again = await target.append('cart-3', { type: 'Paid', data: null, id: 'given-3' })
    expect(again.duplicate).toBe(true)
  },
)

it('increments go on from one another, and end at any position or time', async () => {
  const folder = temporaryFolder()
  let now = 1_000
  const clock = { now: () => now, monotonic: () => performance.now(), timer: () => () => {} }
  const source = await openStore(await openMemoryStore({ clock }), { clock })
  await fill(source)
  const full = await backupStore(source, { out: folder, clock })
  const first = await contentOf(source)
  now = 2_000
  await fill(source, 12)
  await source.deleteStream('cart-2')
  const second = await backupStore(source, { out: folder, base: true, clock })
  const middle = await contentOf(source)
  now = 3_000
  await source.append('cart-2', { type: 'Added', data: 9 }, { recreate: true })
  await source.archive('old-0', { undo: true })
  const third = await backupStore(source, { out: folder, base: second.file, clock })
  expect(second).toMatchObject({ from: full.upTo, base: { link: full.link } })
  expect(third.events).toBe(2)
  await backupStore(source, { out: join(folder, 'empty.backup'), base: third.file, clock })

  const files = [third.file, full.file, second.file]
  expect(await checkBackup(files)).toMatchObject({ upTo: third.upTo })
  const restored = async (options: Parameters<typeof restoreBackup>[2]) => {
    const target = await opened('memory:', restoring)
    await restoreBackup(target, files, options)
    expect((await target.verify()).problems).toEqual([])
    return contentOf(target)
  }
  expect(await restored({})).toEqual(await contentOf(source))
  expect(await restored({ toPosition: second.upTo })).toEqual(middle)
  expect(await restored({ toTime: new Date(1_999) })).toEqual(first)
  expect((await restored({ toPosition: 0 })).log).toEqual([])
  const third12 = await restored({ toPosition: 12 })
  expect(third12.log).toEqual(first.log.filter(({ position }) => position <= 12))
  const whole = await opened('memory:', restoring)
  expect(await restoreBackup(whole, [folder])).toMatchObject({ position: third.upTo })
  expect(await contentOf(whole)).toEqual(await contentOf(source))
})

it('refuses a time before all was recorded, as of history that was imported', async () => {
  const folder = temporaryFolder()
  let now = Date.UTC(2026, 4, 1)
  const clock = { now: () => now, monotonic: () => performance.now(), timer: () => () => {} }
  const source = await openStore(await openMemoryStore({ clock }), { clock })
  const old = new Date('2013-01-31T10:00:00Z')
  const { file } = await backupStore(source, { out: join(folder, 'empty.backup'), clock })
  await source.append('flight-1', { type: 'Landed', data: {}, time: old })
  now = Date.UTC(2026, 4, 2)
  await source.append('flight-2', { type: 'Landed', data: {}, time: old })
  const full = await backupStore(source, { out: join(folder, 'full.backup'), clock })
  const opening = vi.fn(() => opened('memory:', restoring))
  const times = ['2026-05-01T00:00:00.000Z', '2026-05-02T00:00:00.000Z']
  for (const toTime of [old, new Date(Date.UTC(2026, 4, 1) - 1)]) {
    const refused = restoreBackup(opening, [full.file], { toTime })
    await expect(refused).rejects.toMatchObject({
      ...{ code: 'ARGUMENT_INVALID', argument: 'toTime' },
      message: expect.stringMatching(`recorded from ${times.join(' to ')}, .* by recordedAt`),
    })
  }
  expect(opening).not.toHaveBeenCalled()
  const first = { toTime: new Date(Date.UTC(2026, 4, 1)) }
  expect(await restoreBackup(opening, [full.file], first)).toMatchObject({ position: 1 })
  // Where there is nothing, nothing is missed.
  expect(await restoreBackup(opening, [file], { toTime: old })).toMatchObject({ position: 0 })
})

it('refuses what does not belong together', async () => {
  const folder = temporaryFolder()
  const source = await opened('memory:')
  await fill(source)
  const full = await backupStore(source, { out: folder })
  await source.append('cart-0', { type: 'Added', data: 1 })
  const one = await backupStore(source, { out: join(folder, 'one.backup'), base: full.file })
  await source.append('cart-0', { type: 'Added', data: 2 })
  const two = await backupStore(source, { out: join(folder, 'two.backup'), base: one.file })
  const chain = { code: 'BACKUP_CHAIN' }
  await expect(checkBackup([full.file, two.file])).rejects.toMatchObject(chain)
  await expect(checkBackup([one.file])).rejects.toMatchObject(chain)
  await expect(checkBackup([full.file, one.file, one.file])).rejects.toMatchObject(chain)
  const other = await opened('memory:')
  await fill(other)
  const foreign = await backupStore(other, { out: join(folder, 'x.backup') })
  await expect(checkBackup([full.file, foreign.file])).rejects.toMatchObject(chain)
  const based = (base: string | true, out = join(folder, 'y.backup')) =>
    backupStore(other, { out, base })
  await expect(based(full.file)).rejects.toMatchObject(chain)
  const empty = temporaryFolder()
  await expect(based(true, empty)).rejects.toMatchObject(chain)
  await expect(based(true, join(empty, 'new/'))).rejects.toMatchObject(chain)
  await expect(based(true)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
  await expect(based(true, foreign.file)).rejects.toThrow('is a file; name the folder')
  await expect(checkBackup([empty])).rejects.toMatchObject({ code: 'BACKUP_INVALID' })
  const exists = backupStore(other, { out: foreign.file })
  await expect(exists).rejects.toMatchObject({ code: 'BACKUP_EXISTS' })
  expect(readdirSync(folder).filter((name) => /unfinished|y\./.test(name))).toEqual([])
})

it('a folder that is not there yet is made where a slash says that it is one', async () => {
  const folder = temporaryFolder()
  const source = await opened('memory:')
  await fill(source)
  const out = `${join(folder, 'every', 'night')}/`
  const full = await backupStore(source, { out })
  expect(full.file).toBe(join(folder, 'every/night', basename(full.file)))
  await fill(source, 100)
  expect(await backupStore(source, { out, base: true })).toMatchObject({ from: full.upTo })
  await expect(backupStore(source, { out: join(folder, 'no/a.backup') })).rejects.toMatchObject({
    code: 'ARGUMENT_INVALID',
  })
  await expect(backupStore(source, { out: `${full.file}/` })).rejects.toThrow('is a file')
})

it('an increment is not made of a log that went another way', async () => {
  const folder = temporaryFolder()
  const source = await opened('memory:')
  await source.append('a', { type: 'T', data: 1 })
  const full = await backupStore(source, { out: folder })
  const same = async (count: number) => {
    const port = await openMemoryStore()
    const store = await openStore({ ...portLike(port), incarnation: source.incarnation })
    for (let n = 0; n < count; n++) await store.append('a', { type: 'T', data: n })
    return backupStore(store, { out: join(folder, `${count}.backup`), base: full.file })
  }
  await expect(same(1)).rejects.toThrow('is another one in the store')
  await expect(same(0)).rejects.toThrow('the store only to 0')
})

/** A port as a plain object, whose fields may be replaced. */
function portLike(port: Awaited<ReturnType<typeof openMemoryStore>>) {
  const own: Record<string, unknown> = {}
  for (let at: object = port; at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const name of Object.getOwnPropertyNames(at)) {
      const value = (port as unknown as Record<string, unknown>)[name]
      own[name] ??= typeof value === 'function' ? value.bind(port) : value
    }
  }
  return own as unknown as typeof port
}

it('a passphrase is asked for, and the right one', async () => {
  const folder = temporaryFolder()
  const source = await opened('memory:')
  await fill(source)
  const passphrase = 'correct horse'
  const sealed = await backupStore(source, { out: folder, passphrase })
  expect(sealed.encrypted).toBe(true)
  expect(await checkBackup([folder], { passphrase })).toMatchObject({ events: sealed.events })
  const refused = { code: 'BACKUP_PASSPHRASE' }
  await expect(checkBackup([sealed.file])).rejects.toMatchObject(refused)
  await expect(checkBackup([sealed.file], { passphrase: 'x' })).rejects.toMatchObject(refused)
  const plain = await backupStore(source, { out: join(folder, 'plain.backup') })
  await expect(checkBackup([plain.file], { passphrase })).rejects.toMatchObject(refused)
  const next = await backupStore(source, {
    ...{ out: join(folder, 'next.backup'), base: sealed.file, passphrase },
  })
  const target = await opened('memory:', restoring)
  await restoreBackup(target, [sealed.file, next.file], { passphrase })
  expect(await contentOf(target)).toEqual(await contentOf(source))
})

it('says what is wrong with its arguments', async () => {
  const folder = temporaryFolder()
  const store = await opened('memory:')
  const wrong = { code: 'ARGUMENT_INVALID' }
  const out = join(folder, 'a.backup')
  await expect(backupStore(store, { out: '' })).rejects.toMatchObject(wrong)
  await expect(backupStore(store, { out: join(out, 'b') })).rejects.toMatchObject(wrong)
  await expect(backupStore(store, { out, passphrase: '' })).rejects.toMatchObject(wrong)
  await expect(backupStore(store, { out, compression: 'lz4' as 'gzip' })).rejects.toMatchObject(
    wrong,
  )
  for (const compression of ['gzip', 'brotli'] as const) {
    await backupStore(store, { out: join(folder, `${compression}.backup`), compression })
  }
  const made = await backupStore(store, { out })
  await expect(checkBackup([])).rejects.toMatchObject(wrong)
  for (const options of [
    { toPosition: -1 },
    { toPosition: 1 },
    { toTime: new Date('x') },
    { toPosition: 0, toTime: new Date() },
  ]) {
    const target = await opened('memory:', restoring)
    await expect(restoreBackup(target, [made.file], options)).rejects.toMatchObject(wrong)
  }
  writeFileSync(join(folder, 'none.backup'), 'no backup')
  const invalid = { code: 'BACKUP_INVALID' }
  await expect(checkBackup([join(folder, 'none.backup')])).rejects.toMatchObject(invalid)
  await expect(checkBackup([join(folder, 'not-there')])).rejects.toMatchObject(invalid)
})

it('a backup that is stopped leaves nothing behind', async () => {
  const folder = temporaryFolder()
  const store = await opened('memory:')
  await fill(store)
  const stop = new AbortController()
  const onProgress = () => stop.abort(new Error('enough'))
  const stopped = backupStore(store, { out: folder, signal: stop.signal, onProgress })
  await expect(stopped).rejects.toThrow('enough')
  expect(readdirSync(folder)).toEqual([])
})

it('an event that is damaged in the store is kept as it is, and told of', async () => {
  const folder = temporaryFolder()
  const place = join(folder, 'a.db')
  const source = await opened(`sqlite:${place}`)
  await fill(source)
  const database = new DatabaseSync(place)
  database.exec('UPDATE eventuali_events SET checksum = checksum + 1 WHERE position = 1')
  database.close()
  const { file, damaged } = await backupStore(source, { out: folder })
  expect(damaged).toBe(1)
  expect(await checkBackup([file])).toMatchObject({ damaged: 1 })
  const target = await opened(`sqlite:${join(folder, 'b.db')}`, restoring)
  await restoreBackup(target, [file])
  const { problems } = await target.verify()
  expect(problems).toMatchObject([{ kind: 'checksum', position: 1 }])
})
