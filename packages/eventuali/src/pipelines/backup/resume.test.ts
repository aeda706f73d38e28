import { appendFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'
import type { Store } from '../../store/index.ts'
import { type BackupOptions, backupStore, checkBackup, restoreBackup } from './index.ts'
import { contentOf, fill, opened, temporaryFolder } from './stores.test-support.ts'

const restoring = { restoring: true } as const
const unfinished = (folder: string): string[] =>
  readdirSync(folder).filter((name) => name.endsWith('.unfinished'))

/** Interrupts a backup after so many pages of the log. */
async function interrupted(store: Store, options: BackupOptions, pages = 1): Promise<void> {
  const stop = new AbortController()
  let count = 0
  const onProgress = () => {
    if (++count === pages) stop.abort(new Error('enough'))
  }
  const made = backupStore(store, { ...options, signal: stop.signal, onProgress })
  await expect(made).rejects.toThrow('enough')
}

async function restored(files: readonly string[], passphrase?: string) {
  const target = await opened('memory:', restoring)
  await restoreBackup(target, files, { passphrase })
  expect((await target.verify()).problems).toEqual([])
  return contentOf(target)
}

/** A log of more than one page, so that an interruption comes in its midst. */
async function manyIn(store: Store): Promise<void> {
  for (let n = 0; n < 4; n++) {
    const events = Array.from({ length: 500 }, (_, i) => ({ type: 'Added', data: { n, i } }))
    await store.append(`many-${n % 2}`, events)
  }
}

it.each(['memory:', 'sqlite:'])('goes on where an interrupted one of %s ended', async (kind) => {
  const folder = temporaryFolder()
  const source = await opened(kind === 'memory:' ? kind : `sqlite:${join(folder, 'a.db')}`)
  await fill(source)
  await manyIn(source)
  const options = { out: join(folder, 'a.backup'), resume: true } as const
  await interrupted(source, options)
  expect(unfinished(folder)).toHaveLength(1)
  // What happens to streams meanwhile is in the events behind.
  await source.truncate('many-0', { before: 400 })
  await source.archive('old-0', { undo: true })
  await fill(source, 12)
  await source.deleteStream('cart-2')
  // In the midst of what it takes over, and behind it.
  await interrupted(source, options, 1)
  await interrupted(source, options, 2)
  const made = await backupStore(source, options)
  expect(made.resumedAfter).toBeGreaterThan(0)
  expect(made.upTo).toBe((await source.positions()).newest)
  expect(unfinished(folder)).toEqual([])
  expect(await checkBackup([made.file])).toMatchObject({ upTo: made.upTo, events: made.events })
  expect(await restored([made.file])).toEqual(await contentOf(source))
  // Nothing is left to go on with.
  const again = await backupStore(source, { out: folder, resume: true })
  expect(again.resumedAfter).toBe(0)
})

it('goes on in a folder, encrypted and on a base, with the same ones only', async () => {
  const folder = temporaryFolder()
  const source = await opened('memory:')
  await fill(source)
  const passphrase = 'correct horse'
  const full = await backupStore(source, { out: folder, passphrase })
  await manyIn(source)
  const options = { out: folder, resume: true, passphrase } as const
  await interrupted(source, { ...options, base: true })
  const [left = ''] = unfinished(folder)
  // A whole one is another backup; so is one of another store.
  expect((await backupStore(source, { ...options, out: join(folder, 'x') })).resumedAfter).toBe(0)
  const other = await opened('memory:')
  await fill(other)
  expect((await backupStore(other, options)).resumedAfter).toBe(0)
  const refused = { code: 'BACKUP_PASSPHRASE' }
  for (const given of ['another', undefined]) {
    const wrong = backupStore(source, { out: folder, resume: true, passphrase: given })
    await expect(wrong).rejects.toMatchObject(refused)
  }
  expect(unfinished(folder)).toEqual([left])
  const next = await backupStore(source, { ...options, base: full.file })
  expect(next.resumedAfter).toBeGreaterThan(full.upTo)
  expect(next).toMatchObject({ from: full.upTo, base: { link: full.link }, encrypted: true })
  expect(unfinished(folder)).toEqual([])
  expect(await restored([full.file, next.file], passphrase)).toEqual(await contentOf(source))
})

it('takes what is whole over, wherever the file is cut or altered', async () => {
  const folder = temporaryFolder()
  const source = await opened('memory:')
  // Frames of their own, since each is more than a frame gathers.
  const data = { text: 'la '.repeat(400_000) }
  for (let n = 0; n < 4; n++) await source.append('a', { type: 'T', data })
  const out = join(folder, 'a.backup')
  const whole = await backupStore(source, { out })
  const bytes = readFileSync(whole.file)
  const frames: number[] = []
  for (let at = 'eventuali-backup/1\n'.length; at < bytes.length; ) {
    frames.push(at)
    at += 9 + bytes.readUInt32LE(at) + 32
  }
  const leftover = join(folder, 'b.backup.0.unfinished')
  const flipped = Buffer.from(bytes)
  const place = (frames[4] ?? 0) + 20
  flipped[place] = (flipped[place] ?? 0) ^ 1
  for (const [content, taken] of [
    [bytes, 4],
    [bytes.subarray(0, frames[5]), 3],
    [bytes.subarray(0, (frames[5] ?? 0) + 40), 3],
    [bytes.subarray(0, frames[2]), 0],
    [bytes.subarray(0, 10), 0],
    [flipped, 2],
    [Buffer.concat([bytes.subarray(0, frames[3]), Buffer.from('something else')]), 1],
  ] as const) {
    writeFileSync(leftover, content)
    const made = await backupStore(source, { out: join(folder, 'b.backup'), resume: true })
    expect(made).toMatchObject({ resumedAfter: taken, events: 4 })
    expect(await restored([made.file])).toEqual(await contentOf(source))
    for (const name of readdirSync(folder)) {
      if (name.startsWith('b.')) rmSync(join(folder, name))
    }
  }
})

it('does not go on in a log that went another way', async () => {
  const folder = temporaryFolder()
  const place = join(folder, 'a.db')
  const source = await opened(`sqlite:${place}`)
  await manyIn(source)
  const out = join(folder, 'a.backup')
  await interrupted(source, { out, resume: true })
  const [left = ''] = unfinished(folder)
  const database = new DatabaseSync(place)
  database.exec("UPDATE eventuali_events SET id = randomblob(16) WHERE typeof(id) = 'blob'")
  database.exec("UPDATE eventuali_events SET id = 'other-' || position WHERE typeof(id) = 'text'")
  database.close()
  const refused = backupStore(source, { out, resume: true })
  await expect(refused).rejects.toMatchObject({ code: 'BACKUP_CHAIN' })
  expect(unfinished(folder)).toEqual([left])
})

it('leaves a file alone that somebody goes on writing to', async () => {
  const folder = temporaryFolder()
  const source = await opened('memory:')
  await manyIn(source)
  const out = join(folder, 'a.backup')
  await interrupted(source, { out, resume: true })
  const [left = ''] = unfinished(folder)
  let isFirst = true
  const made = await backupStore(source, {
    ...{ out, resume: true },
    onProgress: () => {
      if (isFirst) appendFileSync(join(folder, left), 'more')
      isFirst = false
    },
  })
  expect(made.resumedAfter).toBeGreaterThan(0)
  expect(unfinished(folder)).toEqual([left])
})

it('is asked for with true', async () => {
  const out = join(temporaryFolder(), 'a.backup')
  const wrong = backupStore(await opened('memory:'), { out, resume: 'yes' as never })
  await expect(wrong).rejects.toMatchObject({ argument: 'resume' })
})
