import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it, onTestFinished } from 'vitest'
import { openStore, proveEvent, type Store } from '../../index.ts'
import { openMemoryStore, wrapStore } from '../../testing/index.ts'

const placed = { type: 'OrderPlaced', data: { total: 30 } }

/** A file with two streams whose events alternate, and what changes it behind the store's back. */
async function filled() {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-prove-'))
  const file = join(folder, 'log.db')
  const store: Store = await openStore(`sqlite:${file}`)
  onTestFinished(async () => {
    await store.close()
    rmSync(folder, { recursive: true, force: true })
  })
  for (let n = 0; n < 3; n++) {
    await store.append('order-1', placed)
    await store.append('order-2', placed)
  }
  const harm = (sql: string): void => {
    const database = new DatabaseSync(file)
    database.exec(sql)
    database.close()
  }
  return { store, harm }
}

const failed = async (store: Store, position: number) => {
  const { checks, ok } = await proveEvent(store, position)
  const wrong = checks.filter((one) => one.ok === false).map(({ check }) => check)
  expect(ok).toBe(wrong.length === 0)
  return wrong
}

it('an event that is what it was is proved, in any place of its stream', async () => {
  const { store } = await filled()
  for (const position of [1, 2, 3, 4, 5, 6]) {
    const { ok, event, checks } = await proveEvent(store, position)
    expect([ok, event?.position]).toEqual([true, position])
    expect(checks.map((one) => [one.check, one.ok])).toEqual([
      ...[
        ['log', true],
        ['checksum', true],
        ['stream', true],
        ['order', true],
        ['safe', true],
      ],
    ])
  }
  await store.truncate('order-1', { before: 2 })
  await store.archive('order-2')
  expect(await failed(store, 1)).toEqual(['log'])
  expect(await failed(store, 3)).toEqual([])
  expect(await failed(store, 4)).toEqual([])
  expect(await failed(store, 99)).toEqual(['log'])
  await expect(proveEvent(store, 0)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
})

it('an event that was changed, moved or robbed of its neighbour is not', async () => {
  const { store, harm } = await filled()
  harm(`UPDATE eventuali_events SET data = '{"total":3000}' WHERE position = 3`)
  expect(await failed(store, 3)).toEqual(['checksum'])
  expect(await failed(store, 1)).toEqual([])
  harm('DELETE FROM eventuali_events WHERE position = 4')
  expect(await failed(store, 4)).toEqual(['log'])
  expect(await failed(store, 2)).toEqual(['stream'])
  expect(await failed(store, 6)).toEqual(['stream'])
  harm(`UPDATE eventuali_events SET data = '{' WHERE position = 3`)
  expect(await failed(store, 3)).toEqual(['log', 'checksum'])
  // Its neighbour cannot be read, so that nothing can be said of its place.
  expect(await failed(store, 1)).toEqual(['stream'])
})

it('what cannot be told is neither proved nor refuted', async () => {
  const port = await openMemoryStore()
  const store = await openStore(port)
  await store.append('order-1', [placed, placed])
  const unknown = async (other: Store) =>
    (await proveEvent(other, 1)).checks.filter(({ ok }) => ok === undefined)
  expect(await unknown(store)).toMatchObject([{ check: 'checksum' }])
  const behind = await openStore(
    wrapStore(port, { positions: async () => ({ safe: 0, newest: 2 }) as never }),
  )
  expect(await unknown(behind)).toMatchObject([{ check: 'checksum' }, { check: 'safe' }])
  const turned = await openStore(
    wrapStore(port, {
      readStream: async function* (next, query, options) {
        for await (const page of next.readStream(query, options)) {
          yield page.map((event) => (event.version === 2 ? { ...event, position: 1 } : event))
        }
      },
    }),
  )
  expect(await failed(turned, 1)).toEqual(['order'])
})
