import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore } from '../../src/index.ts'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { startChild } from '../harness/child.ts'
import {
  callCounts,
  type FailingCall,
  failingCommand,
  type Injection,
  usesAfterFailedSync,
} from '../harness/failing-calls.ts'
import { auditLog, readLedger } from '../harness/ledger.ts'
import { SimulatedDisk } from '../harness/power-loss.ts'
import { readTrace, straceSkipReason } from '../harness/trace.ts'
import type { FailingInput, FailingRound } from './failing-io-program.ts'

/** More calls than a round makes, so that a fault which comes every so often comes once a round. */
const base = 512
const longest = 3_600_000
const fileName = 'log.db'
const home = mkdtempSync(join(tmpdir(), 'eventuali-failing-'))
const template = join(home, fileName)
/** How often a round makes each call when none fails. */
let made: Awaited<ReturnType<typeof callCounts>>

interface Sweep extends Pick<FailingInput, 'call' | 'mutant' | 'handedIn'> {
  readonly error: Injection['error']
  /** Every call from the Nth on fails, not only this one. */
  readonly sticky: boolean
  /** Rounds; left out: one for each call that there is, and two more. */
  readonly count?: number
  /** Only every so many of them. */
  readonly stride?: number
}

interface Found {
  readonly rounds: readonly FailingRound[]
  /** Calls of the store that were made to fail. */
  readonly failed: number
  readonly wrong: readonly string[]
}

function makeFolder(rounds: readonly number[], isNew = false): string {
  const folder = mkdtempSync(join(home, 'sweep-'))
  for (const round of rounds) {
    mkdirSync(join(folder, `r${round}`))
    if (!isNew) copyFileSync(template, join(folder, `r${round}`, fileName))
  }
  return folder
}

function pathsOf(folder: string, rounds: readonly number[]): string[] {
  const ends = ['', '-wal', '-shm', '-journal']
  const names = [...ends.map((end) => fileName + end), 'marks', '.']
  const places = rounds.flatMap((n) => names.map((name) => join(folder, `r${n}`, name)))
  return [join(folder, 'pad'), ...places]
}

async function runRounds(
  input: FailingInput,
  injection: Injection | undefined,
  log: string,
  bytes = false,
): Promise<FailingRound[]> {
  const { folder, rounds } = input
  const before = failingCommand(log, { injection, paths: pathsOf(folder, rounds), bytes })
  const child = startChild(import.meta.url, './failing-io-program.ts', { input, before })
  const results: FailingRound[] = []
  try {
    for (const _ of rounds) results.push(await child.message<FailingRound>('round', 240_000))
    await child.message('done')
    expect(await child.ended).toBe(0)
  } finally {
    child.kill('SIGKILL')
  }
  return results
}

/** What is wrong with a file, seen beside what the round says that it holds. */
async function problemsIn(file: string, round: Omit<FailingRound, 'round'>): Promise<string[]> {
  const wrong = [...round.wrong]
  try {
    const store = await openStore(`sqlite:${file}`)
    try {
      const report = await store.verify()
      wrong.push(...report.problems.map((problem) => problem.reason))
      const log = await store.readAll({ categories: ['ledger'] }).toArray()
      wrong.push(...auditLog(log, readLedger(round.acknowledged.map((l) => `${l}\n`).join(''))))
      const stored = new Set(log.map(({ data }) => `w ${(data as { batch: number }).batch}`))
      const back = round.refused.filter((batch) => stored.has(batch))
      wrong.push(...back.map((batch) => `batch ${batch} was refused and is there`))
      await store.append('after-1', { type: 'Noted', data: {} })
    } finally {
      await store.close()
    }
  } catch (error) {
    wrong.push(`does not open: ${String(error)}`)
  }
  return wrong
}

/** Once the fault is over, the store must go on by itself. */
function standsStill({ codes, acknowledged }: FailingRound, sweep: Sweep): boolean {
  return !sweep.sticky && sweep.handedIn !== true && codes.length > 6 && acknowledged.length < 3
}

/** Lets call number 1, 2, … fail, until none is left that could. */
async function runFound(sweep: Sweep): Promise<Found> {
  const { call, error, sticky, mutant, handedIn } = sweep
  const count = sweep.count ?? (made.get(call)?.made ?? 0) + 2
  const every = Array.from({ length: count }, (_, n) => n + 1)
  const rounds = every.filter((n) => n % (sweep.stride ?? 1) === 0)
  const folder = makeFolder(rounds)
  const log = join(folder, 'trace')
  const when = sticky ? `${base}+` : `${base}+${base}`
  try {
    const threads = sticky
    const input: FailingInput = { folder, rounds, call, base, threads, mutant, handedIn }
    const results = await runRounds(input, { call, error, when }, log)
    const failed = (await callCounts(log, fileName)).get(call)?.failed ?? 0
    const wrong = call === 'fsync' ? await usesAfterFailedSync(log) : []
    for (const result of results) {
      const found = await problemsIn(join(folder, `r${result.round}`, fileName), result)
      if (standsStill(result, sweep)) found.push('no append succeeds after the fault')
      wrong.push(...found.map((f) => `${describeSweep(sweep)} at ${result.round}: ${f}`))
    }
    return { rounds: results, failed, wrong }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A round of a process of its own, so that calls are counted from its first one on. */
async function oneRound(
  call: FailingCall,
  injection: Injection,
): Promise<FailingRound & { readonly failed: number }> {
  const folder = makeFolder([1])
  const log = join(folder, 'trace')
  try {
    const input: FailingInput = { folder, rounds: [1], call, base: 0, threads: false }
    const [result] = await runRounds(input, injection, log)
    const round = result as FailingRound
    const wrong = await problemsIn(join(folder, 'r1', fileName), round)
    return { ...round, wrong, failed: (await callCounts(log, fileName)).get(call)?.failed ?? 0 }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function sum<K extends string>(items: readonly { readonly [k in K]: number }[], key: K): number {
  return items.reduce((total, item) => total + item[key], 0)
}

function describeSweep({ call, error, sticky }: Sweep): string {
  return `${call} ${error} ${sticky ? 'from then on' : 'once'}`
}

/** Two at a time. */
async function runAll(campaignRun: Campaign, sweeps: readonly Sweep[]): Promise<string[]> {
  const wrong: string[] = []
  const left = [...sweeps]
  let failed = 0
  let roundCount = 0
  const codes = new Map<string, number>()
  const worker = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const found = await runFound(next)
      // The last rounds meet no fault: their calls have come to an end.
      if (found.failed === 0) wrong.push(`${describeSweep(next)}: nothing failed`)
      failed += found.failed
      roundCount += found.rounds.length
      for (const code of found.rounds.flatMap((round) => round.codes)) {
        codes.set(code, (codes.get(code) ?? 0) + 1)
      }
      wrong.push(...found.wrong)
    }
  }
  await Promise.all([worker(), worker()])
  campaignRun.note(`${sweeps.length} sweeps, ${roundCount} rounds, ${failed} failed calls`)
  campaignRun.note([...codes].map(([code, count]) => `${code} ${count}`).join(', '))
  return wrong
}

interface Losses {
  readonly states: number
  readonly failed: number
  readonly wrong: readonly string[]
}

/**
 * Syncs that fail, on a disk that drops what they were for: at each acknowledgement that comes
 * after the failure the power goes, with everything that no later sync has reached.
 */
async function failSyncs(sticky: boolean, mutant?: FailingInput['mutant']): Promise<Losses> {
  const count = (made.get('fsync')?.made ?? 0) + 6
  const rounds = Array.from({ length: count }, (_, n) => n + 1)
  const folder = makeFolder(rounds, true)
  const log = join(folder, 'trace')
  const when = sticky ? `${base}+` : `${base}+${base}`
  const wrong: string[] = []
  let [states, failed] = [0, 0]
  try {
    const input: FailingInput = {
      ...{ folder, rounds, call: 'fsync', base, threads: sticky, mutant },
      marks: true,
    }
    const results = await runRounds(input, { call: 'fsync', error: 'EIO', when }, log, true)
    const image = join(folder, 'image')
    for (const result of results) {
      const place = join(folder, `r${result.round}`)
      const disk = new SimulatedDisk(basename(place))
      let marks = ''
      let isAfter = false
      for (const call of await readTrace(log, place)) {
        if (call.kind === 'sync' && call.failed === true) {
          failed += isAfter ? 0 : 1
          isAfter = true
        }
        if (call.file.endsWith('-shm')) continue
        if (call.file !== 'marks') disk.run(call)
        else if (call.kind === 'write') {
          marks += call.bytes.toString()
          if (!isAfter) continue
          states++
          mkdirSync(image)
          disk.image(image, 'all lost', { next: () => 0 } as never)
          const acknowledged = marks.trim().split('\n')
          const round = { acknowledged, refused: [], codes: [], wrong: result.wrong }
          const found = await problemsIn(join(image, fileName), round)
          wrong.push(...found.map((f) => `sync ${result.round}: ${f}`))
          rmSync(image, { recursive: true, force: true })
        }
      }
    }
    return { states, failed, wrong }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const skip = straceSkipReason()

beforeAll(async () => {
  if (skip !== undefined) return
  const store = await openStore(`sqlite:${template}`)
  await store.append('before-1', { type: 'Noted', data: {} })
  await store.close()
  const folder = makeFolder([1])
  const input = { folder, rounds: [1], call: 'pwrite64', base: 0, threads: false } as const
  const log = join(folder, 'trace')
  const [result] = await runRounds(input, undefined, log)
  expect(result?.codes).toEqual([])
  expect(await problemsIn(join(folder, 'r1', fileName), result as FailingRound)).toEqual([])
  made = await callCounts(log, fileName)
})

afterAll(() => rmSync(home, { recursive: true, force: true }))

const calls = (names: readonly FailingCall[], error: Injection['error'], sticky: boolean) =>
  names.map((call): Sweep => ({ call, error, sticky }))

describe.skipIf(skip !== undefined)('calls of the system that fail', () => {
  test(
    'one of them, whichever: nothing acknowledged is lost, and the store goes on',
    async () => {
      await campaign('R4 the Nth call fails once, SQLite', async (run) => {
        const sweeps = [
          ...calls(['pwrite64', 'fsync', 'pread64', 'ftruncate', 'openat', 'unlink'], 'EIO', false),
          ...calls(['pwrite64', 'fsync', 'openat'], 'ENOSPC', false),
          { call: 'fsync', error: 'EIO', sticky: false, handedIn: true } as const,
        ]
        run.note([...made].map(([call, { made: count }]) => `${call} ${count}`).join(', '))
        expect(await runAll(run, sweeps)).toEqual([])
      })
    },
    longest,
  )

  test(
    'all from one on: what fails says so, and nothing acknowledged is lost',
    async () => {
      await campaign('R4 every call from the Nth on fails, SQLite', async (run) => {
        const sweeps = [
          ...calls(['pwrite64', 'fsync', 'ftruncate', 'openat'], 'EIO', true),
          // As EIO, with another code: in a soak at each of them.
          {
            call: 'pwrite64',
            error: 'ENOSPC',
            sticky: true,
            stride: run.scale > 1 ? 1 : 3,
          } as const,
        ]
        expect(await runAll(run, sweeps)).toEqual([])
      })
    },
    longest,
  )

  test(
    'interrupted ones are made again',
    async () => {
      await campaign('R4 interrupted calls, SQLite', async (run) => {
        let failed = 0
        for (const call of ['pwrite64', 'pread64', 'openat'] as const) {
          // Every second call, from the first or the second on: between them every one.
          for (const when of ['1+2', '2+2', '3+7']) {
            const result = await oneRound(call, { call, error: 'EINTR', when })
            expect(result).toMatchObject({ codes: [], wrong: [] })
            failed += result.failed
          }
        }
        run.note(`9 rounds, ${failed} interrupted calls`)
        expect(failed).toBeGreaterThan(100)
      })
    },
    longest,
  )

  test(
    'memory that cannot be mapped is an error, and over when it can',
    async () => {
      await campaign('R4 the Nth mmap fails, SQLite', async (run) => {
        for (const when of ['1', '2', '1+', '2+']) {
          const result = await oneRound('mmap', { call: 'mmap', error: 'ENOMEM', when })
          run.note(`${when}: ${result.codes[0]}`)
          expect(result.wrong).toEqual([])
        }
      })
    },
    longest,
  )

  test(
    'a failed sync on a disk that drops the pages loses nothing acknowledged',
    async () => {
      await campaign('R4 power loss after a failed sync, SQLite', async (run) => {
        const found = await Promise.all([failSyncs(false), failSyncs(true)])
        const [states, failed] = [sum(found, 'states'), sum(found, 'failed')]
        run.note(`${failed} rounds with a failed sync, ${states} power losses after it`)
        expect(states).toBeGreaterThan(20)
        expect(found.flatMap(({ wrong }) => wrong)).toEqual([])
      })
    },
    longest,
  )

  test.each([
    ['fsync', 'EIO', 'acknowledges-failed', /is lost/],
    ['pwrite64', 'ENOSPC', 'acknowledges-failed', /is lost/],
    ['fsync', 'EIO', 'raw', /by a connection whose sync had failed/],
    ['pwrite64', 'EIO', 'hangs', /append hangs/],
    ['pwrite64', 'EIO', 'untyped', /no error of the library/],
  ] as const)(
    'the harness finds a writer at whose %s %s it %s',
    async (call, error, mutant, sign) => {
      await campaign(`R4 planted: ${mutant} at ${call} ${error}`, async (run) => {
        const { wrong } = await runFound({ call, error, sticky: false, mutant, count: 24 })
        run.note(`${wrong.length} findings`)
        expect(wrong.join('\n')).toMatch(sign)
      })
    },
  )

  test(
    'the power loss finds a writer that takes no notice of a failed sync',
    async () => {
      await campaign('R4 planted: acknowledges-failed, power loss', async (run) => {
        const { wrong } = await failSyncs(false, 'acknowledges-failed')
        run.note(`${wrong.length} findings`)
        expect(wrong.join('\n')).toContain('is lost')
      })
    },
    longest,
  )
})
