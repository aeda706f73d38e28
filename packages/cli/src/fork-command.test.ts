import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { run } from './run.test-support.ts'

it('fork copies a store up to a position or a time into a file of its own', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-fork-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const store = `sqlite:${join(folder, 'log.db')}`
  for (const [stream, type] of [
    ['cart-1', 'Added'],
    ['cart-1', 'Paid'],
    ['cart-2', 'Added'],
  ] as const) {
    await run(['append', stream, type, '{}', '--store', store])
  }
  const fork = (...argv: readonly string[]) => run(['fork', '--store', store, ...argv])
  const into = join(folder, 'fork.db')
  expect(await fork('--into', into, '--at', '2')).toEqual({
    code: 0,
    out: `2 events of 1 stream up to position 2 are in ${into}\n`,
    err: '',
  })
  const streams = await run(['streams', '--store', `sqlite:${into}`, '--json'])
  expect(JSON.parse(streams.out)).toMatchObject({ stream: 'cart-1', version: 2 })
  expect(await run(['verify', '--store', `sqlite:${into}`])).toMatchObject({ code: 0 })

  const again = await fork('--into', into)
  expect(again).toMatchObject({ code: 1, err: expect.stringContaining('exists already') })
  const early = await fork('--into', `sqlite:${join(folder, 'x.db')}`, '--at', '2001-01-01')
  expect(early).toMatchObject({ code: 1, out: '' })
  expect(early.err).toMatch(/recorded from \d{4}-\S+Z to \S+Z, and times here go by recordedAt/)
  const none = await fork('--into', `sqlite:${join(folder, 'none.db')}`, '--at', '0', '--json')
  expect(JSON.parse(none.out)).toMatchObject({ position: 0, events: 0, reduced: [] })
  expect(await fork('--into', join(folder, 'x.db'), '--at', '9')).toMatchObject({
    code: 1,
    err: expect.stringContaining('beyond the newest safe position, 3'),
  })
  expect(await fork('--at', '2')).toMatchObject({ code: 2 })
  expect(await fork('--into', join(folder, 'x.db'), '--at', 'noon')).toMatchObject({ code: 2 })
  expect(readdirSync(folder).filter((name) => /x\.db|unfinished/.test(name))).toEqual([])
})
