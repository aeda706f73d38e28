import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { openStore } from '../../src/index.ts'
import { seededRandom } from '../../src/kernel/index.ts'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { type Child, endChildren, startChild } from '../harness/child.ts'
import { auditLog, readLedger } from '../harness/ledger.ts'
import { type LossMode, lossModes, SimulatedDisk } from '../harness/power-loss.ts'
import { diesAt, steppedConnection } from '../harness/sql-steps.ts'
import { readTrace, straceCommand, straceSkipReason, type TracedCall } from '../harness/trace.ts'
import type { BatchWritersInput } from './batch-writers.ts'
import type { MigrationProgramInput } from './migration-kill-program.ts'

const longest = 3_600_000
const home = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'eventuali-steps-'))
const sources = fileURLToPath(new URL('../../src/stores/sqlite', import.meta.url))
const running = new Set<Child>()

/** Every schema that a release has left, the newest one's older brothers; 0 is no file at all. */
const released = [
  { schema: 0, fixture: undefined, log: [] },
  {
    schema: 1,
    fixture: join(sources, 'schema-v1.sql'),
    log: [
      '2 cart-1 2',
      '3 cart-2 1',
      '4 cart-3 1',
      '5 cart-3 2',
      '8 cart-4 3',
      '9 cart-1 3',
      '10 cart-1 4',
    ],
  },
  {
    schema: 2,
    fixture: join(sources, 'schema-v2.sql'),
    log: ['1 cart-1 1', '2 cart-1 2', '3 cart-2 1', '4 cart-2 2'],
  },
] as const

type Released = (typeof released)[number]

let made = 0

function makeFile({ fixture }: Released): string {
  const folder = join(home, String(++made))
  mkdirSync(folder)
  const file = join(folder, 'log.db')
  if (fixture !== undefined) {
    const connection = new DatabaseSync(file)
    connection.exec(`PRAGMA journal_mode = WAL; ${readFileSync(fixture, 'utf8')}`)
    connection.close()
  }
  return file
}

/** What is wrong with a file after it was opened in the ordinary way. */
async function problemsOf(file: string, from: Released): Promise<string[]> {
  try {
    const store = await openStore(`sqlite:${file}`)
    try {
      const wrong = (await store.verify()).problems.map(({ reason }) => reason)
      const log = await store.readAll({ includeArchived: true }).toArray()
      const seen = log.map(({ position, stream, version }) => `${position} ${stream} ${version}`)
      const kept = seen.slice(0, from.log.length)
      if (JSON.stringify(kept) !== JSON.stringify(from.log)) wrong.push(`the log is ${seen}`)
      const { position } = await store.append('after-1', { type: 'Noted', data: {} })
      if (position <= (log.at(-1)?.position ?? 0)) wrong.push(`${position} was there already`)
      return wrong
    } finally {
      await store.close()
    }
  } catch (error) {
    return [`does not open: ${String(error)} ${String((error as Error).cause ?? '')}`]
  }
}

/** Dies before statement 1, 2, … of the opening, until none is left; gives how many there were. */
async function dieAtEach(
  from: Released,
  ignoresTransactions: boolean,
): Promise<{ steps: number; wrong: string[] }> {
  const wrong: string[] = []
  for (let step = 1; ; step++) {
    const file = makeFile(from)
    const inner = new DatabaseSync(file)
    const guard = diesAt(step)
    const connection = steppedConnection(inner, guard, ignoresTransactions)
    const store = await openStore(`sqlite:${file}`, { connection }).catch(() => undefined)
    await store?.close()
    // Closing it is what the system does for a process that is gone: locks and the rest end.
    inner.close()
    const found = await problemsOf(file, from)
    wrong.push(...found.map((f) => `schema ${from.schema}, statement ${step}: ${f}`))
    rmSync(join(file, '..'), { recursive: true, force: true })
    if (guard.count < step) return { steps: step - 1, wrong }
  }
}

async function record(from: Released): Promise<{ folder: string; calls: TracedCall[] }> {
  const folder = mkdtempSync(join(home, 'trace-'))
  const data = join(folder, 'data')
  mkdirSync(data)
  const input: MigrationProgramInput = {
    ...{ file: join(data, 'log.db'), mark: join(data, 'mark.db') },
    fixture: from.fixture,
  }
  const log = join(folder, 'trace')
  const before = straceCommand(log)
  const child = startChild(import.meta.url, './migration-kill-program.ts', { input, before })
  expect(await child.ended).toBe(0)
  const calls = await readTrace(log, data)
  rmSync(folder, { recursive: true, force: true })
  return { folder: basename(data), calls }
}

/** Ends the process after each of its calls, and takes the power as well after every second one. */
async function dieAfterEachCall(run: Campaign, from: Released): Promise<string[]> {
  const { folder, calls } = await record(from)
  const isMark = ({ file }: TracedCall) => file.startsWith('mark.db')
  const start = calls.findIndex(isMark)
  expect(start).toBeGreaterThan(-1)
  const disk = new SimulatedDisk(folder)
  const random = seededRandom(run.seed)
  const wrong: string[] = []
  let [callCount, images] = [0, 0]
  for (const [at, call] of calls.entries()) {
    if (isMark(call) || call.file.endsWith('-shm')) continue
    disk.run(call)
    if (at < start) continue
    const modes =
      callCount % 2 === 0
        ? (['none lost'] as const)
        : (['none lost', lossModes[(callCount >> 1) % 3] as LossMode] as const)
    for (const mode of modes) {
      const image = join(home, String(++made))
      mkdirSync(image)
      disk.image(image, mode, random)
      const found = await problemsOf(join(image, 'log.db'), from)
      wrong.push(...found.map((f) => `schema ${from.schema}, call ${at}, ${mode}: ${f}`))
      rmSync(image, { recursive: true, force: true })
    }
    callCount++
    images += modes.length
  }
  run.note(`schema ${from.schema}: ${callCount} calls, ${images} images`)
  return wrong
}

afterEach(async () => {
  await endChildren([...running])
  running.clear()
})
afterAll(() => rmSync(home, { recursive: true, force: true }))

test(
  'a migration that dies before any of its statements is done again, or goes on',
  async () => {
    await campaign('R21 death at every statement, SQLite', async (run) => {
      for (const from of released) {
        const { steps, wrong } = await dieAtEach(from, false)
        run.note(`schema ${from.schema}: ${steps} statements`)
        expect(wrong).toEqual([])
        // Pragmas, and what each step of the schema consists of.
        expect(steps).toBeGreaterThan(6)
      }
    })
  },
  longest,
)

test.skipIf(straceSkipReason() !== undefined)(
  'and after any of its calls of the system, with or without power',
  async () => {
    await campaign('R21 death and power loss after every call, SQLite', async (run) => {
      for (const from of released) expect(await dieAfterEachCall(run, from)).toEqual([])
    })
  },
  longest,
)

test(
  'two programs that migrate at once, one of them killed, lose nothing',
  async () => {
    await campaign('R21 two programs, SQLite', async (run) => {
      let acknowledged = 0
      const rounds = run.scaled(6)
      for (let round = 0; round < rounds; round++) {
        const from = released[round % released.length] as Released
        const file = makeFile(from)
        const children = [0, 1].map((n) => {
          const input: BatchWritersInput = {
            ...{ url: `sqlite:${file}`, streamCount: 3, batchCountMax: 10 },
            ...{ seed: run.seed + 2 * round + n, writers: [`r${round}p${n}`] },
          }
          const child = startChild(import.meta.url, './batch-writers.ts', { input })
          running.add(child)
          return child
        })
        const [first, second] = children as [Child, Child]
        await Promise.all(children.map((child) => child.message('ready')))
        for (const child of children) child.send({})
        await sleep(run.between(0, 25))
        first.kill('SIGKILL')
        await second.message('open')
        await sleep(50)
        second.kill('SIGKILL')
        await Promise.all(children.map((child) => child.ended))
        const ledger = children.flatMap((child) => readLedger(child.output()))
        acknowledged += ledger.length
        const store = await openStore(`sqlite:${file}`)
        const log = await store.readAll({ categories: ['ledger'] }).toArray()
        await store.close()
        expect(auditLog(log, ledger)).toEqual([])
        expect(await problemsOf(file, from)).toEqual([])
      }
      run.note(`${rounds} rounds, ${acknowledged} acknowledged appends`)
    })
  },
  longest,
)

test('a program refuses a schema that is newer than it knows, and touches nothing', async () => {
  for (const from of released.slice(1)) {
    const file = makeFile(from)
    const connection = new DatabaseSync(file)
    connection.exec("UPDATE eventuali_meta SET value = '99' WHERE key = 'schema'")
    connection.close()
    const before = readFileSync(file)
    for (const readOnly of [false, true]) {
      const refused = openStore(`sqlite:${file}`, { readOnly })
      await expect(refused).rejects.toMatchObject({ code: 'SCHEMA_TOO_NEW', retryable: false })
    }
    expect(readFileSync(file).equals(before)).toBe(true)
  }
})

describe('the harness', () => {
  test(
    'finds steps that are not in one transaction',
    async () => {
      await campaign('R21 planted: no transaction, SQLite', async (run) => {
        const { wrong } = await dieAtEach(released[1], true)
        run.note(`${wrong.length} findings`)
        expect(wrong.join('\n')).toContain('already exists')
      })
    },
    longest,
  )
})
