import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { run } from './run.test-support.ts'

let folder: string
let from: string
let to: string
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'eventuali-migrate-'))
  const made = folder
  onTestFinished(() => rmSync(made, { recursive: true, force: true }))
  from = `sqlite:${join(folder, 'from.db')}`
  to = `sqlite:${join(folder, 'to.db')}`
  await append('user-1', 'Joined', '{"name":"ada","email":"a@b.c"}')
  await append('user-2', 'Joined', '{"name":"bob","email":"b@b.c"}')
  await append('order-1', 'Placed', '{"total":3}')
})

const append = (...event: readonly [string, string, string]) =>
  run(['append', ...event, '--store', from])
const migrate = (...argv: readonly string[]) => run(['migrate-events', '--store', from, ...argv])
const lines = async (store: string) => {
  const { out } = await run(['query', '--store', store, '--json'])
  return out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
}
const flags = [
  ...['--category', 'user', '--rename', 'Joined=CustomerJoined', '--re-key', 'user-=customer-'],
  ...['--redact', 'CustomerJoined:email'],
]

describe('migrate-events', () => {
  it('copies, goes on, and proves what it did', async () => {
    const dry = await migrate('--to', to, ...flags, '--dry-run')
    expect(dry.out).toContain('2 events read, 2 would be written')
    const first = await migrate('--to', to, ...flags)
    expect(first).toMatchObject({ code: 0, err: '' })
    expect(first.out).toContain('To go over:\n1. Events up to position 3 are copied.')
    expect(await lines(to)).toMatchObject([
      { stream: 'customer-1', type: 'CustomerJoined', data: { name: 'ada' } },
      { stream: 'customer-2', type: 'CustomerJoined', data: { name: 'bob' } },
    ])
    await append('user-1', 'Joined', '{"name":"ada"}')
    const json = await migrate('--to', to, ...flags, '--json')
    expect(JSON.parse(json.out)).toMatchObject({ written: 1, position: 4 })
    const verified = await migrate('--to', to, ...flags, '--verify')
    expect(verified).toMatchObject({ code: 0, out: expect.stringContaining('the same\n') })
    await run(['append', 'customer-2', 'Greeted', '{}', '--store', to])
    const differing = await migrate('--to', to, ...flags, '--verify')
    expect(differing.code).toBe(1)
    expect(differing.out).toContain('customer-2 version 2: the event')
  })

  it('takes a plan from a module, and refuses to rewrite a log in place', async () => {
    const plan = join(folder, 'plan.ts')
    writeFileSync(
      plan,
      `export default {
        filter: { categories: ['user'] },
        transform: (event: { data: { name: string } }) => ({ ...event, data: event.data.name }),
      }`,
    )
    expect(await migrate('--to', to, '--plan', plan)).toMatchObject({ code: 0 })
    expect((await lines(to)).map(({ data }) => data)).toEqual(['ada', 'bob'])
    const inPlace = await migrate('--plan', plan)
    expect(inPlace).toMatchObject({ code: 1, err: expect.stringContaining('rewritten in place') })
    const copied = await migrate('--stream', 'user-1', '--re-key', 'user=copy')
    expect(copied).toMatchObject({ code: 0 })
    expect((await lines(from)).at(-1)).toMatchObject({ stream: 'copy-1' })
    expect(await migrate('--to', to, '--plan', 'nothing.ts')).toMatchObject({ code: 1 })
    const none = join(folder, 'none.ts')
    writeFileSync(none, 'export const other = 1')
    expect(await migrate('--to', to, '--plan', none)).toMatchObject({ code: 1 })
    expect(await migrate('--to', to, '--rename', 'Joined')).toMatchObject({ code: 2 })
    expect(await migrate('--to', to, '--verify', '--dry-run')).toMatchObject({ code: 2 })
  })
})
