import { setTimeout as sleep } from 'node:timers/promises'
import {
  aggregateRepository,
  append,
  type CommandRuntime,
  defaultRetryPolicy,
} from '../commands/index.ts'
import { type Clock, seededRandom, systemClock, uuidV7Source } from '../kernel/index.ts'
import {
  defineAggregate,
  defineEvents,
  type EventInput,
  eventRegistry,
  type RecordedEvent,
  reject,
  type,
} from '../model/index.ts'
import type { EventStore } from '../ports/index.ts'
import { Worker } from '../subscriptions/index.ts'
import { defineProcess, type ProcessDefinition, Processes, type ProcessesOptions } from './index.ts'

export const orders = defineEvents({
  OrderPlaced: type<{ total: number; sku: string }>(),
  OrderConfirmed: type<null>(),
  OrderCancelled: type<{ why: string }>(),
})
export const payments = defineEvents({
  Charged: type<{ order: string; amount: number }>(),
  Refunded: type<{ order: string; amount: number }>(),
})
export const stock = defineEvents({
  Reserved: type<{ order: string }>(),
  Released: type<{ order: string }>(),
  Restocked: type<{ count: number }>(),
})

export const Order = defineAggregate('order', {
  events: orders,
  initial: () => ({ status: 'new' }),
  evolve: {
    OrderPlaced: () => ({ status: 'placed' }),
    OrderConfirmed: () => ({ status: 'confirmed' }),
    OrderCancelled: () => ({ status: 'cancelled' }),
  },
  commands: {
    confirm: () => orders.OrderConfirmed(null),
    cancel: (_state, input: { why: string }) => orders.OrderCancelled(input),
  },
})

/** What commands throw, when a test wants them to. */
export const trouble: { reserve: (() => void) | undefined; refund: (() => void) | undefined } = {
  reserve: undefined,
  refund: undefined,
}

/** Charges up to 100. */
export const Account = defineAggregate('account', {
  events: payments,
  initial: () => ({ charged: 0 }),
  evolve: {
    Charged: (state, { data }) => ({ charged: state.charged + data.amount }),
    Refunded: (state, { data }) => ({ charged: state.charged - data.amount }),
  },
  commands: {
    charge: (state, input: { order: string; amount: number }) =>
      state.charged + input.amount > 100
        ? reject('limit', { limit: 100 })
        : payments.Charged(input),
    refund: (_state, input: { order: string; amount: number }) => {
      trouble.refund?.()
      return payments.Refunded(input)
    },
  },
})

export const Shelf = defineAggregate('shelf', {
  events: stock,
  initial: () => ({ left: 0 }),
  evolve: {
    Reserved: (state) => ({ left: state.left - 1 }),
    Released: (state) => ({ left: state.left + 1 }),
    Restocked: (state, { data }) => ({ left: state.left + data.count }),
  },
  commands: {
    restock: (_state, count: number) => stock.Restocked({ count }),
    reserve: (state, input: { order: string }) => {
      trouble.reserve?.()
      return state.left < 1 ? reject('nothing left') : stock.Reserved(input)
    },
    release: (_state, input: { order: string }) => {
      return stock.Released(input)
    },
  },
})

type SagaState = { order: string; status: 'new' | 'charging' | 'reserving' | 'confirmed' | 'gone' }

/** Charges, reserves, confirms; takes all of it back when something is refused or too late. */
export function saga(state: 'record' | 'events' = 'record') {
  return defineProcess({
    name: 'fulfilment',
    state,
    events: [orders, payments, stock],
    aggregates: [Order, Account, Shelf],
    correlate: ({ data, stream }) => (data !== null && 'order' in data ? data.order : idOf(stream)),
    starts: ['OrderPlaced'],
    initial: (): SagaState => ({ order: '', status: 'new' }),
    on: {
      OrderPlaced: (_state, { data }, ctx) => {
        const amount = data.total
        ctx
          .command(Account, 'ada', 'charge', { order: ctx.key, amount })
          .named('charge')
          .undoneBy(Account, 'ada', 'refund', { order: ctx.key, amount })
        ctx
          .command(Shelf, data.sku, 'reserve', { order: ctx.key })
          .undoneBy(Shelf, data.sku, 'release', { order: ctx.key })
        ctx.after('30 minutes', 'overdue')
        return { order: ctx.key, status: 'charging' }
      },
      Charged: (state) => ({ ...state, status: 'reserving' }),
      Reserved: (state, _event, ctx) => {
        ctx.command(Order, ctx.key, 'confirm')
        ctx.complete()
        return { ...state, status: 'confirmed' }
      },
    },
    deadlines: { overdue: type<null>() },
    onDeadline: {
      overdue: (state, _deadline, ctx) => {
        ctx.compensate('overdue')
        return { ...state, status: 'gone' }
      },
    },
    onCompensated: (state, { reason }, ctx) => {
      ctx.command(Order, ctx.key, 'cancel', { why: reason })
      return { ...state, status: 'gone' }
    },
  })
}

function idOf(stream: string): string {
  return stream.slice(stream.indexOf('-') + 1)
}

/** The machine's clock with a wall clock that a test moves. */
export function wallClock(
  start: string,
): Clock & { set(to: string | number): void; add(ms: number): void } {
  let offset = new Date(start).getTime() - systemClock.monotonic()
  return {
    now: () => Math.trunc(offset + systemClock.monotonic()),
    monotonic: systemClock.monotonic,
    timer: systemClock.timer,
    set: (to) => {
      offset = new Date(to).getTime() - systemClock.monotonic()
    },
    add: (ms) => {
      offset += ms
    },
  }
}

export const start = '2026-03-02T10:00:00Z'

/** A program that runs processes on a store. */
export class Program {
  readonly store: EventStore
  readonly runtime: CommandRuntime
  readonly processes: Processes
  readonly worker: Worker

  constructor(
    store: EventStore,
    definitions: readonly ProcessDefinition[],
    clock: Clock,
    options: ProcessesOptions & { readonly ttlMs?: number } = {},
  ) {
    const random = seededRandom(7)
    this.store = store
    this.runtime = {
      ...{ clock, random, ids: uuidV7Source(systemClock, random), unknown: 'allow' },
      ...{ registry: eventRegistry(), retry: defaultRetryPolicy },
    }
    this.worker = new Worker(store, this.runtime, { ttlMs: options.ttlMs ?? 500 })
    this.processes = new Processes(store, this.worker, definitions, this.runtime, {
      pollIntervalMs: 20,
      retry: { retryCountMax: 2, firstDelayMs: 1, delayMaxMs: 2 },
      aggregates: [Order, Account, Shelf],
      ...options,
    })
  }

  append(stream: string, events: EventInput | readonly EventInput[]): Promise<unknown> {
    return append(this.store, this.runtime, stream, events)
  }

  async restock(count: number): Promise<void> {
    await aggregateRepository(this.store, this.runtime, Shelf).execute('tea', 'restock', count)
  }

  /** Lets the processes come to rest. */
  async rest(): Promise<void> {
    for (let last = -1; ; ) {
      const { newest } = await this.store.positions()
      await this.processes.reached(newest, { timeoutMs: 20_000 })
      await this.processes.settle()
      if (newest === last) return
      last = newest
    }
  }

  async stop(): Promise<void> {
    await this.processes.stop()
    await this.worker.stop()
  }
}

/** All events of a store, in order. */
export async function logOf(store: EventStore): Promise<readonly RecordedEvent[]> {
  const { newest } = await store.positions()
  const pages = store.readLog({ upTo: newest, direction: 'forward', includeArchived: true })
  return (await Array.fromAsync(pages)).flat()
}

/** How many events of each type there are, the process's own aside. */
export async function countsOf(store: EventStore): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const { type: name } of await logOf(store)) {
    if (name !== 'ProcessReceived') counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}

/** Waits until something holds. */
export async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let look = 0; look < 1000; look++) {
    if (await holds()) return
    await sleep(10)
  }
  throw new Error(`it never happened: ${what}`)
}
