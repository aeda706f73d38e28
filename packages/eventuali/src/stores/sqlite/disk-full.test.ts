import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { AppendRequest } from '../../ports/index.ts'
import { openSqliteStore } from './open.ts'

const folder = mkdtempSync(join(tmpdir(), 'eventuali-full-'))
let mounted = false

beforeAll(() => {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', folder], { stdio: 'ignore' })
    mounted = true
  } catch {
    // Only root may mount; the test skips loudly then.
  }
})

afterAll(() => {
  if (mounted) execFileSync('umount', ['-l', folder])
  rmSync(folder, { recursive: true, force: true })
})

let drawn = 0
const append = (bytes: number): AppendRequest => ({
  entries: [
    {
      stream: 's',
      expectedVersion: 'any',
      events: [
        {
          id: `e-${drawn++}`,
          idGiven: false,
          type: 'T',
          data: 'x'.repeat(bytes),
          metadata: {},
          time: 1,
          schemaVersion: 1,
          tags: [],
        },
      ],
    },
  ],
})

test.each(['node:sqlite', 'better-sqlite3'] as const)(
  '%s: a full disk refuses appends, allows reads, and is over when space is back',
  async (driver) => {
    if (!mounted) return expect.soft(mounted, 'needs root for a small tmpfs').toBe(false)
    const name = driver.replace(':', '-')
    const ballast = join(folder, 'ballast')
    writeFileSync(ballast, Buffer.alloc(1024 * 1024))
    const store = await openSqliteStore({ file: join(folder, `${name}.db`), driver })
    let acknowledged = 0
    let refused = 0
    while (refused < 5) {
      const results = await Promise.allSettled([
        store.append(append(20_000)),
        store.append(append(90_000)),
      ])
      for (const result of results) {
        if (result.status === 'fulfilled') acknowledged++
        else {
          refused++
          expect(result.reason).toMatchObject({ code: 'STORAGE_FULL', retryable: true })
        }
      }
    }
    expect(acknowledged).toBeGreaterThan(0)
    expect((await store.stream('s'))?.version).toBe(acknowledged)
    unlinkSync(ballast)
    expect((await store.append(append(20_000))).ok).toBe(true)
    expect((await store.stream('s'))?.version).toBe(acknowledged + 1)
    for await (const fault of store.faults()) expect(fault).toBeUndefined()
    await store.close()
    for (const end of ['', '-wal', '-shm'])
      rmSync(join(folder, `${name}.db${end}`), { force: true })
  },
)

test.each(['node:sqlite', 'better-sqlite3'] as const)(
  '%s: a full disk refuses what a projection writes, whole transactions of it',
  async (driver) => {
    if (!mounted) return expect.soft(mounted, 'needs root for a small tmpfs').toBe(false)
    const file = join(folder, `models-${driver.replace(':', '-')}.db`)
    const ballast = join(folder, 'ballast')
    writeFileSync(ballast, Buffer.alloc(1024 * 1024))
    const store = await openSqliteStore({ file, driver })
    await store.transaction((tx) =>
      tx.models.create({ name: 't', shape: { kind: 'documents', indexes: [] } }),
    )
    const batch = (from: number) =>
      store.transaction(async (tx) => {
        const documents = Array.from({ length: 8 }, (_, i) => {
          return { key: `k${from + i}`, value: 'x'.repeat(20_000), position: from + i }
        })
        await tx.models.put('t', documents)
        await tx.records.write([{ kind: 'p', key: 't', expected: 'any', value: from + 8 }])
      })
    let done = 0
    for (let refused = 0; refused < 5; ) {
      try {
        await batch(done)
        done += 8
      } catch (error) {
        refused++
        expect(error).toMatchObject({ code: 'STORAGE_FULL', retryable: true })
      }
    }
    expect(done).toBeGreaterThan(0)
    expect(await store.models.count('t', [])).toBe(done)
    expect((await store.records.get('p', ['t']))[0]?.value).toBe(done)
    unlinkSync(ballast)
    await batch(done)
    expect(await store.models.count('t', [])).toBe(done + 8)
    for await (const fault of store.faults()) expect(fault).toBeUndefined()
    await store.close()
    for (const end of ['', '-wal', '-shm']) rmSync(`${file}${end}`, { force: true })
  },
)
