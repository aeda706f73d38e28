import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openStore } from '../../src/index.ts'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { startChild } from '../harness/child.ts'
import { type Acknowledged, auditLog, readLedger } from '../harness/ledger.ts'
import { type LossMode, lossModes, SimulatedDisk } from '../harness/power-loss.ts'
import { readTrace, straceCommand, straceSkipReason, type TracedCall } from '../harness/trace.ts'
import type { TracedWriterInput } from './traced-writer.ts'

const databaseName = 'log.db'
const marksName = 'marks'
/** Memory serves: the syncs are recorded, not timed. */
const home = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
const stateCount = 2000
const traceCount = 4

interface Recording {
  /** Base name of the folder that the calls were made in. */
  readonly folder: string
  readonly calls: readonly TracedCall[]
}

async function record(
  job: Pick<TracedWriterInput, 'seed' | 'profile' | 'job' | 'rounds' | 'mutant'>,
): Promise<Recording> {
  const folder = mkdtempSync(join(home, 'eventuali-power-'))
  const log = join(folder, 'trace')
  const data = join(folder, 'data')
  try {
    mkdirSync(data)
    const input: TracedWriterInput = {
      ...job,
      file: join(data, databaseName),
      marks: join(data, marksName),
      // A checkpoint adds syncs of its own, which must not be counted as the commits'.
      checkpointPages: job.job === 'groups' ? 1_000_000 : 100,
    }
    const before = straceCommand(log)
    const child = startChild(import.meta.url, './traced-writer.ts', { input, before })
    expect(await child.ended).toBe(0)
    return { folder: basename(data), calls: await readTrace(log, data) }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function problemsIn(file: string, ledger: readonly Acknowledged[]): Promise<string[]> {
  try {
    const store = await openStore(`sqlite:${file}`)
    try {
      const report = await store.verify()
      const log = await store.readAll().toArray()
      const wrong = [...report.problems.map((p) => p.reason), ...auditLog(log, ledger)]
      const before = (await store.stream('ledger-1'))?.version ?? 0
      const { version } = await store.append('ledger-1', { type: 'Noted', data: {} })
      if (version !== before + 1) wrong.push(`goes on at version ${version} after ${before}`)
      return wrong
    } finally {
      await store.close()
    }
  } catch (error) {
    return [`does not open: ${String(error)} ${String((error as Error).cause ?? '')}`]
  }
}

interface Losses {
  states: number
  /** States in which something was wrong, with the first reason. */
  readonly wrong: string[]
}

/** Loses the power at `count` moments of the recording, in every mode in turn. */
async function losePower(run: Campaign, recording: Recording, count: number): Promise<Losses> {
  const { calls, folder } = recording
  const moments = Array.from({ length: count }, () => run.between(1, calls.length))
  moments.sort((a, b) => a - b)
  const disk = new SimulatedDisk(folder)
  const losses: Losses = { states: 0, wrong: [] }
  const place = mkdtempSync(join(home, 'eventuali-image-'))
  let marks = ''
  let done = 0
  try {
    for (const moment of moments) {
      for (; done < moment; done++) {
        const call = calls[done] as TracedCall
        if (call.file.endsWith('-shm')) continue
        // A mark is the moment of an acknowledgement, and no file of the store.
        if (call.file !== marksName) disk.run(call)
        else if (call.kind === 'write') marks += call.bytes.toString()
      }
      const mode = lossModes[losses.states % lossModes.length] as LossMode
      const image = join(place, String(losses.states++))
      mkdirSync(image)
      disk.image(image, mode, run.random)
      const ledger = readLedger(marks).filter(({ stream }) => stream.startsWith('ledger-'))
      const wrong = await problemsIn(join(image, databaseName), ledger)
      if (wrong.length > 0) losses.wrong.push(`after call ${done}, ${mode}: ${wrong[0]}`)
      rmSync(image, { recursive: true, force: true })
    }
    return losses
  } finally {
    rmSync(place, { recursive: true, force: true })
  }
}

const skip = straceSkipReason()

describe.skipIf(skip !== undefined)('power loss', () => {
  test('no acknowledged append is lost in the durable profile', async () => {
    await campaign('R2 power loss, durable', async (run) => {
      const wrong: string[] = []
      let states = 0
      for (let n = 0; n < traceCount; n++) {
        const recording = await record({
          ...{ profile: 'durable', job: 'ledger', rounds: 60 },
          seed: run.seed + n,
        })
        const count = run.scaled(stateCount / traceCount)
        const losses = await losePower(run, recording, count)
        states += losses.states
        wrong.push(...losses.wrong)
      }
      run.note(`${states} states, ${wrong.length} wrong`)
      expect(wrong).toEqual([])
    })
  })

  test('the relaxed profile loses some, and damages nothing', async () => {
    await campaign('R2 control, relaxed', async (run) => {
      const { seed } = run
      const recording = await record({ profile: 'relaxed', job: 'ledger', rounds: 60, seed })
      const { states, wrong } = await losePower(run, recording, 150)
      run.note(`${states} states, ${wrong.length} with losses`)
      expect(wrong.length).toBeGreaterThan(0)
      expect(wrong.filter((reason) => !reason.endsWith('is lost'))).toEqual([])
    })
  })

  test('the harness finds an acknowledgement that comes before the commit', async () => {
    await campaign('R2 planted: marks early', async (run) => {
      const { seed } = run
      const job = { profile: 'durable', job: 'ledger', rounds: 30, mutant: 'marks-early' } as const
      const { wrong } = await losePower(run, await record({ ...job, seed }), 100)
      run.note(`${wrong.length} of 100 states lost something`)
      expect(wrong.length).toBeGreaterThan(0)
    })
  })

  test('32 concurrent appends share one sync, a lone one has its own', async () => {
    await campaign('syncs per group commit', async (run) => {
      const rounds = 20
      const job = { profile: 'durable', job: 'groups', rounds } as const
      const { calls } = await record({ ...job, seed: run.seed })
      const counts = new Map<string, number[]>()
      let syncs = 0
      let began = false
      for (const call of calls) {
        if (call.kind === 'sync' && began && call.file === `${databaseName}-wal`) syncs++
        if (call.kind !== 'write' || call.file !== marksName) continue
        const mark = call.bytes.toString().trim()
        if (began) counts.set(mark, [...(counts.get(mark) ?? []), syncs])
        began ||= mark === 'begin'
        syncs = 0
      }
      run.note(`a group of 32: ${counts.get('group of 32')?.join(' ')}`)
      expect(counts.get('group of 32')).toEqual(Array.from({ length: rounds }, () => 1))
      expect(counts.get('one')).toEqual(Array.from({ length: rounds }, () => 1))
    })
  })
})
