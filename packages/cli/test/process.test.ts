import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunOptions, type RunResult, runCli } from './run-cli.ts'

const root = join(import.meta.dirname, '../../..')
const january = join(root, 'examples/data/flights-2013-01.ndjson.gz')
let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'eventuali-cli-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const eventuali = (
  argv: readonly string[],
  during?: RunOptions['during'],
  nodeFlags?: readonly string[],
): Promise<RunResult> =>
  runCli(argv, { cwd: folder, ...(during && { during }), ...(nodeFlags && { nodeFlags }) })

const line = (n: number): string =>
  `${JSON.stringify({ stream: `s-${n % 5}`, type: 'Counted', data: { n } })}\n`

describe('the program', () => {
  it('imports the January log in little memory, and its log verifies', async () => {
    const argv = ['import', january, '--store', 'sqlite:january.db', '--json']
    const { code, out, err } = await eventuali(argv, undefined, ['--max-old-space-size=128'])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(JSON.parse(out)).toMatchObject({ events: 80_491, streams: 27_004, skipped: 0 })
    const verified = await eventuali(['verify', '--store', 'sqlite:january.db'])
    expect(verified.out).toBe('80,491 events, 27,004 streams: no problems\n')
  })

  it('stays quiet when the reader of its output goes away', async () => {
    const argv = ['export', '--store', 'sqlite:january.db']
    const ended = await eventuali(argv, (child) => {
      child.stdout?.once('data', () => child.stdout?.destroy())
    })
    expect(ended.code).toBe(0)
    expect(ended.err).toBe('')
    expect(ended.out.length).toBeLessThan(5_000_000)
  })

  it('stops after the batch in flight on Ctrl-C, and goes on when run again', async () => {
    const store = 'sqlite:interrupted.db'
    const argv = ['import', '-', '--store', store, '--batch', '10', '--source', 'numbers']
    const total = 400
    const ended = await eventuali(argv, (child) => {
      // It waits for more of its input when the signal comes, and must end all the same.
      for (let n = 0; n < 205; n++) child.stdin?.write(line(n))
      const poll = setInterval(async () => {
        const { out } = await eventuali(['streams', '--store', store, '--json'])
        if (out === '') return
        clearInterval(poll)
        child.kill('SIGINT')
      }, 300)
    })
    expect(ended.code).toBe(130)
    expect(ended.err).toContain('eventuali: interrupted')
    const verified = await eventuali(['verify', '--store', store, '--json'])
    const stored = JSON.parse(verified.out)
    expect(stored).toMatchObject({ ok: true })
    expect(stored.events % 10).toBe(0)
    expect(stored.events).toBeGreaterThan(0)

    const again = await eventuali([...argv, '--json'], (child) => {
      for (let n = 0; n < total; n++) child.stdin?.write(line(n))
      child.stdin?.end()
    })
    expect(JSON.parse(again.out)).toMatchObject({
      events: total - stored.events,
      duplicates: stored.events,
    })
  })

  it('ends with the code of what happened', async () => {
    expect((await eventuali(['--help'])).code).toBe(0)
    expect((await eventuali(['import', 'nothing.ndjson', '--store', 'sqlite:x.db'])).code).toBe(1)
    expect((await eventuali(['import'])).code).toBe(2)
  })
})
