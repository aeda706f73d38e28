import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock, systemRandom } from '../../kernel/index.ts'
import type { AppendOutcome, AppendRequest } from '../../ports/index.ts'
import { prepareRequest } from './append.ts'
import type { SqlConnection } from './driver.ts'
import { openSqliteStore } from './index.ts'
import { migrateOneStep } from './migrations.ts'
import { Names } from './names.ts'
import { fromNodeConnection } from './node-driver.ts'
import { Session } from './session.ts'
import { deadlineOf, Writer } from './writer.ts'

// What a disk that fails does to the one connection that writes.

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})

const raised = (errcode: number) => Object.assign(new Error('planted'), { errcode })
/** SQLITE_IOERR_FSYNC, SQLITE_CANTOPEN. */
const [syncFailed, cannotOpen] = [1034, 14]
let drawn = 0

const one = (stream: string): AppendRequest => {
  const event = { type: 'T', data: null, metadata: {}, time: 1, schemaVersion: 1, tags: [] }
  const events = [{ id: `e-${drawn++}`, idGiven: false, ...event }]
  return { entries: [{ stream, expectedVersion: 'any', events }] }
}

/** A writer to a file, whose statements fail when they are planted in `faults`. */
function planted(own: boolean, inFile = true) {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-writer-'))
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
  const file = inFile ? join(folder, 'log.db') : undefined
  const faults = new Map<string, Error>()
  const seen = { opened: 0, closed: 0 }
  const open = (): SqlConnection => {
    const refused = faults.get('open')
    if (refused !== undefined) throw refused
    seen.opened++
    const raw = new DatabaseSync(file ?? ':memory:')
    cleanups.push(() => raw.isOpen && raw.close())
    if (inFile) raw.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    return faulty(fromNodeConnection(raw)?.connection as SqlConnection, faults, seen)
  }
  const connection = open()
  while (migrateOneStep(connection, 'one')) {
    // Step by step.
  }
  const writer = new Writer({
    ...{ clock: systemClock, random: systemRandom, names: new Names(), limits: undefined },
    ...{ session: new Session(connection), file, profile: 'durable', onStored: () => {} },
    reopen: own ? open : undefined,
  })
  const append = (stream: string): Promise<AppendOutcome> => {
    const deadline = deadlineOf({ clock: systemClock, random: systemRandom }, {})
    return writer.group.submit(prepareRequest(one(stream), deadline, undefined), deadline)
  }
  return { writer, append, faults, seen }
}

function faulty(
  connection: SqlConnection,
  faults: ReadonlyMap<string, Error>,
  seen: { closed: number },
): SqlConnection {
  const check = (sql: string): void => {
    const fault = faults.get(sql)
    if (fault !== undefined) throw fault
  }
  return {
    raw: connection.raw,
    get inTransaction() {
      return connection.inTransaction
    },
    exec: (sql) => {
      check(sql)
      connection.exec(sql)
    },
    prepare: (sql) => {
      check(`prepare ${sql}`)
      const statement = connection.prepare(sql)
      return {
        all: (...values) => statement.all(...values),
        iterate: (...values) => statement.iterate(...values),
        get: (...values) => {
          check(sql)
          return statement.get(...values)
        },
        run: (...values) => {
          check(sql)
          return statement.run(...values)
        },
      }
    },
    close: () => {
      seen.closed++
      connection.close()
    },
  }
}

const versionOf = (writer: Writer, stream: string): unknown =>
  writer.session().sql.headByName.get(stream)?.[1]

describe('a writer whose commit could not be synced', () => {
  it('gives the connection up, and the next append opens the file anew', async () => {
    const { writer, append, faults, seen } = planted(true)
    await append('a')
    faults.set('COMMIT', raised(syncFailed))
    await expect(append('a')).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    expect(seen).toEqual({ opened: 1, closed: 1 })
    faults.clear()
    expect(await append('a')).toMatchObject({ ok: true })
    expect(seen).toEqual({ opened: 2, closed: 1 })
    expect(versionOf(writer, 'a')).toBe(2)
  })

  it('tells why the file cannot be opened again, until it can', async () => {
    const { append, faults, seen } = planted(true)
    faults.set('COMMIT', raised(syncFailed))
    await expect(append('a')).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    faults.clear()
    for (const place of ['open', 'prepare BEGIN IMMEDIATE']) {
      faults.set(place, raised(cannotOpen))
      const refused = { code: 'STORAGE_FAILED', message: expect.stringContaining('file again') }
      await expect(append('a')).rejects.toMatchObject(refused)
      faults.clear()
    }
    // The one that was opened and then failed is not left open.
    expect(seen).toEqual({ opened: 2, closed: 2 })
    expect(await append('a')).toMatchObject({ ok: true })
  })

  it('gives it up once, though the roll back fails as well', async () => {
    const { append, faults, seen } = planted(true)
    faults.set('COMMIT', raised(syncFailed)).set('ROLLBACK', raised(syncFailed))
    await expect(append('a')).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    expect(seen).toEqual({ opened: 1, closed: 1 })
  })

  it("never closes a caller's connection, and never uses it again", async () => {
    const { append, faults, seen } = planted(false)
    faults.set('COMMIT', raised(syncFailed))
    await expect(append('a')).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    faults.clear()
    const refused = { code: 'STORAGE_FAILED', message: expect.stringContaining('handed in') }
    for (let n = 0; n < 2; n++) await expect(append('a')).rejects.toMatchObject(refused)
    expect(seen).toEqual({ opened: 1, closed: 0 })
  })
})

describe('a writer that cannot begin or cannot check', () => {
  it('does not ask the disk of a database in memory whether it is full', async () => {
    const { append, faults } = planted(false, false)
    faults.set('BEGIN IMMEDIATE', raised(10))
    await expect(append('a')).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
  })

  it('does not acknowledge the first commit when durability cannot be asked for', async () => {
    const { append, faults, seen } = planted(true)
    faults.set('PRAGMA synchronous', raised(10))
    await expect(append('a')).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    faults.clear()
    expect(await append('a')).toMatchObject({ ok: true, entries: [{ version: 2 }] })
    expect(seen).toEqual({ opened: 2, closed: 1 })
  })

  it('waits for the lock of a transaction no longer than it may', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'eventuali-writer-'))
    cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
    const store = await openSqliteStore({ file: join(folder, 'log.db') })
    cleanups.push(() => store.close())
    const other = new DatabaseSync(join(folder, 'log.db'))
    cleanups.push(() => other.close())
    other.exec('BEGIN IMMEDIATE')
    let calls = 0
    const work = async () => calls++
    const refused = store.transaction(work, { timeoutMs: 40 })
    await expect(refused).rejects.toMatchObject({ code: 'STORAGE_BUSY' })
    other.exec('COMMIT')
    await store.transaction(work)
    expect(calls).toBe(1)
  })
})
