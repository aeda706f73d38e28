import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { seededRandom } from '../../kernel/index.ts'
import type { EventStore, StoreTransaction } from '../../ports/index.ts'
import { openStore } from '../../store/index.ts'
import { openMemoryStore } from '../../stores/memory/index.ts'
import { openSqliteStore } from '../../stores/sqlite/index.ts'
import { wrapStore } from '../../testing/index.ts'
import { backupStore, checkBackup, restoreBackup } from './index.ts'
import { contentOf, fill, opened, temporaryFolder } from './stores.test-support.ts'

const restoring = { restoring: true } as const

it('a restore that is broken off goes on; the store opens to nobody else meanwhile', async () => {
  const folder = temporaryFolder()
  const source = await opened('memory:')
  for (let n = 0; n < 4; n++) await source.append('bulk', bulk(400))
  const { file, upTo } = await backupStore(source, { out: folder })
  const path = join(folder, 'again.db')
  const first = await openStore(`sqlite:${path}`, restoring)
  const stop = new AbortController()
  const onProgress = ({ phase }: { phase: string }) => {
    if (phase === 'compare') stop.abort(new Error('enough'))
  }
  const broken = restoreBackup(first, [file], { signal: stop.signal, onProgress })
  await expect(broken).rejects.toThrow('enough')
  await first.close()
  await expect(openStore(`sqlite:${path}`)).rejects.toMatchObject({ code: 'RESTORE_UNFINISHED' })
  const readOnly = openStore(`sqlite:${path}`, { readOnly: true })
  await expect(readOnly).rejects.toMatchObject({ code: 'RESTORE_UNFINISHED' })
  const second = await openStore(`sqlite:${path}`, restoring)
  const other = restoreBackup(second, [file], { toPosition: 3 })
  await expect(other).rejects.toMatchObject({ code: 'RESTORE_TARGET' })
  expect(await restoreBackup(second, [file])).toMatchObject({ resumedAfter: upTo })
  await second.close()
  const whole = await opened(`sqlite:${path}`)
  expect(await contentOf(whole)).toEqual(await contentOf(source))
  await expect(restoreBackup(whole, [file])).rejects.toMatchObject({ code: 'RESTORE_TARGET' })
})

const bulk = (count: number) =>
  Array.from({ length: count }, (_, n) => ({ type: 'T', data: { n, text: 'la '.repeat(20) } }))

it('transactions that fail, or whose answer is lost, are made again', async () => {
  const folder = temporaryFolder()
  const source = await opened('memory:')
  await source.append('bulk', bulk(1200))
  const { file } = await backupStore(source, { out: folder })
  const random = seededRandom(7)
  const port = await openSqliteStore({ file: join(folder, 'again.db'), restoring: true })
  let failures = 0
  const flaky = wrapStore(port, {
    transaction: async <T>(next: EventStore, work: (tx: StoreTransaction) => Promise<T>) => {
      const fails = random.next() < 0.4
      const isLost = random.next() < 0.5
      const lost = Object.assign(new Error('lost'), { retryable: true })
      Object.defineProperty(lost, Symbol.for('eventuali.error'), { value: true })
      if (fails) failures++
      if (fails && !isLost) throw lost
      const result = await next.transaction(work)
      if (fails) throw lost
      return result
    },
  })
  await restoreBackup(flaky, [file])
  expect(failures).toBeGreaterThan(0)
  const target = await openStore(port)
  expect(await contentOf(target)).toEqual(await contentOf(source))
  await target.close()
})

it('goes into an empty store only', async () => {
  const folder = temporaryFolder()
  const source = await opened('memory:')
  await fill(source)
  const { file } = await backupStore(source, { out: folder })
  const target = { code: 'RESTORE_TARGET' }
  const used = await opened('memory:', restoring)
  await used.append('a', { type: 'T', data: 1 })
  await expect(restoreBackup(used, [file])).rejects.toMatchObject(target)
  const noted = await opened('memory:', restoring)
  const record = { kind: 'mine', key: 'k', expected: 'any', value: 1 } as const
  await noted.port.transaction((tx) => tx.records.write([record]))
  await expect(restoreBackup(noted, [file])).rejects.toMatchObject(target)
  const meddled = await openMemoryStore()
  const meddler = wrapStore(meddled, {
    restore: async (tx, request, options) => {
      await tx.restore(request, options)
      const event = { id: 'x', idGiven: false, type: 'T', data: 1, metadata: {}, time: 0 }
      const events = [{ ...event, schemaVersion: 1, tags: [] }]
      await tx.append({ entries: [{ stream: 'other', expectedVersion: 'any', events }] })
    },
  })
  await expect(restoreBackup(meddler, [file])).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
  await expect(restoreBackup(meddled, [file])).rejects.toMatchObject(target)
})

it.each([
  ['loses an event', (rows: readonly object[]) => rows.slice(1)],
  ['changes a time', (rows: readonly object[]) => rows.map((row) => ({ ...row, recordedAt: 5 }))],
  ['changes data', (rows: readonly object[]) => rows.map((row) => ({ ...row, data: '1' }))],
] as const)('finds out when the store %s', async (_, change) => {
  const folder = temporaryFolder()
  const source = await opened('memory:')
  await fill(source)
  const { file } = await backupStore(source, { out: folder })
  const port = wrapStore(await openMemoryStore(), {
    restore: (tx, request, options) =>
      tx.restore({ ...request, rows: change(request.rows) as typeof request.rows }, options),
  })
  const wrong = restoreBackup(port, [file])
  await expect(wrong).rejects.toMatchObject({ code: 'RESTORE_DIFFERS' })
})

it('finds an event that the backup has not', async () => {
  const folder = temporaryFolder()
  const source = await opened('memory:')
  await fill(source)
  const { file } = await backupStore(source, { out: folder })
  const port = wrapStore(await openMemoryStore(), {
    view: (_, view) => ({
      ...view,
      rows: async function* (range) {
        for await (const page of view.rows(range)) {
          yield page
          const extra = page.at(-1)
          if (extra !== undefined) yield [{ ...extra, position: extra.position + 1 }]
        }
      },
    }),
  })
  const wrong = restoreBackup(port, [file])
  await expect(wrong).rejects.toThrow('the store holds an event that the backup has not')
})

it('refuses every byte that is flipped and every cut, sealed or not', async () => {
  const folder = temporaryFolder()
  const source = await opened('memory:')
  await fill(source)
  const random = seededRandom(11)
  for (const passphrase of [undefined, 'secret'] as const) {
    const out = join(folder, `${passphrase}.backup`)
    const { file } = await backupStore(source, { out, passphrase })
    const bytes = readFileSync(file)
    const altered = join(folder, 'altered')
    const isRefused = async (what: Buffer): Promise<void> => {
      writeFileSync(altered, what)
      await expect(checkBackup([altered], { passphrase })).rejects.toMatchObject({
        code: expect.stringMatching(/^BACKUP_(INVALID|PASSPHRASE)$/),
      })
    }
    const count = passphrase === undefined ? 100 : 6
    for (let n = 0; n < count; n++) {
      const flipped = Buffer.from(bytes)
      const at = Math.floor(random.next() * bytes.length)
      flipped[at] = (flipped[at] as number) ^ (1 << Math.floor(random.next() * 8))
      await isRefused(flipped)
      await isRefused(bytes.subarray(0, Math.floor(random.next() * bytes.length)))
    }
    await isRefused(Buffer.concat([bytes, Buffer.from([0])]))
  }
})

it('keeps what cannot be made anew of the read side, and names the new log in it', async () => {
  const folder = temporaryFolder()
  const source = await opened('memory:')
  await source.append('bulk', bulk(20))
  await using subscription = source.subscribe({ name: 'mails' }, async () => {})
  await source.caughtUp(20)
  const reached = async (store: typeof source) =>
    (await store.subscriptions.status('mails'))?.position
  while ((await reached(source)) !== 20) await new Promise((resolve) => setTimeout(resolve, 2))
  await source.port.transaction((tx) =>
    tx.records.write(
      [
        ['projection', 'p'],
        ['subscription', 'projection:p/g1'],
        ['partition', 'projection:p%2Fg1/1/0000'],
        ['worker', 'w'],
        ['process', 'shipping/1'],
        ['schema', 'T'],
        ['replay', 'r'],
      ].map(([kind = '', key = '']) => ({
        ...{ kind, key, expected: 'any' as const },
        value: { position: 20, incarnation: source.incarnation },
      })),
    ),
  )
  const { file } = await backupStore(source, { out: folder })
  const restored = async (toPosition?: number) => {
    const target = await opened('memory:', restoring)
    const result = await restoreBackup(target, [file], { toPosition })
    const records: Record<string, unknown> = {}
    await target.port.view(async (view) => {
      for await (const page of view.records()) {
        for (const { kind, key, value } of page) records[`${kind} ${key}`] = value
      }
    })
    return { target, result, records }
  }
  const all = await restored()
  expect(Object.keys(all.records)).toEqual([
    ...['partition mails/1/0000', 'process shipping/1', 'replay r', 'schema T'],
    'subscription mails',
  ])
  const { incarnation } = all.target
  expect(all.records['replay r']).toEqual({ position: 20, incarnation })
  const partition = { owner: null, position: 20, incarnation }
  expect(all.records['partition mails/1/0000']).toMatchObject(partition)
  expect(all.result).toMatchObject({ recordsFrom: 20, records: 5 })
  const seen: number[] = []
  await all.target.append('bulk', bulk(1))
  const again = all.target.subscribe({ name: 'mails' }, async ({ position }) => {
    seen.push(position)
  })
  while (seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 2))
  await again.stop()
  expect(seen).toEqual([21])

  const early = await restored(7)
  expect(Object.keys(early.records)).toEqual([
    ...['partition mails/1/0000', 'schema T', 'subscription mails'],
  ])
  expect(await reached(early.target)).toBe(7)
  expect(early.result.recordsFrom).toBeUndefined()
  await subscription.stop()
})
