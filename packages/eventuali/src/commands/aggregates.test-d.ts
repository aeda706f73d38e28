import {
  Aggregate,
  type AppliedOf,
  type CommandContext,
  defineAggregate,
  defineEvents,
  type EventsOf,
  reject,
  type,
} from '../model/index.ts'
import type { StreamAccess } from '../ports/index.ts'
import { aggregateRepository, classRepository } from './aggregates.ts'
import type { CommandRuntime } from './runtime.ts'

declare const access: StreamAccess
declare const runtime: CommandRuntime

const events = defineEvents({ Placed: type<{ total: number }>(), Shipped: type<null>() })
type State = { status: 'new' | 'placed' }
const Order = defineAggregate('order', {
  events,
  initial: (): State => ({ status: 'new' }),
  evolve: { Placed: () => ({ status: 'placed' }), Shipped: (state) => state },
  commands: {
    place: (state, input: { total: number }) =>
      state.status === 'new' ? events.Placed(input) : reject('placed already'),
    ship: () => [events.Shipped(null)],
    rush: (_state, _input?: { fast: boolean }) => events.Shipped(null),
    stamp: (_state, _input: undefined, context: CommandContext) =>
      events.Placed({ total: context.version }),
  },
})

export async function functional(): Promise<void> {
  const orders = aggregateRepository(access, runtime, Order)
  const { state } = await orders.load('1')
  const status: 'new' | 'placed' = state.status
  const placed = await orders.execute('1', 'place', { total: 1 }, { commandId: 'c' })
  const first = placed.events[0]
  if (first?.type === 'Placed') console.log(first.data.total, status)
  await orders.execute('1', 'ship')
  await orders.execute('1', 'ship', undefined, { expectedVersion: 1 })
  await orders.execute('1', 'rush', { fast: true })
  await orders.execute('1', 'rush')
  await orders.execute('1', 'stamp')
  await orders.at('1').place({ total: 1 })
  await orders.at('1').ship()
  await orders.create('1', 'place', { total: 1 })
  await orders.handle('1', async (current) =>
    current.status === 'new' ? events.Placed({ total: 2 }) : [],
  )
  // @ts-expect-error no such command
  await orders.execute('1', 'cancel')
  // @ts-expect-error the input is missing
  await orders.execute('1', 'place')
  // @ts-expect-error total is a number
  await orders.execute('1', 'place', { total: '1' })
  // @ts-expect-error ship takes no input
  await orders.execute('1', 'ship', { total: 1 })
  // @ts-expect-error the input is missing
  await orders.at('1').place()
  // @ts-expect-error no such command
  await orders.at('1').cancel()
}

class Account extends Aggregate<EventsOf<typeof events>> {
  static readonly aggregateName = 'account'
  static readonly events = events
  total = 0
  onPlaced({ data }: AppliedOf<typeof events, 'Placed'>): void {
    this.total += data.total
  }
  onShipped(): void {}
  place(total: number): void {
    this.record(events.Placed({ total }))
  }
  ship(): void {
    this.record(events.Shipped(null))
  }
}

export async function classes(): Promise<void> {
  const accounts = classRepository(access, runtime, Account)
  const account = await accounts.load('1')
  console.log(account.total, account.version, account.id)
  const done = await accounts.execute('1', 'place', 5)
  const first = done.events[0]
  if (first?.type === 'Placed') console.log(first.data.total)
  await accounts.execute('1', 'ship')
  await accounts.at('1').place(5, { commandId: 'c' })
  await accounts.handle('1', (instance) => instance.place(3))
  // @ts-expect-error the input is a number
  await accounts.execute('1', 'place', 'x')
  // @ts-expect-error a handler is no command
  await accounts.execute('1', 'onShipped')
}
