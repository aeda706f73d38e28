import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openStore, type Store } from '../../src/index.ts'
import type { CodecOptions } from '../../src/model/index.ts'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { startChild } from '../harness/child.ts'
import { sumsOf } from '../harness/sums.ts'
import type { CorruptionInput, CorruptionResult, Damage } from './corruption-program.ts'

const longest = 3_600_000
/** Far beyond what a machine takes that is busy otherwise: what ends then reads in circles. */
const hungMs = 600_000
/** Memory serves: what is tested is what is read. */
const home = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'eventuali-damage-'))
const codecs: readonly (readonly [string, CodecOptions])[] = [
  ['json', {}],
  ['msgpack', { encoding: 'msgpack' }],
  ['zstd', { compress: { with: 'zstd', above: 0 } }],
]

async function fill(store: Store, from: number): Promise<void> {
  for (let n = from; n < from + 40; n++) {
    const tags = n % 3 === 0 ? [`sku:${n % 7}`] : []
    const events = Array.from({ length: 1 + (n % 5) }, (_, i) => ({
      ...(n % 4 === 0 ? { id: `given-${n}-${i}` } : {}),
      type: `Type${n % 3}`,
      data: { n, i, text: 'Grüße '.repeat(n % 13) },
      metadata: n % 2 === 0 ? { actor: `ada-${n}`, tenant: 'acme' } : {},
      tags,
    }))
    await store.append(`stream-${n % 9}`, events)
  }
}

/** A log that is all in one file, and one whose last half is only in the write-ahead log. */
async function makeTemplate(folder: string, codec: CodecOptions): Promise<void> {
  mkdirSync(folder)
  const file = join(folder, 'made.db')
  const first = await openStore(`sqlite:${file}`, { codec, snapshots: { every: 5, codec } })
  const sums = first.aggregate(sumsOf((n) => n))
  for (let n = 1; n <= 30; n++) {
    await sums.execute(String(1 + (n % 3)), 'add', n)
    await first.snapshots.settled()
  }
  await fill(first, 0)
  await first.close()
  const second = await openStore(`sqlite:${file}`, { codec })
  await fill(second, 40)
  copyFileSync(file, join(folder, 'with-log.db'))
  copyFileSync(`${file}-wal`, join(folder, 'with-log.db-wal'))
  await second.truncate('stream-1', { before: 3 })
  await second.archive('stream-2')
  await second.deleteStream('stream-3')
  await second.close()
  copyFileSync(file, join(folder, 'log.db'))
}

async function runChild(
  run: Campaign,
  job: Pick<CorruptionInput, 'plan' | 'mutant'> & { readonly codec: string },
): Promise<CorruptionResult> {
  const work = mkdtempSync(join(home, 'work-'))
  const seed = run.between(0, 2 ** 31)
  const input: CorruptionInput = { ...job, template: join(home, job.codec), work, seed }
  const child = startChild(import.meta.url, './corruption-program.ts', { input })
  try {
    const result = await child
      .message<CorruptionResult>('result', hungMs * run.scale)
      .catch((error: unknown) => {
        const last = child.output().trim().split('\n').at(-1)
        throw new Error(`at ${job.codec}, ${last}: ${String(error)}`)
      })
    // A signal, or a rejection that nobody handled, would end it otherwise.
    expect(await child.ended).toBe(0)
    return result
  } finally {
    child.kill('SIGKILL')
    rmSync(work, { recursive: true, force: true })
  }
}

/** For each of the codecs. */
const shares = {
  row: 134,
  header: 60,
  page: 100,
  log: 70,
  cut: 34,
  'log-cut': 34,
  kept: 34,
} as const
const kinds = ['found', 'harmless', 'prefixes', 'recordedAt'] as const

const planOf = (counts: Partial<Record<Damage, number>>): Damage[] =>
  Object.entries(counts).flatMap(([kind, count]) =>
    Array.from({ length: count }, () => kind as Damage),
  )

beforeAll(async () => {
  for (const [name, codec] of codecs) await makeTemplate(join(home, name), codec)
})
afterAll(() => rmSync(home, { recursive: true, force: true }))

test(
  'no flipped bit and no cut changes an event in silence',
  async () => {
    await campaign('R5 damage, SQLite', async (run) => {
      const scaled = Object.entries(shares).map(([kind, count]) => [kind, run.scaled(count)])
      const plan = planOf(Object.fromEntries(scaled) as Record<Damage, number>)
      const left = codecs.map(([codec]) => codec)
      const results: CorruptionResult[] = []
      const worker = async (): Promise<void> => {
        for (let codec = left.shift(); codec !== undefined; codec = left.shift()) {
          results.push(await runChild(run, { codec, plan }))
        }
      }
      await Promise.all([worker(), worker()])
      run.note(`${plan.length * results.length} damages`)
      for (const kind of kinds) {
        run.note(`${kind} ${results.reduce((total, result) => total + result[kind], 0)}`)
      }
      expect(results.flatMap(({ wrong }) => wrong)).toEqual([])
    })
  },
  longest,
)

test.each(['no-checksum', 'skips-a-page'] as const)(
  'the harness finds a check that %s',
  async (mutant) => {
    await campaign(`R5 planted: ${mutant}`, async (run) => {
      const found = /nothing found, and 1 events differ|no problem names/
      let wrong = ''
      // Whether a damage meets what the bug leaves out is a matter of chance.
      for (let n = 1; !found.test(wrong) && n <= 8; n++) {
        const result = await runChild(run, { codec: 'json', plan: planOf({ row: 60 }), mutant })
        wrong = result.wrong.join('\n')
        run.note(`${result.wrong.length} findings in round ${n}`)
      }
      expect(wrong).toMatch(found)
    })
  },
  longest,
)
