import {
  appendTo,
  type Clock,
  type Json,
  openStore,
  seededRandom,
  systemClock,
  uuidV7Source,
} from 'eventuali'
import { expect, vi } from 'vitest'
import { reminders, totals } from './shop/model.ts'

const begin = Date.parse('2026-01-05T09:00:00Z')
/** The machine's clock with a wall clock that stands still. */
const clock: Clock = { ...systemClock, now: () => begin }

/**
 * Fills an empty store with a small shop that is the same each time: seven events of three orders,
 * a projection that follows them, a process of each order of which one is stuck, a subscription
 * with two dead letters, and a schedule.
 */
export async function seedStore(url: string): Promise<void> {
  const random = seededRandom(7)
  const ids = uuidV7Source(clock, random)
  const store = await openStore(url, {
    ...{ clock, random, ids, projections: [totals], processes: [reminders] },
  })
  try {
    let minutes = 0
    const happened = (id: string, type: string, data: Json, tags: readonly string[] = []) => {
      const time = new Date(begin + 60_000 * minutes++)
      const event = { type, data, tags, time, metadata: { actor: 'ada' } }
      return store.append(`order-${id}`, event)
    }
    await happened('1', 'OrderPlaced', { customer: 'ada', total: 30 })
    await happened('2', 'OrderPlaced', { customer: 'bob', total: 120 })
    await happened('1', 'OrderPaid', { amount: 30 }, ['paid'])
    await happened('1', 'OrderShipped', { carrier: 'DHL' })
    await happened('2', 'OrderPaid', { amount: 100 }, ['paid'])
    await happened('3', 'OrderPlaced', { customer: 'mallory', total: 7 })
    await store.projections.start()
    const { position } = await happened('3', 'OrderShipped', { carrier: 'UPS' })
    await store.projected('totals', position, { timeoutMs: 20_000 })
    await store.processes.start()
    await store.processes.reached(position, { timeoutMs: 20_000 })
    const refuse = (event: { readonly type: string }) => {
      if (event.type === 'OrderShipped') throw new RangeError('the carrier does not answer')
    }
    const mailer = store.subscribe(
      { name: 'mailer', onPoison: 'park', retry: { retryCountMax: 1, firstDelayMs: 1 } },
      refuse,
    )
    await vi.waitFor(async () => {
      expect(await store.deadLetters.list()).toHaveLength(2)
      const status = await store.subscriptions.status('mailer')
      expect(status?.position).toBeGreaterThanOrEqual(position)
    }, 20_000)
    await mailer.stop()
    const close = appendTo('day-1', { type: 'DayClosed', data: {} })
    await store.schedules.every('close-the-day', '0 18 * * *', close, { timeZone: 'Europe/Berlin' })
  } finally {
    await store.close()
  }
}
