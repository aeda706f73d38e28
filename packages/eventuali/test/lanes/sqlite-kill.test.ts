import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { openStore } from '../../src/index.ts'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { type Child, endChildren, startChild } from '../harness/child.ts'
import { type Acknowledged, auditLog, readLedger } from '../harness/ledger.ts'
import type { BatchWritersInput } from './batch-writers.ts'

/** Each file lives through so many kills, so that recovery also meets what recovery left. */
const cyclesInOneFile = 10
const running = new Set<Child>()

afterEach(async () => {
  await endChildren([...running])
  running.clear()
})

function startWriters(run: Campaign, url: string, cycle: number, mutant: Mutant): Child[] {
  return [0, 1].map((n) => {
    const names = [`c${cycle}p${n}a`, `c${cycle}p${n}b`]
    const input: BatchWritersInput = {
      ...{ url, mutant, writers: names, streamCount: 6, batchCountMax: 100 },
      seed: run.seed + cycle * 10 + n,
    }
    const child = startChild(import.meta.url, './batch-writers.ts', { input })
    running.add(child)
    return child
  })
}

type Mutant = BatchWritersInput['mutant']

/** Both processes write, then die at moments of their own. */
async function killWhileWriting(run: Campaign, children: readonly Child[]): Promise<void> {
  await Promise.all(children.map((child) => child.message('ready')))
  for (const child of children) child.send({})
  await Promise.all(children.map((child) => child.message('open')))
  const delays = children.map(() => run.between(5, 150))
  await Promise.all(
    children.map(async (child, n) => {
      await sleep(delays[n])
      child.kill('SIGKILL')
      await child.ended
      running.delete(child)
    }),
  )
}

async function problemsAfter(url: string, ledger: readonly Acknowledged[]): Promise<string[]> {
  const store = await openStore(url)
  try {
    const report = await store.verify()
    const log = await store.readAll().toArray()
    return [...report.problems.map((p) => p.reason), ...auditLog(log, ledger)]
  } finally {
    await store.close()
  }
}

/** Kills writers `cycleCount` times; ends early, with what is wrong, as soon as something is. */
async function killCycles(run: Campaign, cycleCount: number, mutant?: Mutant): Promise<string[]> {
  let folder = ''
  let url = ''
  let ledger: Acknowledged[] = []
  let ackCount = 0
  let next: Child[] | undefined
  const newFile = (): void => {
    folder = mkdtempSync(join(tmpdir(), 'eventuali-kill-'))
    url = `sqlite:${join(folder, 'log.db')}`
    ledger = []
  }
  try {
    for (let cycle = 0; cycle < cycleCount; cycle++) {
      if (cycle % cyclesInOneFile === 0) {
        if (folder !== '') rmSync(folder, { recursive: true, force: true })
        newFile()
      }
      const children: Child[] = next ?? startWriters(run, url, cycle, mutant)
      // The next ones start while these write; they wait for a word before they open the file.
      const more = cycle + 1 < cycleCount && (cycle + 1) % cyclesInOneFile !== 0
      next = more ? startWriters(run, url, cycle + 1, mutant) : undefined
      await killWhileWriting(run, children)
      const news = children.flatMap((child) => readLedger(child.output()))
      ackCount += news.length
      ledger.push(...news)
      const wrong = await problemsAfter(url, ledger)
      if (wrong.length > 0) {
        run.note(`cycle ${cycle}: ${wrong[0]}`)
        return wrong
      }
    }
    run.note(`${cycleCount} cycles, ${2 * cycleCount} kills, ${ackCount} acknowledged appends`)
    expect(ackCount).toBeGreaterThan(cycleCount)
    return []
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

test('a process that is killed while it appends loses nothing it acknowledged', async () => {
  await campaign('R1 kill -9, SQLite', async (run) => {
    expect(await killCycles(run, run.scaled(100))).toEqual([])
  })
})

test('the kill harness finds an append that is acknowledged before it is stored', async () => {
  await campaign('R1 planted: acknowledges early', async (run) => {
    const wrong = await killCycles(run, 20, 'acknowledges-early')
    expect(wrong.join()).toContain('is lost')
  })
})

test('the kill harness finds batches that are stored in parts', async () => {
  await campaign('R1 planted: not atomic', async (run) => {
    const wrong = await killCycles(run, 20, 'not-atomic')
    expect(wrong.join()).toMatch(/has \d+ of \d+ events/)
  })
})
