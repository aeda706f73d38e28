import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'
import {
  backupsAndRestores,
  migratesAndRollsBack,
  temporaryFolder,
} from './backup-commands.test-support.ts'
import { run } from './run.test-support.ts'

it('backs a SQLite store up and restores it, whole, in parts and up to a position', async () => {
  const folder = temporaryFolder()
  let count = 0
  await backupsAndRestores(
    `sqlite:${join(folder, 'log.db')}`,
    async () => `sqlite:${join(folder, `again-${++count}.db`)}`,
  )
  // What was refused has made no file.
  expect(existsSync(join(folder, `again-${count}.db`))).toBe(false)
})

it('shows, makes and takes back the schema migrations of a SQLite store', async () => {
  await migratesAndRollsBack(`sqlite:${join(temporaryFolder(), 'log.db')}`, 3)
})

it('asks before a rollback, by the name of the store', async () => {
  const folder = temporaryFolder()
  const store = `sqlite:${join(folder, 'log.db')}`
  await run(['append', 'a', 'T', '{}', '--store', store])
  const back = ['rollback', '--store', store, '--to', '2']
  const no = await run(back, { typed: true, stdin: 'no\n' })
  expect(no).toMatchObject({ code: 1, err: expect.stringContaining('nothing was done') })
  expect(await run(back, { typed: true, stdin: 'log.db\n' })).toMatchObject({ code: 0 })
  const none = await run(back, { typed: true })
  expect(none).toMatchObject({ code: 0, out: 'nothing to do: the schema is 2\n' })
})

it('says how it is used', async () => {
  const folder = temporaryFolder()
  const store = `sqlite:${join(folder, 'log.db')}`
  await run(['append', 'a', 'T', '{}', '--store', store])
  const out = join(folder, 'a.backup')
  const usage = async (...argv: readonly string[]) => {
    const { code, err } = await run(argv, { env: { EVENTUALI_STORE: store } })
    expect(code, argv.join(' ')).toBe(2)
    return err
  }
  expect(await usage('backup')).toContain('--out')
  await usage('backup', '--out', folder, '--incremental', '--base', 'x')
  await usage('backup', '--out', out, '--compress', 'lz4')
  await usage('backup', '--out', out, '--passphrase-env', 'A', '--passphrase-file', 'B')
  await usage('backup', 'verify')
  await usage('restore')
  await usage('restore', out, '--to-time', '17')
  await usage('restore', out, '--to-time', '2001-01-01', '--to-position', '1')
  await usage('rollback')
  expect(await run(['restore', out])).toMatchObject({
    code: 2,
    err: expect.stringContaining('--store'),
  })
  const failing = async (...argv: readonly string[]) => {
    const { code, err } = await run(argv, { env: { EVENTUALI_STORE: store } })
    expect(code, argv.join(' ')).toBe(1)
    return err
  }
  expect(await failing('backup', '--out', out, '--passphrase-env', 'A')).toContain('A is not set')
  const secret = join(folder, 'secret')
  const fromFile = ['--passphrase-file', secret]
  expect(await failing('backup', '--out', out, ...fromFile)).toContain('cannot be read')
  writeFileSync(secret, '\n')
  expect(await failing('backup', '--out', out, ...fromFile)).toContain('is empty')
  writeFileSync(secret, 'words of mine\n')
  expect(await run(['backup', '--store', store, '--out', out, ...fromFile])).toMatchObject({
    code: 0,
  })
  expect(await run(['backup', 'verify', out, ...fromFile, '--json'])).toMatchObject({ code: 0 })
  expect(await failing('backup', '--out', out)).toContain('BACKUP_EXISTS')
  expect(await failing('restore', 'not-there.backup')).toContain('there is no such file')
  expect(await failing('backup', '--out', join(folder, 'no', 'a'))).toContain(
    'a folder that is not',
  )
  const missing = await run(['migrate', '--store', `sqlite:${join(folder, 'no.db')}`])
  expect(missing).toMatchObject({ code: 1, err: expect.stringContaining('there is no file') })
  const help = await run(['backup', '--help'])
  expect(help.out).toContain('Examples:')
})

it('tells of events that were damaged in the store already', async () => {
  const folder = temporaryFolder()
  const file = join(folder, 'log.db')
  const store = `sqlite:${file}`
  await run(['append', 'a', 'T', '{}', '--store', store])
  const database = new DatabaseSync(file)
  database.exec('UPDATE eventuali_events SET checksum = checksum + 1')
  database.close()
  const out = join(folder, 'a.backup')
  const told = expect.stringContaining('1 event did not match')
  expect(await run(['backup', '--store', store, '--out', out])).toMatchObject({
    code: 0,
    err: told,
  })
  expect(await run(['backup', 'verify', out])).toMatchObject({ code: 1, err: told })
  const restored = await run(['restore', out, '--store', `sqlite:${join(folder, 'b.db')}`])
  expect(restored).toMatchObject({ code: 1, err: expect.stringContaining('eventuali verify') })
  expect(restored.out).toContain('verified: 1 problem\n')
})

it('copies a SQLite file as it is', async () => {
  const folder = temporaryFolder()
  const store = `sqlite:${join(folder, 'log.db')}`
  await run(['append', 'a', 'T', '{}', '--store', store])
  const out = join(folder, 'copy.db')
  const physical = ['backup', '--store', store, '--out', out, '--physical']
  expect(await run(physical)).toEqual({
    ...{ code: 0, err: '' },
    out: `1 event up to position 1 and all that stands beside them are in ${out}, a store of its own\n`,
  })
  const copied = await run(['export', '--store', `sqlite:${out}`])
  expect(copied).toEqual(await run(['export', '--store', store]))
  expect(await run(physical)).toMatchObject({ code: 1, err: expect.stringContaining('exists') })
  expect(await run([...physical, '--incremental'])).toMatchObject({ code: 2 })
})
