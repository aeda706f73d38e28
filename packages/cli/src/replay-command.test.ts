import { openStore } from 'eventuali'
import { expect, it } from 'vitest'
import { temporaryFolder } from './backup-commands.test-support.ts'
import { run } from './run.test-support.ts'

it('refuses before it writes what it could not keep the versions of', async () => {
  const folder = temporaryFolder()
  const [from, into] = [`sqlite:${folder}/a.db`, `sqlite:${folder}/b.db`]
  const source = await openStore(from)
  await source.append('order-1', { type: 'Placed', data: 1 })
  await source.append(
    'parcel-1',
    [1, 2, 3].map((n) => ({ type: 'Sent', data: n })),
  )
  const replay = (...more: string[]) => run(['replay', '--store', from, '--into', into, ...more])
  const copied = async () =>
    (await run(['query', '--json', '--store', into])).out.trim().split('\n').filter(Boolean).length
  await source.truncate('parcel-1', { before: 3 })
  const refused = await replay()
  expect(refused).toMatchObject({ code: 1, out: '' })
  expect(refused.err).toContain('the stream parcel-1 begins at version 3')
  expect(refused.err).toContain('--versions renumber')
  expect(await copied()).toBe(0)
  expect(await replay('--category', 'order')).toMatchObject({ code: 0, err: '' })
  expect(await copied()).toBe(1)
  expect(await replay('--versions', 'renumber')).toMatchObject({ code: 0, err: '' })
  expect(await copied()).toBe(2)
  await source.close()
})

it('goes on with a stream that it has from before its past was removed', async () => {
  const folder = temporaryFolder()
  const [from, into] = [`sqlite:${folder}/a.db`, `sqlite:${folder}/b.db`]
  const source = await openStore(from)
  await source.append(
    'order-1',
    [1, 2].map((n) => ({ type: 'Placed', data: n })),
  )
  const replay = () =>
    run(['replay', '--store', from, '--into', into, '--resume', 'copy', '--json'])
  expect(JSON.parse((await replay()).out)).toMatchObject({ events: 2 })
  await source.deleteStream('order-1')
  expect(JSON.parse((await replay()).out)).toMatchObject({ events: 1 })
  await using target = await openStore(into, { readOnly: true })
  expect(await target.stream('order-1')).toMatchObject({ state: 'deleted', version: 3 })
  await source.close()
})

it('ends before the first event of a time', async () => {
  const store = `sqlite:${temporaryFolder()}/a.db`
  for (const time of ['2026-01-05', '2026-01-06', '2026-01-07']) {
    const argv = ['append', 'order-1', 'Placed', '{}', '--time', time, '--store', store]
    expect((await run(argv)).code).toBe(0)
  }
  const upTo = async (to: string) => {
    const argv = ['replay', '--dry-run', '--to', to, '--json', '--store', store]
    return JSON.parse((await run(argv)).out).events
  }
  expect(await upTo('2026-01-05')).toBe(0)
  expect(await upTo('2026-01-06T12:00:00Z')).toBe(2)
  expect(await upTo('2030-01-01')).toBe(3)
  expect(await upTo('1')).toBe(1)
})
