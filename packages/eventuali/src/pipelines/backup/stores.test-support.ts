import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { openStore, type Store } from '../../store/index.ts'

/** A folder that goes with the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-backup-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A store that is closed with the test. */
export async function opened(
  url: string,
  options: NonNullable<Parameters<typeof openStore>[1]> = {},
): Promise<Store> {
  const store = await openStore(url, options)
  onTestFinished(() => store.close())
  return store
}

/** Streams in every state, with all that an event can carry. */
export async function fill(store: Store, from = 0): Promise<void> {
  for (let n = from; n < from + 12; n++) {
    await store.append(`cart-${n % 4}`, [
      { type: 'Added', data: { n, text: 'Grüße 🚀' }, tags: [`n:${n % 3}`] },
      ...(n % 3 === 0 ? [{ type: 'Paid', data: null, id: `given-${n}` }] : []),
    ])
  }
  await store.append(`gone-${from}`, { type: 'Added', data: { x: 'y'.repeat(3000) } })
  await store.deleteStream(`gone-${from}`, { actor: 'ada' })
  await store.append(`old-${from}`, { type: 'Added', data: 1, time: new Date('2001-02-03') })
  await store.archive(`old-${from}`)
  await store.truncate('cart-1', { before: 2 })
}

/** All that a reader can see of a log. */
export async function contentOf(store: Store) {
  const log = await store.readAll({ includeArchived: true }).toArray()
  return { log, streams: await store.streams().toArray() }
}
