import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { startChild } from '../harness/child.ts'
import { smallDiskCommand, smallDiskSkipReason } from '../harness/small-disk.ts'
import type { DiskFullInput, DiskFullResult, Work } from './disk-full-program.ts'

const works: readonly Work[] = ['append', 'checkpoint', 'snapshot', 'inline', 'async', 'fork']
const longest = 3_600_000

async function fill(
  run: Campaign,
  plan: readonly Work[],
  mutant?: DiskFullInput['mutant'],
): Promise<DiskFullResult> {
  const disk = mkdtempSync(join(tmpdir(), 'eventuali-full-'))
  const input: DiskFullInput = { disk, seed: run.between(0, 2 ** 31), plan, mutant }
  const before = smallDiskCommand(disk, 6)
  const child = startChild(import.meta.url, './disk-full-program.ts', { input, before })
  try {
    const result = await child.message<DiskFullResult>('result', longest)
    expect(await child.ended).toBe(0)
    return result
  } finally {
    child.kill('SIGKILL')
    rmSync(disk, { recursive: true, force: true })
  }
}

describe.skipIf(smallDiskSkipReason() !== undefined)('a full disk', () => {
  test(
    'refuses what it has no room for, loses nothing, and is over when space is back',
    async () => {
      await campaign('R3 disk full, SQLite', async (run) => {
        const plan = Array.from(
          { length: run.scaled(50) },
          (_, n) => works[n % works.length] as Work,
        )
        const half = Math.ceil(plan.length / 2)
        const parts = [plan.slice(0, half), plan.slice(half)]
        const results = await Promise.all(parts.map((part) => fill(run, part)))
        for (const { points, acknowledged, refused } of results) {
          run.note(`${points} fill points, ${acknowledged} acknowledged, ${refused} refused`)
        }
        expect(results.flatMap(({ wrong }) => wrong)).toEqual([])
      })
    },
    longest,
  )

  test(
    'the harness finds a program that takes it for success',
    async () => {
      await campaign('R3 planted: takes-for-success', async (run) => {
        const { wrong } = await fill(run, ['append', 'checkpoint'], 'takes-for-success')
        run.note(`${wrong.length} findings`)
        expect(wrong.join('\n')).toContain('is lost')
      })
    },
    longest,
  )
})
