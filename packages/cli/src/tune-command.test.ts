import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore } from 'eventuali'
import { expect, it, onTestFinished } from 'vitest'
import { run } from './run.test-support.ts'

it('tune says what would do a file good, does it on request, and makes no file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-tune-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const url = `sqlite:${join(folder, 'log.db')}`
  const tune = (...argv: readonly string[]) => run(['tune', '--store', url, ...argv])
  expect(await tune()).toMatchObject({ code: 1, err: expect.stringContaining('there is no file') })
  expect(existsSync(join(folder, 'log.db'))).toBe(false)

  const store = await openStore(url)
  for (let n = 0; n < 30; n++) {
    await store.append(`large-${n}`, { type: 'Grown', data: { text: 'x'.repeat(1_000_000) } })
  }
  for (let n = 1; n < 30; n++) await store.deleteStream(`large-${n}`)
  await store.close()
  const said = await tune()
  expect(said.out).toMatch(/^vacuum: .* are free pages; better: /)
  expect(said.out).toContain('would run: VACUUM')
  expect(said.out).toContain('--apply does what concerns the store alone')
  expect(JSON.parse((await tune('--json')).out)).toMatchObject({ name: 'vacuum', applied: false })
  expect(await tune('--apply', 'fillfactor')).toMatchObject({ code: 1 })
  expect((await tune('--apply', 'vacuum')).out).toContain('done: VACUUM')
  expect(await tune('--apply')).toEqual({
    ...{ code: 0, err: '', out: 'nothing to do: what is set fits what is there\n' },
  })
  expect(await run(['tune', '--store', 'memory:'])).toMatchObject({ code: 1 })
})
