import { z } from 'zod'
import {
  Aggregate,
  type AppliedOf,
  defineAggregate,
  defineEvents,
  type EventsOf,
  type,
} from '../model/index.ts'
import { defineProcess } from './define-process.ts'

const orders = defineEvents({
  OrderPlaced: type<{ order: string; total: number }>(),
  OrderCancelled: type<{ why: string }>(),
})
const payments = defineEvents({
  PaymentReceived: z.object({ order: z.string(), amount: z.coerce.number<string>() }),
  PaymentFailed: type<{ order: string }>(),
})
const Order = defineAggregate('order', {
  events: orders,
  initial: () => ({}),
  evolve: { OrderPlaced: (state) => state, OrderCancelled: (state) => state },
  commands: {
    cancel: (_state, input: { why: string }) => orders.OrderCancelled(input),
    touch: () => undefined,
  },
})
class Till extends Aggregate<EventsOf<typeof payments>> {
  static readonly aggregateName = 'till'
  static readonly events = payments
  onPaymentReceived(_event: AppliedOf<typeof payments, 'PaymentReceived'>): void {}
  onPaymentFailed(): void {}
  refund(amount: number): void {
    this.record(payments.PaymentReceived({ order: '', amount: String(-amount) }))
  }
}
type State = { status: 'new' | 'placed' | 'paid'; total: number }

export const process = defineProcess({
  name: 'fulfilment',
  events: [orders, payments.PaymentReceived],
  aggregates: [Order, Till],
  correlate: {
    OrderPlaced: (event) => event.data.order,
    PaymentReceived: (event) => event.data.order,
  },
  starts: ['OrderPlaced'],
  initial: (): State => ({ status: 'new', total: 0 }),
  on: {
    OrderPlaced: (state, { data }, ctx) => {
      const total: number = data.total
      ctx
        .command(Order, data.order, 'cancel', { why: 'x' })
        .named('a')
        .undoneBy(Till, '1', 'refund', 3)
      ctx.command(Order, data.order, 'touch')
      ctx.command(Till, '1', 'refund', 5)
      ctx.undo(Till, '1', 'refund', 5)
      ctx.append('order-1', orders.OrderCancelled({ why: 'x' }))
      ctx.after('30 minutes', 'overdue')
      ctx.at(new Date(), 'remind', { times: 1 })
      ctx.every('0 9 * * 1-5', { timeZone: 'Europe/Berlin' }, 'remind', { times: 1 })
      ctx.cancel('overdue')
      // @ts-expect-error no such command
      ctx.command(Order, '1', 'ship')
      // @ts-expect-error the input is missing
      ctx.command(Order, '1', 'cancel')
      // @ts-expect-error why is a string
      ctx.command(Order, '1', 'cancel', { why: 1 })
      // @ts-expect-error a handler is no command
      ctx.command(Till, '1', 'onPaymentFailed')
      // @ts-expect-error no such deadline
      ctx.after('1h', 'missing')
      // @ts-expect-error the payload is missing
      ctx.after('1h', 'remind')
      // @ts-expect-error no such deadline
      ctx.cancel('missing')
      return { ...state, status: 'placed', total }
    },
    PaymentReceived: (state, { data }, ctx) => {
      const amount: number = data.amount
      if (amount >= state.total) ctx.complete()
    },
  },
  deadlines: { overdue: type<null>(), remind: z.object({ times: z.number() }) },
  onDeadline: {
    overdue: (state, deadline, ctx) => {
      const payload: null = deadline.payload
      ctx.compensate(String(payload))
      return { ...state, status: 'new' }
    },
    remind: (state, { payload }, ctx) => {
      ctx.after('1 day', 'remind', { times: payload.times + 1 })
      return state
    },
  },
  onRejected: (state, { reason }, ctx) => {
    ctx.compensate(reason)
    return { ...state, status: 'new' }
  },
  onCompensated: (_state, { reason }, ctx) => {
    ctx.command(Order, ctx.key, 'cancel', { why: reason })
  },
  migrate: ({ version }) => ({ status: 'new', total: version }),
})

export const foreign = defineProcess({
  name: 'x',
  events: [orders],
  aggregates: [Order],
  correlate: (event) => (event.type === 'OrderPlaced' ? event.data.order : event.stream),
  // @ts-expect-error not an event of this process
  starts: ['PaymentFailed'],
  initial: (): State => ({ status: 'new', total: 0 }),
  on: {
    // @ts-expect-error 'placd' is not a status
    OrderPlaced: (state, _event, ctx) => {
      // @ts-expect-error Till is not among its aggregates
      ctx.command(Till, '1', 'refund', 5)
      return { ...state, status: 'placd' }
    },
    // @ts-expect-error not an event of this process
    PaymentFailed: (state) => state,
  },
})
