import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore, type Store } from '../../src/index.ts'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { startChild } from '../harness/child.ts'
import { type Place, sharedPlaces, showsPlanted } from '../harness/places.ts'
import { type Account, accountEvents, accounts } from './projection-accounts.ts'
import type { Failpoint, ProjectionWorkerInput } from './projection-worker.ts'

const accountCount = 30
const calls = [
  ...['positions', 'readLog', 'transaction', 'work', 'records.get', 'records.list'],
  ...['records.lock', 'records.write', 'models.get', 'models.put'],
]
const failpoints: readonly Failpoint[] = calls.flatMap((call) => [
  { call, when: 'before' },
  { call, when: 'after' },
])
/** Dies at one of the first calls of its kind, so that hardly a run ends without a death. */
const countMax = 3

async function appendSome(store: Store, run: Campaign): Promise<void> {
  const name = () => `account${run.between(1, accountCount)}`
  const events = Array.from({ length: run.between(5, 60) }, () =>
    run.between(0, 2) > 0
      ? accountEvents.Deposited({ account: name(), amount: run.between(1, 100) })
      : accountEvents.Moved({ from: name(), to: name(), amount: run.between(1, 50) }),
  )
  await store.append(`ledger-${run.between(1, 9)}`, events)
}

/** What the accounts must be, by a plain loop over the log. */
async function expected(store: Store): Promise<Map<string, Account>> {
  const all = new Map<string, Account>()
  const add = (account: string, amount: number, last: string) => {
    const was = all.get(account) ?? { balance: 0, entries: 0, last: '' }
    all.set(account, { balance: was.balance + amount, entries: was.entries + 1, last })
  }
  for await (const { id, data } of store.readAll()) {
    const { account, from, to, amount } = data as Record<string, string> & { amount: number }
    if (account !== undefined) add(account, amount, id)
    if (from !== undefined) add(from, -amount, id)
    if (to !== undefined) add(to, amount, id)
  }
  return all
}

interface KillResult {
  readonly wrong: readonly string[]
  readonly kills: number
  readonly hit: ReadonlySet<string>
}

/** Runs the projection in processes that die, each at a point of its own, then looks at it. */
async function killRounds(
  run: Campaign,
  place: Place,
  roundCount: number,
  chosen: readonly Failpoint[],
  mutant?: ProjectionWorkerInput['mutant'],
): Promise<KillResult> {
  const url = await place.url()
  const writer = await openStore(url)
  const hit = new Set<string>()
  let kills = 0
  const round = async (failpoint: Failpoint | undefined, count: number): Promise<void> => {
    const input: ProjectionWorkerInput = { url, leaseTtlMs: 100, failpoint, count, mutant }
    const child = startChild(import.meta.url, './projection-worker.ts', { input })
    if ((await child.ended) !== 'SIGKILL') return
    kills++
    hit.add(`${failpoint?.call} ${failpoint?.when}`)
  }
  try {
    for (let n = 0; n < roundCount; n++) {
      await appendSome(writer, run)
      await round(chosen[n % chosen.length], run.between(1, mutant === undefined ? countMax : 1))
    }
    await round(undefined, 0)
    const wrong = await wrongIn(url, writer)
    return { wrong, kills, hit }
  } finally {
    await writer.close()
  }
}

async function wrongIn(url: string, writer: Store): Promise<string[]> {
  const wrong: string[] = []
  const { newest } = await writer.positions()
  await using store = await openStore(url, { projections: [accounts] })
  const kept = await store.collection(accounts, 'accounts').entries()
  const wanted = await expected(writer)
  for (const { key, document } of kept) {
    const should = JSON.stringify(wanted.get(key))
    const is = JSON.stringify(document)
    if (is !== should) wrong.push(`${key} is ${is}, should be ${should}`)
  }
  if (kept.length !== wanted.size) wrong.push(`${kept.length} accounts, not ${wanted.size}`)
  await store.projections.start()
  await store.projected('accounts', newest)
  const { comparison } = await store.projections.rebuild('accounts')
  if (comparison?.equal !== true || comparison.same === 0) {
    wrong.push(`a clean rebuild differs: ${JSON.stringify(comparison).slice(0, 500)}`)
  }
  return wrong
}

describe.concurrent.each(sharedPlaces())('a projection on $adapter that is killed', (place) => {
  beforeAll(() => place.start())
  afterAll(() => place.stop())

  test.skipIf(place.skip)(
    'at 20 points has each effect once',
    async () => {
      await campaign(`R9 projection kills, ${place.adapter}`, async (run) => {
        const result = await killRounds(run, place, run.scaled(272), failpoints)
        run.note(`${result.kills} kills at ${result.hit.size} points`)
        expect(result.wrong).toEqual([])
        expect(result.kills).toBeGreaterThan(run.scaled(200))
      })
    },
    3_600_000,
  )

  if (!showsPlanted(place)) return
  test.skipIf(place.skip)('is seen when its checkpoint is saved apart', async () => {
    await campaign(`R9 planted: checkpoint apart, ${place.adapter}`, async (run) => {
      const points: Failpoint[] = [{ call: 'apart', when: 'before' }]
      const { wrong } = await killRounds(run, place, 12, points, 'checkpoint-apart')
      expect(wrong.join()).toContain('should be')
    })
  })
})
