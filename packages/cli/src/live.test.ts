import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { openStore, type Store } from 'eventuali'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { main } from './index.ts'
import { sparkline } from './monitor-view.ts'
import { run } from './run.test-support.ts'

class Screen extends Writable {
  text = ''
  isTTY = true
  columns = 60
  rows = 20
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk
    done()
  }
}

let folder: string
let url: string
let store: Store
let runs = 0
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'eventuali-live-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))
beforeEach(async () => {
  url = `sqlite:${join(folder, `${runs++}.db`)}`
  store = await openStore(url)
  for (let n = 1; n <= 3; n++) await store.append('order-1', { type: 'Placed', data: { n } })
})
afterEach(() => store.close())

function begin(...argv: string[]) {
  const [stdout, stderr] = [new Screen(), new Screen()]
  const io = { stdin: Readable.from([]), stdout, stderr, env: {}, cwd: folder }
  const ended = main([...argv, '--store', url], io)
  // What Ctrl-C does to a process, without the other processes of its group.
  const interrupt = () => process.emit('SIGINT')
  return { stdout, stderr, ended, interrupt }
}

const positions = (text: string) =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => Number.parseInt(line.trim(), 10))

describe('tail -f', () => {
  it('goes on with what others append, until Ctrl-C, which is no failure', async () => {
    const { stdout, stderr, ended, interrupt } = begin('tail', '-f', '-n', '2')
    await expect.poll(() => positions(stdout.text)).toEqual([2, 3])
    await store.append('order-2', { type: 'Placed', data: { n: 4 } })
    await expect.poll(() => positions(stdout.text)).toEqual([2, 3, 4])
    interrupt()
    expect(await ended).toBe(0)
    expect(stderr.text).toBe('')
    for (const line of stdout.text.trim().split('\n')) expect(line.length).toBeLessThanOrEqual(60)
  })

  it('leaves out what is not asked for, and ends when nobody reads any more', async () => {
    const argv = ['tail', '-f', '-n', '0', '--stream', 'order-2', '--where', 'data.n>4', '--json']
    const { stdout, ended } = begin(...argv)
    for (let n = 4; n <= 6; n++) {
      await store.append('order-1', { type: 'Placed', data: { n } })
      await store.append('order-2', { type: 'Placed', data: { n } })
    }
    await expect.poll(() => stdout.text.trim().split('\n').length).toBe(2)
    const events = stdout.text.trim().split('\n')
    expect(events.map((line) => JSON.parse(line).data.n)).toEqual([5, 6])
    stdout.emit('error', Object.assign(new Error('gone'), { code: 'EPIPE' }))
    expect(await ended).toBe(0)
  })
})

describe('monitor', () => {
  it('draws frames that fit, again after a resize, and gives the terminal back', async () => {
    const { stdout, ended, interrupt } = begin('monitor', '--interval', '50ms')
    const frames = () => stdout.text.split('\u001b[H').slice(1)
    await expect.poll(() => frames().length).toBeGreaterThan(2)
    stdout.columns = 30
    stdout.rows = 8
    const before = frames().length
    stdout.emit('resize')
    expect(frames().length).toBe(before + 1)
    interrupt()
    expect(await ended).toBe(0)
    expect(stdout.text.startsWith('\u001b[?1049h\u001b[?25l')).toBe(true)
    expect(stdout.text.endsWith('\u001b[?25h\u001b[?1049l')).toBe(true)
    // Nothing is cleared but what is behind the text: so nothing flickers.
    expect(stdout.text).not.toContain('\u001b[2J')
    const [small = ''] = frames().slice(before)
    const lines = (small.split('\u001b[J')[0] ?? '').split('\u001b[K\n').slice(0, -1)
    expect(lines).toHaveLength(7)
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(30)
    expect(lines.at(-1)).toMatch(/^and \d+ lines more/)
    expect(stdout.listenerCount('resize')).toBe(0)
  })

  it('goes on with one line of JSON for each look', async () => {
    const { stdout, ended, interrupt } = begin('monitor', '--json', '--interval', '50ms')
    await expect.poll(() => stdout.text.split('\n').length).toBeGreaterThan(3)
    interrupt()
    expect(await ended).toBe(0)
    const [first, second] = stdout.text.split('\n').map((line) => (line ? JSON.parse(line) : {}))
    expect(first.positionsPerSecond).toBeUndefined()
    expect(second).toMatchObject({ positionsPerSecond: 0, positions: { newest: 3 } })
  })

  it('draws rates in one row, also without Unicode', () => {
    expect(sparkline([0, 1, 2], 10, true)).toBe('▁▅█')
    expect(sparkline([0, 1, 2, 4], 3, false)).toBe('-+@')
    expect(sparkline([], 3, true)).toBe('')
    expect(sparkline([0, 0], 3, true)).toBe('▁▁')
  })
})

describe('benchmark', () => {
  it('cleans up after Ctrl-C, in the store and beside it', async () => {
    const { stdout, stderr, ended, interrupt } = begin('benchmark', '--time', '60s', '--yes')
    const live = async () => {
      const streams = await store.streams({ prefix: 'EventualiBenchmark-' }).toArray()
      return streams.filter(({ state }) => state !== 'deleted')
    }
    await expect.poll(async () => (await live()).length).toBeGreaterThan(2)
    expect(readdirSync(folder).filter((name) => name.includes('-benchmark-'))).not.toEqual([])
    interrupt()
    expect(await ended).toBe(130)
    expect(stdout.text).toBe('')
    expect(stderr.text).toMatch(/\d+ streams removed again/)
    expect(await live()).toEqual([])
    expect(readdirSync(folder).filter((name) => name.includes('-benchmark-'))).toEqual([])
    expect((await store.readStream('order-1').toArray()).length).toBe(3)
  })
})

describe('replay', () => {
  it('stops after the batch in hand on Ctrl-C, and goes on when run again', async () => {
    const into = `sqlite:${join(folder, `${runs}-copy.db`)}`
    const argv = ['replay', '--into', into, '--resume', 'copy']
    const { ended, interrupt } = begin(...argv, '--rate', '1')
    const copied = async () =>
      (await run(['query', '--json', '--store', into])).out.split('\n').length - 1
    await expect.poll(copied).toBe(1)
    interrupt()
    expect(await ended).toBe(130)
    expect(await copied()).toBeLessThan(3)
    const { code } = await run([...argv, '--store', url])
    expect(code).toBe(0)
    expect(await copied()).toBe(3)
  })
})

describe('--help', () => {
  it.each([
    ...['health', 'tail', 'monitor', 'benchmark', 'replay', 'query'],
    ...['subscriptions', 'subscriptions list', 'subscriptions status', 'subscriptions pause'],
    ...['subscriptions resume', 'deadletters', 'deadletters list', 'deadletters show'],
    ...['deadletters retry', 'deadletters discard', 'deadlines', 'deadlines list'],
    ...['deadlines cancel', 'aggregate', 'aggregate show', 'aggregate diff', 'aggregate history'],
    ...['projections', 'projections list', 'projections status', 'projections rebuild'],
    ...['projections compare', 'projections switch', 'projections rollback', 'projections pause'],
    ...['projections resume', 'processes', 'processes list', 'processes show'],
    ...['processes resume', 'processes skip', 'processes compensate', 'processes cancel'],
    ...['snapshots', 'snapshots list', 'snapshots create', 'snapshots verify', 'snapshots prune'],
  ])('of %s has examples and the exit codes', async (command) => {
    const { code, out } = await run([...command.split(' '), '--help'])
    expect(code).toBe(0)
    expect(out).toMatch(/^Examples?:\n {2}eventuali /m)
    expect(out).toContain(`eventuali ${command}`)
    expect(out.match(/^Exit codes:$/gm)).toHaveLength(1)
  })
})
