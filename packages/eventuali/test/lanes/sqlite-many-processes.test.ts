import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openStore } from '../../src/index.ts'
import { campaign } from '../harness/campaign.ts'
import { fourProcesses, longest, problems } from '../process/four-processes.ts'

const MiB = 2 ** 20
const walBytesMax = 64 * MiB
/** A foreign program's read transaction: so long, and so often. */
const foreignMs = 1000
const betweenForeignMs = 14_000
/** Events that a slow scan has before it. */
const countBefore = 3000

let folder = ''
let file = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'eventuali-many-'))
  file = join(folder, 'log.db')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const walBytes = (): number => (existsSync(`${file}-wal`) ? statSync(`${file}-wal`).size : 0)

const inMiB = (bytes: number): string => `${(bytes / MiB).toFixed(1)} MiB`

/** A read transaction that stays open, as another program may have one. */
function openTransaction(): () => void {
  const foreign = new DatabaseSync(file, { readOnly: true })
  foreign.exec('BEGIN')
  foreign.prepare('SELECT count(*) FROM eventuali_streams').get()
  return () => {
    foreign.exec('COMMIT')
    foreign.close()
  }
}

interface Watched {
  walBytes: number
  scanned: number
  scanMs: number
  foreign: number
}

async function fill(): Promise<void> {
  await using store = await openStore(`sqlite:${file}`)
  const events = Array.from({ length: countBefore }, (_, n) => ({
    type: 'Noted',
    data: { mark: `before ${n}`, after: null },
  }))
  await store.append('before', events)
}

/** Looks at the log all the time, beside a slow scan and a foreign reader that comes and goes. */
async function watch(durationMs: number, watched: Watched): Promise<void> {
  const startedAt = performance.now()
  const leftMs = (): number => startedAt + durationMs - performance.now()
  // One scan that takes all the time over what was there before.
  const scan = async (): Promise<void> => {
    await using store = await openStore(`sqlite:${file}`)
    for await (const _ of store.readAll({ upTo: 'newest' })) {
      watched.scanned++
      const dueMs = (durationMs * watched.scanned) / countBefore - durationMs + leftMs()
      if (dueMs > 0) await sleep(dueMs)
    }
    watched.scanMs = performance.now() - startedAt
  }
  const foreign = async (): Promise<void> => {
    while (leftMs() > betweenForeignMs) {
      await sleep(betweenForeignMs)
      const end = openTransaction()
      watched.foreign++
      await sleep(foreignMs)
      end()
    }
  }
  const look = async (): Promise<void> => {
    while (leftMs() > 0) {
      watched.walBytes = Math.max(watched.walBytes, walBytes())
      await sleep(20)
    }
  }
  await Promise.all([scan(), foreign(), look()])
}

test('4 processes with 4 writers each are never told that the file is busy', async () => {
  await campaign('R23 many processes on one file', async (run) => {
    const durationMs = run.scaled(60_000)
    const watched: Watched = { walBytes: 0, scanned: 0, scanMs: 0, foreign: 0 }
    const url = `sqlite:${file}`
    await fill()
    const reports = await fourProcesses(
      { url, durationMs, streamCount: 40, fillerLength: 2500, pauseMs: 10, seed: run.seed },
      () => watch(durationMs, watched),
    )
    const latencies = reports.flatMap((report) => report.latenciesMs)
    run.note(
      `${durationMs / 1000} s, ${latencies.length} appends, longest ${longest(latencies).toFixed()} ms, log up to ${inMiB(watched.walBytes)}, a scan of ${(watched.scanMs / 1000).toFixed()} s over ${watched.scanned} events, ${watched.foreign} foreign transactions, database ${inMiB(statSync(file).size)}`,
    )
    expect(reports.flatMap(({ errors }) => errors)).toEqual([])
    expect(longest(latencies)).toBeLessThan(5000)
    expect(watched.walBytes).toBeLessThanOrEqual(walBytesMax)
    expect(watched.scanMs).toBeGreaterThanOrEqual(0.99 * durationMs)
    expect(watched.scanned).toBeGreaterThanOrEqual(countBefore)
    expect(await problems(url, reports)).toEqual([])
  })
}, 9_000_000)

test('a reader in one transaction breaks the bound, and it holds again after its end', async () => {
  await campaign('R23 planted: a scan in one transaction', async (run) => {
    const url = `sqlite:${file}`
    const durationMs = 12_000
    let pinned = 0
    let after = 0
    const reader = async (): Promise<void> => {
      const startedAt = performance.now()
      const end = openTransaction()
      while (pinned <= walBytesMax && performance.now() < startedAt + 60_000) {
        pinned = Math.max(pinned, walBytes())
        await sleep(20)
      }
      end()
      await sleep(3000)
      // The writers are at work: whoever commits next begins the log anew.
      after = walBytes()
    }
    const job = { url, durationMs, streamCount: 40, fillerLength: 60_000, seed: run.seed }
    const reports = await fourProcesses(job, reader)
    run.note(`log ${inMiB(pinned)} under the reader, ${inMiB(after)} after it`)
    expect(reports.flatMap(({ errors }) => errors)).toEqual([])
    expect(pinned).toBeGreaterThan(walBytesMax)
    expect(after).toBeLessThanOrEqual(walBytesMax)
  })
}, 300_000)

test('a writer that waits for nobody is told that the file is busy', async () => {
  await campaign('R23 planted: does not wait', async (run) => {
    const url = `sqlite:${file}`
    const mutant = 'does-not-wait'
    const reports = await fourProcesses({
      url,
      durationMs: 1500,
      streamCount: 4,
      mutant,
      seed: run.seed,
    })
    const errors = reports.flatMap((report) => report.errors)
    run.note(`${errors.length} times`)
    expect(errors.join()).toContain('database is locked')
  })
})
