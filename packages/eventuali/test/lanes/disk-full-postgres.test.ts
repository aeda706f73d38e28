import { execFileSync } from 'node:child_process'
import { chownSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isEventualiError, openStore, type Store } from '../../src/index.ts'
import { campaign } from '../harness/campaign.ts'
import { type Acknowledged, auditLog } from '../harness/ledger.ts'
import { takeSpace } from '../harness/small-disk.ts'
import { type PostgresServer, postgresSkipReason, startPostgres } from '../servers/postgres.ts'

const nobody = 65534
const disk = mkdtempSync(join(tmpdir(), 'eventuali-full-pg-'))

/**
 * The server needs the disk under its own eyes, so that it is mounted for all: by root only. Its
 * write-ahead log stays elsewhere, since a server that cannot write that stops by design.
 */
function skipReason(): string | undefined {
  const none = postgresSkipReason()
  if (none !== undefined) return none
  if (process.env.EVENTUALI_TEST_POSTGRES_URL !== undefined) return 'the server is not ours'
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', disk], { stdio: 'ignore' })
    return undefined
  } catch {
    const reason = 'no right to mount a small file system: no disk of PostgreSQL can be full'
    if (process.env.CI === 'true') throw new Error(reason)
    console.warn(`\n*** SKIPPED: ${reason} ***\n`)
    return reason
  }
}

const skip = skipReason()

class Writer {
  readonly ledger: Acknowledged[] = []
  readonly codes = new Map<string, number>()
  refused = 0
  #batch = 0
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  async append(bytes: number): Promise<void> {
    const batch = ++this.#batch
    const stream = `ledger-${batch % 3}`
    // Random text, so that the server cannot make it small.
    const filler = Buffer.from(Array.from({ length: bytes }, () => Math.random() * 256)).toString(
      'hex',
    )
    const data = { writer: 'w', batch, size: 1, index: 0, filler }
    try {
      const { version, position } = await this.#store.append(stream, { type: 'Noted', data })
      this.ledger.push({ batch: `w ${batch}`, size: 1, stream, version, position })
    } catch (error) {
      this.refused++
      const code = isEventualiError(error) ? error.code : String(error)
      this.codes.set(code, (this.codes.get(code) ?? 0) + 1)
    }
  }
}

describe.skipIf(skip !== undefined)('a full disk of PostgreSQL', () => {
  let server: PostgresServer
  let url = ''

  beforeAll(async () => {
    server = await startPostgres()
    chownSync(disk, nobody, nobody)
    const client = new pg.Client({ connectionString: server.url })
    await client.connect()
    await client.query(`CREATE TABLESPACE small LOCATION '${disk}'`)
    await client.query('CREATE DATABASE small TABLESPACE small')
    await client.end()
    const own = new URL(server.url)
    own.pathname = '/small'
    url = own.href
  }, 180_000)
  afterAll(async () => {
    await server?.stop()
    execFileSync('umount', ['-l', disk])
    rmSync(disk, { recursive: true, force: true })
  })

  test('refuses appends, loses nothing, and is over when space is back', async () => {
    await campaign('R3 disk full, Postgres', async (run) => {
      const store = await openStore(url)
      const writer = new Writer(store)
      const points = run.scaled(5)
      for (let point = 0; point < points; point++) {
        await writer.append(2_000)
        const ballast = takeSpace(disk, run.between(0, 20) * 8192)
        const { refused } = writer
        for (let n = 0; n < 100 && writer.refused < refused + 3; n++) {
          await Promise.all([writer.append(8_000), writer.append(30_000)])
        }
        expect(writer.refused).toBeGreaterThan(refused)
        // Refused appends have left gaps, which are closed by proof.
        const audit = async () => auditLog(await store.readAll().toArray(), writer.ledger)
        await expect.poll(audit, { timeout: 30_000 }).toEqual([])
        ballast.remove()
        const after = writer.refused
        await writer.append(30_000)
        expect(writer.refused).toBe(after)
      }
      run.note(`${points} fill points, ${writer.ledger.length} acknowledged`)
      run.note([...writer.codes].map(([code, count]) => `${code} ${count}`).join(', '))
      expect([...writer.codes.keys()]).toEqual(['STORAGE_FULL'])
      const { problems } = await store.verify()
      expect(problems).toEqual([])
      await store.close()
    })
  }, 3_600_000)
})
