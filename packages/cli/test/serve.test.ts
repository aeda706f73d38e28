import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore } from 'eventuali'
import { expect, it, onTestFinished } from 'vitest'
import { runCli } from './run-cli.ts'

/** The first line of standard output: where it listens. */
function urlOf(out: string): string | undefined {
  return /^(http:\S+)\n/.exec(out)?.[1]
}

it('serves a store until Ctrl-C, and ends with what is under way', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'eventuali-serve-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const store = `sqlite:${join(folder, 'log.db')}`
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const worked = Promise.withResolvers<void>()
    const ended = await runCli(['serve', '--store', store, '--port', '0'], {
      cwd: folder,
      during: (child) => {
        let out = ''
        child.stdout?.on('data', async (chunk) => {
          out += chunk
          const url = urlOf(out)
          if (url === undefined) return
          try {
            await using remote = await openStore(url)
            await remote.append('order-1', { type: 'OrderPlaced', data: { total: 30 } })
            expect((await fetch(`${url}/health/ready`)).status).toBe(200)
            const feed = await fetch(`${url}/v1/feed`)
            child.kill(signal)
            expect(await feed.text()).toContain('event: closing')
            worked.resolve()
          } catch (error) {
            child.kill('SIGKILL')
            worked.reject(error)
          }
        })
      },
    })
    await worked.promise
    expect([ended.code, ended.err]).toEqual([0, expect.stringContaining('closing')])
  }
  await using left = await openStore(store)
  expect((await left.stream('order-1'))?.version).toBe(2)
})
