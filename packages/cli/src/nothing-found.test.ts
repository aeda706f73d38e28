import { expect, it } from 'vitest'
import { temporaryFolder } from './backup-commands.test-support.ts'
import { run } from './run.test-support.ts'

it('a look that finds nothing says which name is not there, to people alone', async () => {
  const store = `sqlite:${temporaryFolder()}/log.db`
  const add = async (...argv: string[]) => {
    expect((await run(['append', ...argv, '--store', store])).code).toBe(0)
  }
  await add('order-1', 'Placed', '{"total":30}', '--tag', 'paid')
  const head = 'POSITION  TIME  STREAM  VERSION  TYPE  DATA\n'
  const said = async (command: string) => {
    const { code, out, err } = await run([...command.split(' '), '--store', store])
    expect(code, command).toBe(0)
    if (!command.includes('streams')) expect(['', head], command).toContain(out)
    return err
  }
  expect(await said('query --stream order-2')).toBe('there is no stream order-2\n')
  expect(await said('query --category parcel --type Sent --tag late')).toBe(
    'there is no stream of the category parcel, no event of the type Sent, no event with the tag late\n',
  )
  const none = 'there is no event that meets all of this\n'
  expect(await said('query --type Placed --where data.total>30')).toBe(none)
  expect(await said('query --from 7')).toBe(none)
  expect(await said('tail --category order --where !data.total')).toBe(none)
  expect(await said('tail --type Sent')).toBe('there is no event of the type Sent\n')
  expect(await said('streams --prefix parcel-')).toBe('there is no such stream\n')
  for (const quiet of ['query --type Sent --json', 'tail --type Sent --json', 'query --limit 0']) {
    expect(await said(quiet), quiet).toBe('')
  }
  expect(await said('tail -n 0')).toBe('')
})

it('of an empty store it says that', async () => {
  const store = `sqlite:${temporaryFolder()}/log.db`
  await run(['import', '-', '--store', store], { stdin: '' })
  const said = async (...argv: string[]) => (await run([...argv, '--store', store])).err
  expect(await said('query')).toBe('the log has no events yet\n')
  expect(await said('tail')).toBe('the log has no events yet\n')
  expect(await said('streams')).toBe('there is no stream yet\n')
})

it('tail keeps its columns below each other', async () => {
  const store = `sqlite:${temporaryFolder()}/log.db`
  for (const [stream, type] of [
    ['a-1', 'Placed'],
    ['order-100', 'PaidInFull'],
  ] as const) {
    await run(['append', stream, type, '{"n":1}', '--time', '2026-01-05', '--store', store])
  }
  const { out } = await run(['tail', '--store', store])
  expect(out).toBe(
    '       1  2026-01-05T00:00:00.000Z  a-1@1        Placed      {"n":1}\n' +
      '       2  2026-01-05T00:00:00.000Z  order-100@1  PaidInFull  {"n":1}\n',
  )
})
