import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore, type Store } from '../../src/index.ts'
import { type Campaign, campaign } from '../harness/campaign.ts'
import { startChild } from '../harness/child.ts'
import { type Place, sharedPlaces, showsPlanted } from '../harness/places.ts'
import { orderEvents } from './process-orders.ts'
import type { Failpoint, ProcessWorkerInput } from './process-worker.ts'

const calls = [
  ...['positions', 'transaction', 'work', 'records.get', 'records.list', 'records.lock'],
  ...['records.write', 'append', 'append', 'deliver'],
]
const failpoints: readonly Failpoint[] = calls.flatMap((call) => [
  { call, when: 'before' },
  { call, when: 'after' },
])
/** Dies at one of the first calls of its kind, so that hardly a run ends without a death. */
const countMax = 4
/** Short, so that the next worker soon takes over; a beat must be written within it. */
const leaseTtlMs = 250
const effectTypes = ['Charged', 'Shipped', 'Reminded'] as const

interface KillResult {
  readonly wrong: readonly string[]
  readonly kills: number
  readonly hit: ReadonlySet<string>
  readonly orders: number
  readonly deliveries: number
}

/** Runs the processes in programs that die, each at a point of its own, then looks at the log. */
async function killRounds(
  run: Campaign,
  place: Place,
  roundCount: number,
  chosen: readonly Failpoint[],
  mutant?: ProcessWorkerInput['mutant'],
): Promise<KillResult> {
  const url = await place.url()
  const writer = await openStore(url, { profile: 'relaxed' })
  const hit = new Set<string>()
  const lines: string[] = []
  let kills = 0
  let orders = 0
  const round = async (failpoint: Failpoint | undefined, count: number): Promise<void> => {
    const input: ProcessWorkerInput = { url, leaseTtlMs, failpoint, count, mutant }
    const child = startChild(import.meta.url, './process-worker.ts', { input })
    const ended = await child.ended
    lines.push(...child.output().split('\n').slice(0, -1))
    if (ended === 'SIGKILL') {
      kills++
      hit.add(`${failpoint?.call} ${failpoint?.when}`)
    } else await child.message('report')
  }
  try {
    for (let n = 0; n < roundCount; n++) {
      for (let i = run.between(1, 4); i > 0; i--) {
        const order = String(++orders)
        await writer.append(`order-${order}`, orderEvents.Placed({ order }))
      }
      await round(chosen[n % chosen.length], run.between(1, countMax))
    }
    await round(undefined, 0)
    const wrong = await wrongIn(writer, orders, lines)
    return { wrong, kills, hit, orders, deliveries: lines.length }
  } finally {
    await writer.close()
  }
}

/** Every order must have each effect once, and be sent out at least once under one id. */
async function wrongIn(writer: Store, orders: number, lines: readonly string[]): Promise<string[]> {
  const wrong: string[] = []
  const counts = new Map<string, number>()
  const placed: string[] = []
  for await (const { id, type, data } of writer.readAll()) {
    if (type === 'Placed') placed.push(id)
    const effect = `${type} of ${(data as { readonly order?: string }).order}`
    counts.set(effect, (counts.get(effect) ?? 0) + 1)
  }
  for (let order = 1; order <= orders; order++) {
    for (const type of effectTypes) {
      const count = counts.get(`${type} of ${order}`) ?? 0
      if (count !== 1) wrong.push(`${count} times ${type} of ${order}`)
    }
  }
  const messages = new Map<string, Set<string>>()
  for (const line of lines) {
    const [message = '', event = ''] = line.split(' ')
    messages.set(event, (messages.get(event) ?? new Set()).add(message))
  }
  for (const id of placed) {
    const { size } = messages.get(id) ?? new Set()
    if (size !== 1) wrong.push(`event ${id} went out under ${size} ids`)
  }
  const all = [...messages.values()].flatMap((ids) => [...ids])
  if (new Set(all).size !== all.length) wrong.push('two events went out under one id')
  return wrong
}

describe.concurrent.each(sharedPlaces())(
  'processes on $adapter whose worker is killed',
  (place) => {
    beforeAll(() => place.start())
    afterAll(() => place.stop())

    test.skipIf(place.skip)(
      'have each effect once',
      async () => {
        await campaign(`process kills, ${place.adapter}`, async (run) => {
          const result = await killRounds(run, place, run.scaled(34), failpoints)
          const { kills, hit, orders, deliveries } = result
          run.note(
            `${kills} kills at ${hit.size} points, ${orders} orders, ${deliveries} deliveries`,
          )
          expect(result.wrong).toEqual([])
          expect(kills).toBeGreaterThanOrEqual(run.scaled(30))
          // How many are delivered again is a matter of chance; that each is, is none.
          expect(deliveries).toBeGreaterThanOrEqual(orders)
        })
      },
      3_600_000,
    )

    if (!showsPlanted(place)) return
    test.skipIf(place.skip)('are seen when what they emit has no id of its own', async () => {
      await campaign(`process kills, planted: no ids, ${place.adapter}`, async (run) => {
        const points: Failpoint[] = [{ call: 'append', when: 'after' }]
        const { wrong } = await killRounds(run, place, 8, points, 'no-ids')
        expect(wrong.join()).toMatch(/[2-9] times (Charged|Shipped|Reminded)/)
      })
    })
  },
)
