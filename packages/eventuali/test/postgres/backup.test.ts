import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { backupStore, openStore, restoreBackup, type Store } from '../../src/index.ts'
import { contentOf, fill } from '../../src/pipelines/backup/stores.test-support.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'
import { foreign } from './setup.ts'

const codec = { encoding: 'msgpack', compress: { with: 'gzip', above: 100 } } as const

describe.skipIf(postgresSkipReason() !== undefined)('backups of PostgreSQL', () => {
  let server: PostgresServer
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-backup-'))
  beforeAll(async () => {
    server = await startPostgres()
  }, 60_000)
  afterAll(async () => {
    await server?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  async function restoredAs(url: string, files: readonly string[], source: Store): Promise<void> {
    const target = await openStore(url, { restoring: true })
    const { position } = await restoreBackup(target, files)
    expect(await contentOf(target)).toEqual(await contentOf(source))
    expect((await target.verify()).problems).toEqual([])
    const { position: next } = await target.append('cart-0', { type: 'Added', data: 1 })
    expect(next).toBeGreaterThan(position)
    await target.close()
    await (await openStore(url)).close()
  }

  it('go into PostgreSQL and SQLite, with their increments', async () => {
    const source = await openStore(await server.database(), { codec })
    await fill(source)
    const full = await backupStore(source, { out: join(folder, 'full.backup') })
    await fill(source, 12)
    await source.deleteStream('cart-2')
    const next = await backupStore(source, { out: join(folder, 'a.backup'), base: full.file })
    const files = [full.file, next.file]
    await restoredAs(await server.database(), files, source)
    await restoredAs(`sqlite:${join(folder, 'again.db')}`, files, source)
    await source.close()
  })

  it('come of SQLite as well', async () => {
    const source = await openStore(`sqlite:${join(folder, 'source.db')}`, { codec })
    await fill(source)
    const { file } = await backupStore(source, { out: join(folder, 'sqlite.backup') })
    await restoredAs(await server.database(), [file], source)
    await source.close()
  })

  it('end before a position that is still open, whatever lies above it', async () => {
    const url = await server.database()
    const source = await openStore(url)
    await source.append('cart-1', { type: 'Added', data: 1 })
    const other = await foreign(url)
    await other.query('BEGIN')
    await source.append('cart-2', { type: 'Added', data: 2 }, { within: other })
    await source.append('cart-3', { type: 'Added', data: 3 })
    const early = await backupStore(source, { out: join(folder, 'early.backup') })
    expect(early).toMatchObject({ upTo: 1, events: 1 })
    await other.query('COMMIT')
    await other.end()
    await source.caughtUp(3)
    const late = await backupStore(source, { out: join(folder, 'b.backup'), base: early.file })
    expect(late).toMatchObject({ from: 1, upTo: 3, events: 2 })
    await restoredAs(await server.database(), [early.file, late.file], source)
    await source.close()
  })

  it('refuse a store that is only half restored', async () => {
    const source = await openStore(await server.database())
    await fill(source)
    const { file } = await backupStore(source, { out: join(folder, 'half.backup') })
    const url = await server.database()
    const target = await openStore(url, { restoring: true })
    const stop = new AbortController()
    const onProgress = ({ phase }: { phase: string }) => {
      if (phase === 'compare') stop.abort(new Error('enough'))
    }
    const broken = restoreBackup(target, [file], { signal: stop.signal, onProgress })
    await expect(broken).rejects.toThrow('enough')
    await expect(openStore(url)).rejects.toMatchObject({ code: 'RESTORE_UNFINISHED' })
    await restoreBackup(target, [file])
    await target.close()
    const whole = await openStore(url)
    expect(await contentOf(whole)).toEqual(await contentOf(source))
    await Promise.all([whole.close(), source.close()])
  })
})
