import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { run } from './run.test-support.ts'

/** A folder that goes with the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-cli-backup-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

const fill = async (store: string, count: number): Promise<void> => {
  for (let n = 0; n < count; n++) {
    await run(['append', `cart-${n % 3}`, 'Added', `{"n":${n}}`, '--store', store])
  }
}

async function exported(store: string): Promise<string> {
  const { code, out } = await run(['export', '--store', store])
  expect(code).toBe(0)
  return out
}

/** What an operator does with backups, on any kind of store. `empty` names new, empty places. */
export async function backupsAndRestores(store: string, empty: () => Promise<string>) {
  const folder = temporaryFolder()
  await fill(store, 5)
  const env = { SECRET: 'correct horse' }
  const sealed = ['--passphrase-env', 'SECRET']
  const full = await run(['backup', '--store', store, '--out', folder, '--json', ...sealed], {
    env,
  })
  expect(full).toMatchObject({ code: 0, err: '' })
  const made = JSON.parse(full.out)
  expect(made).toMatchObject({ events: 5, from: 0, upTo: 5, encrypted: true })
  await fill(store, 3)
  const next = await run(
    ['backup', '--store', store, '--out', folder, '--incremental', ...sealed],
    { env },
  )
  expect(next.err).toBe('')
  expect(next.out).toMatch(/^3 events after position 5 up to position 8 and 0 records are in /)
  expect(readdirSync(folder)).toHaveLength(2)

  const checked = await run(['backup', 'verify', folder, ...sealed], { env })
  expect(checked.out).toMatch(/^whole: 8 events up to position 8 of the log /)
  expect(await run(['restore', folder, '--check', ...sealed], { env })).toEqual(checked)
  expect(await run(['backup', 'verify', folder])).toMatchObject({
    ...{ code: 1, err: expect.stringContaining('BACKUP_PASSPHRASE') },
  })

  const again = await empty()
  const restored = await run(['restore', folder, '--store', again, ...sealed], { env })
  expect(restored).toMatchObject({ code: 0, err: expect.stringContaining('LOG_CHANGED') })
  expect(restored.out).toBe(
    'restored up to position 8 of 2 files\n' +
      '0 records of the read side as at position 8; projections are to be rebuilt\n' +
      'compared with the backup: the same\nverified: no problems\n',
  )
  expect(await exported(again)).toBe(await exported(store))
  const occupied = await run(['restore', folder, '--store', again, ...sealed], { env })
  expect(occupied).toMatchObject({ code: 1, err: expect.stringContaining('RESTORE_TARGET') })

  const early = await empty()
  const to = ['--to-position', '4', '--json', '--no-verify']
  const part = await run(['restore', folder, '--store', early, ...to, ...sealed], { env })
  expect(JSON.parse(part.out)).toMatchObject({ position: 4, events: 5 })
  expect((await exported(early)).trim().split('\n')).toHaveLength(4)
  const past = await empty()
  const before = ['--to-time', '2001-01-01', '--json']
  const none = await run(['restore', folder, '--store', past, ...before, ...sealed], { env })
  expect(none).toMatchObject({ code: 1, out: '' })
  expect(none.err).toMatch(/recorded from \d{4}-\S+Z to \S+Z, and times here go by recordedAt/)
  // Nothing was begun: the same place takes another end.
  const zero = ['--to-position', '0', '--json']
  const empty0 = await run(['restore', folder, '--store', past, ...zero, ...sealed], { env })
  expect(JSON.parse(empty0.out)).toMatchObject({ position: 0, resumedAfter: 0, problems: 0 })

  const bytes = readFileSync(made.file)
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 4
  writeFileSync(made.file, bytes)
  const altered = await run(['restore', folder, '--store', await empty(), ...sealed], { env })
  expect(altered).toMatchObject({ code: 1, err: expect.stringContaining('BACKUP_INVALID') })
}

/** What an operator does with the schema of a store with data, whose newest step is `newest`. */
export async function migratesAndRollsBack(store: string, newest: number) {
  await fill(store, 4)
  const log = await exported(store)
  const status = async () =>
    JSON.parse((await run(['migrate', 'status', '--store', store, '--json'])).out)
  expect(await status()).toMatchObject({ version: newest, newest })
  const shown = await run(['migrate', '--store', store])
  expect(shown.out).toContain(`schema ${newest} of ${newest}\n`)
  expect(shown.out).toContain('up to date\n')
  const to = ['--to', String(newest - 1)]
  const unasked = await run(['rollback', '--store', store, ...to])
  expect(unasked).toMatchObject({ code: 1, err: expect.stringContaining('--yes') })
  const planned = await run(['rollback', '--store', store, ...to, '--dry-run', '--sql'])
  expect(planned.out).toMatch(/(DROP|ALTER).*would be rolled back/s)
  expect(await status()).toMatchObject({ version: newest })
  const back = await run(['rollback', '--store', store, ...to, '--yes'])
  expect(back).toMatchObject({ code: 0, err: '' })
  expect(back.out).toContain(`rolled back from schema ${newest} to ${newest - 1}\n`)
  expect(await status()).toMatchObject({ version: newest - 1 })
  expect((await run(['migrate', '--store', store])).out).toContain('1 pending')
  const plan = await run(['migrate', 'plan', '--store', store])
  expect(plan.out).toContain(`would be migrated from schema ${newest - 1} to ${newest}\n`)
  const dry = await run(['migrate', 'apply', '--store', store, '--dry-run', '--json'])
  expect(JSON.parse(dry.out)).toMatchObject({ from: newest - 1, to: newest, dryRun: true })
  expect(await status()).toMatchObject({ version: newest - 1 })
  const applied = await run(['migrate', 'apply', '--store', store])
  expect(applied.out).toContain(`migrated from schema ${newest - 1} to ${newest}\n`)
  expect((await run(['migrate', 'apply', '--store', store])).out).toBe(
    `nothing to do: the schema is ${newest}\n`,
  )
  expect(await exported(store)).toBe(log)
  const gone = await run(['rollback', '--store', store, '--to', '0', '--yes'])
  expect(gone.code).toBe(1)
  expect(gone.err).toMatch(/MIGRATION_IRREVERSIBLE.*eventuali restore/s)
  for (const wrong of ['99', '-1', 'x']) {
    const refused = await run(['rollback', '--store', store, '--to', wrong, '--yes'])
    expect(refused.code).toBeGreaterThan(0)
  }
}
