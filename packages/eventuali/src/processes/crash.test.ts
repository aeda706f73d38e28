import { describe, expect, it } from 'vitest'
import { describeStores } from '../../test/harness/adapter-stores.ts'
import { systemClock } from '../kernel/index.ts'
import { ConnectionError } from '../model/index.ts'
import type { EventStore } from '../ports/index.ts'
import {
  type FaultPlan,
  openMemoryStore,
  openSchedules,
  withFault,
  wrapStore,
} from '../testing/index.ts'
import { countsOf, orders, Program, saga, start, until, wallClock } from './saga.test-support.ts'

const once = { OrderPlaced: 1, Charged: 1 }
const happyEnd = { Restocked: 1, ...once, Reserved: 1, OrderConfirmed: 1 }
const sadEnd = { ...once, Refunded: 1, OrderCancelled: 1 }

/** A store that answers nothing any more once `isDead` says so: the program on it has crashed. */
function mortal(store: EventStore, isDead: () => boolean): EventStore {
  const check = () => {
    if (isDead()) throw new ConnectionError('the program is dead')
  }
  const checked =
    <A extends unknown[], R>(next: (...given: A) => Promise<R>) =>
    async (...given: A): Promise<R> => {
      check()
      return next(...given)
    }
  return {
    ...wrapStore(store, {
      append: checked((next, request, options) => next.append(request, options)),
      positions: checked((next, options) => next.positions(options)),
    }),
    transaction: async (work, options) => {
      check()
      return store.transaction(async (tx) => {
        const result = await work(tx)
        // Killed in the midst of the transaction.
        check()
        return result
      }, options)
    },
    records: {
      get: checked((kind, keys) => store.records.get(kind, keys)),
      list: checked((query) => store.records.list(query)),
    },
  }
}

interface Run {
  readonly fired: boolean
  readonly counts: Record<string, number>
  readonly status: string | undefined
}

/** One order through the saga, with one fault; `dies`: the program ends there, another follows. */
async function runWith(
  inner: EventStore,
  plan: FaultPlan,
  dies: boolean,
  isHappy: boolean,
): Promise<Run> {
  const clock = wallClock(start)
  const first = new Program(inner, [saga()], clock)
  if (isHappy) await first.restock(1)
  // What the consumer needs to be there from the start, so that the fault hits the work.
  await first.processes.start()
  await first.stop()
  await first.append('order-1', orders.OrderPlaced({ total: 30, sku: 'tea' }))
  const { store, fired } = withFault(inner, plan)
  const faulty = new Program(dies ? mortal(store, fired) : store, [saga()], clock, { ttlMs: 100 })
  const ended = async () => {
    const found = await inner.records.get('process', ['fulfilment/1'])
    return found[0]?.state === 'completed' || found[0]?.state === 'compensated'
  }
  await faulty.processes.start().catch(() => undefined)
  for (let look = 0; look < 300 && !(await ended()) && !(dies && fired()); look++) {
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  await faulty.stop().catch(() => undefined)
  const last = new Program(inner, [saga()], clock, { ttlMs: 100 })
  await last.processes.start()
  await last.rest()
  const status = (await last.processes.get('fulfilment', '1'))?.status
  await last.stop()
  return { fired: fired(), counts: await countsOf(inner), status }
}

const ways = [
  { name: 'a call that fails', dies: false },
  { name: 'a program that dies', dies: true },
]

describeStores('a fault', ({ adapter, open }) => {
  // A fresh database costs more than the run: there some calls are visited, others by each test.
  const stride = { memory: 1, sqlite: 6 }[adapter] ?? 20
  let first = 0
  describe.each(ways)('$name', ({ dies }) => {
    for (const when of ['before', 'after'] as const) {
      for (const isHappy of [true, false]) {
        const end = isHappy ? 'a good end' : 'compensation'
        const begin = first++ % stride
        it(`${when} any call leaves one effect for each cause, up to ${end}`, async () => {
          let visited = 0
          for (let at = begin; at < 60; at += stride) {
            const store = await open()
            const { fired, counts, status } = await runWith(store, { at, when }, dies, isHappy)
            expect({ at, counts, status }).toEqual({
              at,
              counts: isHappy ? happyEnd : sadEnd,
              status: isHappy ? 'completed' : 'compensated',
            })
            await store.close()
            if (!fired) break
            visited += 1
          }
          expect(visited).toBeGreaterThanOrEqual(Math.ceil(10 / stride))
        }, 120_000)
      }
    }
  })
})

it('a start that the store did not answer can be made again', async () => {
  let calls = 0
  const store = await openMemoryStore()
  const port = wrapStore(store, {
    positions: async (next, options) => {
      if (calls++ === 0) throw new ConnectionError('a test')
      return next.positions(options)
    },
  })
  const service = openSchedules(port, systemClock)
  await expect(service.start()).rejects.toMatchObject({ code: 'CONNECTION_FAILED' })
  await service.start()
  await service.at('tea', new Date(0), 'kitchen-1')
  await until(async () => (await store.stream('kitchen-1')) !== undefined, 'the bell rings')
  await service.stop()
})
