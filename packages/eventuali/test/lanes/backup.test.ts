import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  backupStore,
  checkBackup,
  isEventualiError,
  openStore,
  restoreBackup,
  type Store,
} from '../../src/index.ts'
import { frameKinds, headerBytes, linkBytes, magic } from '../../src/pipelines/backup/frames.ts'
import type { StoreHooks } from '../../src/testing/index.ts'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { startChild } from '../harness/child.ts'
import { openHooked } from '../harness/hooked-store.ts'
import { type Place, sharedPlaces, showsPlanted } from '../harness/places.ts'
import { type Handed, prefixFaults, resumeFaults } from './backup-audit.ts'
import type { BackupWorkerInput } from './backup-worker.ts'
import type { BackupWriterInput } from './backup-writer.ts'

const folder = mkdtempSync(join(tmpdir(), 'eventuali-backups-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let files = 0
const newFile = (): string => join(folder, `${++files}.backup`)

interface Planted {
  readonly hooks?: StoreHooks
  /** Begins the first backup above a position that is open, and commits it later. */
  readonly above?: true
}

/** A position that nobody sees before the function that it gives is called. */
async function openPosition(store: Store): Promise<() => Promise<unknown>> {
  let commit = (): void => {}
  const committing = new Promise<void>((resolve) => {
    commit = resolve
  })
  const drawn = Promise.withResolvers<void>()
  const ended = store.transaction(async (tx) => {
    await tx.append('open-1', { type: 'Noted', data: 1 })
    drawn.resolve()
    await committing
  })
  await Promise.race([drawn.promise, ended])
  await store.append('open-2', { type: 'Noted', data: 2 })
  return () => {
    commit()
    return ended
  }
}

/** A full backup and two increments of a store that others write to; what is wrong with them. */
async function underLoad(
  run: Campaign,
  place: Place,
  { hooks, above }: Planted = {},
  round = 0,
): Promise<string[]> {
  const url = await place.url()
  await (await openStore(url)).close()
  const input: BackupWriterInput = { url, seed: run.between(0, 2 ** 30) }
  const writer = startChild(import.meta.url, './backup-writer.ts', { input })
  try {
    const source = hooks === undefined ? await openStore(url) : await openHooked(url, hooks)
    const handed: Handed[] = []
    const follower = source.subscribe({ after: 0 }, async ({ stream, version, position }) => {
      handed.push({ stream, version, position })
    })
    await writer.message('busy', 60_000)
    const commit = above === true ? await openPosition(source) : undefined
    const chain = [await backupStore(source, { out: newFile() })]
    await commit?.()
    for (let more = 0; more < 2; more++) {
      await new Promise((resolve) => setTimeout(resolve, run.between(0, 60)))
      chain.push(await backupStore(source, { out: newFile(), base: chain.at(-1)?.file }))
    }
    writer.send('stop')
    await writer.message('stopped', 60_000)
    await writer.ended
    await follower.stop()
    const all = chain.map(({ file }) => file)
    const end = chain.at(-1)?.upTo ?? 0
    run.note(`${chain.reduce((sum, { events }) => sum + events, 0)} events`)
    // Where positions are safe as soon as they are there, nothing that a backup lacks was removed
    // by an event that lies above it.
    const exact = place.adapter === 'sqlite'
    const wrong = await restoredFaults(place, source, all, exact ? handed : [], end)
    // The beginning of the beginning is looked at in some rounds.
    if (round === 0 || hooks !== undefined) {
      const full = chain[0]?.upTo ?? 0
      const early = run.pick([run.between(1, end), full])
      const known = exact && early === full ? handed : []
      wrong.push(...(await restoredFaults(place, source, all, known, early, early)))
    }
    await source.close()
    return wrong
  } finally {
    writer.kill('SIGKILL')
  }
}

async function restoredFaults(
  place: Place,
  source: Store,
  all: readonly string[],
  handed: readonly Handed[],
  upTo: number,
  toPosition?: number,
): Promise<string[]> {
  const restored = await openStore(await place.url(), { restoring: true, profile: 'relaxed' })
  try {
    await restoreBackup(restored, all, { toPosition })
    const wrong = await prefixFaults(source, restored, upTo, handed)
    return [...wrong, ...(await resumeFaults(restored))]
  } catch (error) {
    if (isEventualiError(error)) return [`${error.code}: ${error.message}`]
    throw error
  } finally {
    await restored.close()
  }
}

/** Where the frames of a file begin. */
function framesOf(bytes: Buffer): number[] {
  const starts: number[] = []
  for (let at = magic.length; at < bytes.length; ) {
    starts.push(at)
    at += headerBytes + bytes.readUInt32LE(at) + linkBytes
  }
  return starts
}

/** One way in which a file does not stay what it was. */
function damaged(run: Campaign, bytes: Buffer): Buffer {
  const starts = [...framesOf(bytes), bytes.length]
  const part = (n: number): Buffer => bytes.subarray(starts[n], starts[n + 1])
  const parts = starts.slice(0, -1).map((_, n) => part(n))
  const joined = (list: readonly Buffer[]): Buffer =>
    Buffer.concat([bytes.subarray(0, magic.length), ...list])
  const at = run.between(0, parts.length - 2)
  switch (run.between(0, 9)) {
    case 0:
      return bytes.subarray(0, run.between(0, bytes.length - 1))
    case 1:
      // As a copy ends that was stopped between two writes.
      return bytes.subarray(0, starts[run.between(0, parts.length - 1)])
    case 2:
      return joined(parts.toSpliced(at, 1))
    case 3:
      return joined(parts.toSpliced(at, 2, parts[at + 1] as Buffer, parts[at] as Buffer))
    case 4:
      return joined(parts.toSpliced(at, 0, parts[at] as Buffer))
    default: {
      const flipped = Buffer.from(bytes)
      const byte = run.between(0, bytes.length - 1)
      flipped[byte] = (flipped[byte] as number) ^ (1 << run.between(0, 7))
      return flipped
    }
  }
}

/** How many altered copies of a backup are taken for whole. */
async function takenForWhole(
  run: Campaign,
  place: Place,
  count: number,
  options: { readonly passphrase?: string; readonly unchecked?: boolean } = {},
): Promise<number> {
  const store = await openStore(await place.url(), { profile: 'relaxed' })
  // Few events of which frames are soon full, and files small.
  const data = () => `${run.random.next()} ${'la '.repeat(10_000)}`
  const events = Array.from({ length: 45 }, () => ({ type: 'T', data: data() }))
  await store.append('s-1', events)
  const { passphrase } = options
  const { file } = await backupStore(store, { out: newFile(), passphrase })
  await store.close()
  const bytes = readFileSync(file)
  expect(framesOf(bytes).length).toBeGreaterThanOrEqual(Object.keys(frameKinds).length)
  const altered = newFile()
  let taken = 0
  for (let n = 0; n < count; n++) {
    writeFileSync(altered, damaged(run, bytes))
    await checkBackup([altered], { ...options }).then(
      () => taken++,
      (error: unknown) => {
        const isRefused =
          isEventualiError(error, 'BACKUP_INVALID') || isEventualiError(error, 'BACKUP_PASSPHRASE')
        if (!isRefused) throw error
      },
    )
  }
  return taken
}

/** Goes on with a backup that a kill has left, in a store that has been changed meanwhile. */
async function goneOnWith(
  run: Campaign,
  place: Place,
  source: Store,
  file: string,
): Promise<string[]> {
  await source.truncate('s-0', { before: run.between(1, 900) })
  await source.append('s-2', { type: 'T', data: 'behind' })
  const { resumedAfter, upTo } = await backupStore(source, { out: file, resume: true })
  run.note(`a backup went on after ${resumedAfter}`)
  const left = readdirSync(folder).filter((name) => name.endsWith('.unfinished'))
  const wrong = left.map((name) => `${name} is left`)
  const restored = await openStore(await place.url(), { restoring: true, profile: 'relaxed' })
  await restoreBackup(restored, [file])
  wrong.push(...(await prefixFaults(source, restored, upTo)))
  await restored.close()
  return wrong
}

/** Restores and backups in programs that die of it, and are begun again. */
async function killed(run: Campaign, place: Place): Promise<string[]> {
  const url = await place.url()
  const source = await openStore(url, { profile: 'relaxed' })
  for (let n = 0; n < 6; n++) {
    // Frames are soon full, so that something is whole in what a kill leaves.
    const text = 'la '.repeat(800)
    const events = Array.from({ length: 600 }, (_, i) => ({ type: 'T', data: { n, i, text } }))
    await source.append(`s-${n % 3}`, events)
  }
  await source.truncate('s-1', { before: 500 })
  const work = (input: BackupWorkerInput) =>
    startChild(import.meta.url, './backup-worker.ts', { input })
  const wrong: string[] = []
  let kills = 0
  for (let round = 0; round < run.scaled(1); round++) {
    const file = newFile()
    const dieAt = run.between(1, 3)
    if ((await work({ does: 'backup', url, file, dieAt }).ended) === 'SIGKILL') kills++
    if (existsSync(file)) await checkBackup([file])
    else wrong.push(...(await goneOnWith(run, place, source, file)))
  }
  const { file, upTo } = await backupStore(source, { out: newFile() })
  for (let round = 0; round < run.scaled(1); round++) {
    const target = await place.url()
    let resumed = 0
    for (let attempt = 0; ; attempt++) {
      const dieAt = attempt < 2 ? run.between(1, 6) : undefined
      const after = run.between(0, 1) === 1
      const child = work({ does: 'restore', url: target, file, dieAt, after })
      const outcome = await child.ended
      if (outcome === 0) {
        resumed = await child.message<number>('restored')
        break
      }
      if (outcome !== 'SIGKILL') throw new Error(`a restore ended with ${outcome}`)
      kills++
      const isWhole = await openStore(target).then(
        async (store) => {
          const { newest } = await store.positions()
          await store.close()
          return newest > 0
        },
        (error: unknown) => !isEventualiError(error, 'RESTORE_UNFINISHED'),
      )
      if (isWhole) wrong.push('a half restored store is taken for whole')
    }
    run.note(`went on after ${resumed}`)
    const restored = await openStore(target)
    wrong.push(...(await prefixFaults(source, restored, upTo)))
    await restored.close()
  }
  await source.close()
  run.note(`${kills} kills`)
  return wrong
}

/** Backups of a planted bug, until its harm meets one of them. */
async function untilFound(
  run: Campaign,
  place: Place,
  planted: Planted,
  found: RegExp,
): Promise<void> {
  let wrong: string[] = []
  for (let round = 0; round < 8 && !found.test(wrong.join('\n')); round++) {
    wrong = await underLoad(run, place, planted)
  }
  run.note(`${wrong.length} complaints`)
  expect(wrong.join('\n')).toMatch(found)
}

/** Leaves one page of the log out. */
const dropsAPart: StoreHooks = {
  view: (_, view) => ({
    ...view,
    rows: async function* (range, options) {
      let page = 0
      for await (const rows of view.rows(range, options)) {
        const isFirst = rows.length > 1 && page++ === 0
        yield isFirst ? rows.toSpliced(rows.length >> 1, 1) : rows
      }
    },
  }),
}

/** Takes the newest position for a safe one. */
const readsPastTheSafePosition: StoreHooks = {
  view: (_, view) => ({ ...view, safe: view.newest }),
}

/** Reads page by page what is there by then. */
const readsWhatIsThereByThen: StoreHooks = {
  view: (store, view) => ({
    ...view,
    rows: async function* ({ after, upTo }) {
      for (let last = after; last < upTo; ) {
        const end = Math.min(upTo, last + 40)
        await new Promise((resolve) => setTimeout(resolve, 10))
        const parts = await store.view(async (fresh) => {
          const pages = []
          for await (const page of fresh.rows({ after: last, upTo: end })) pages.push(page)
          return pages
        })
        yield* parts
        last = end
      }
    },
  }),
}

describe.each(sharedPlaces())('backups: $adapter', (place) => {
  beforeAll(() => place.start(), 60_000)
  afterAll(() => place.stop())
  const it = place.skip === undefined ? test : test.skip
  const { adapter } = place

  it('of a busy store are its beginning', async () => {
    await campaign(`R22 under load, ${adapter}`, async (run) => {
      for (let round = 0; round < run.scaled(5); round++) {
        expect(await underLoad(run, place, {}, round % 3)).toEqual([])
      }
    })
  })

  it('that were altered are refused', async () => {
    await campaign(`R22 altered, ${adapter}`, async (run) => {
      // The files are of one kind, whatever store they are of.
      const plain = run.scaled(adapter === 'sqlite' ? 150 : 40)
      const sealed = run.scaled(5)
      expect(await takenForWhole(run, place, plain)).toBe(0)
      expect(await takenForWhole(run, place, sealed, { passphrase: 'secret' })).toBe(0)
      run.note(`${plain + sealed} altered`)
    })
  })

  it('and restores that are killed go on, or were never there', async () => {
    await campaign(`R22 killed, ${adapter}`, async (run) => {
      expect(await killed(run, place)).toEqual([])
    })
  })

  if (adapter === 'postgres') {
    it('the harness finds a backup that reads past the safe position', async () => {
      await campaign('R22 planted: unsafe', (run) =>
        untilFound(
          run,
          place,
          { hooks: readsPastTheSafePosition, above: true },
          /position \d+ is missing/,
        ),
      )
    })
  }
  if (!showsPlanted(place)) return

  it('the harness finds a backup that loses an event', async () => {
    await campaign(`R22 planted: lost, ${adapter}`, (run) =>
      untilFound(run, place, { hooks: dropsAPart }, /is missing/),
    )
  })

  it('the harness finds a backup that does not stand still', async () => {
    await campaign(`R22 planted: live, ${adapter}`, (run) =>
      untilFound(run, place, { hooks: readsWhatIsThereByThen }, /./),
    )
  })

  it('the harness finds a check without checksums', async () => {
    await campaign(`R22 planted: unchecked, ${adapter}`, async (run) => {
      const taken = await takenForWhole(run, place, 60, { unchecked: true })
      run.note(`${taken} taken for whole`)
      expect(taken).toBeGreaterThan(0)
    })
  })
})
