import { z } from 'zod'
import { type CommandContext, defineAggregate } from './aggregate.ts'
import { defineEvents } from './event-definitions.ts'
import { reject } from './reject.ts'
import { type } from './standard-schema.ts'

const events = defineEvents({
  OrderPlaced: z.object({ customer: z.string(), total: z.number() }),
  OrderShipped: type<{ carrier: string }>(),
})
type OrderState = { status: 'new' | 'placed' | 'shipped'; total: number }

export const Order = defineAggregate('order', {
  events,
  initial: (): OrderState => ({ status: 'new', total: 0 }),
  evolve: {
    OrderPlaced: (state, { data }) => ({ ...state, status: 'placed', total: data.total }),
    OrderShipped: (state) => ({ ...state, status: 'shipped' }),
  },
  commands: {
    place: (state, input: { customer: string; total: number }) =>
      state.status === 'new' ? events.OrderPlaced(input) : reject('order is already placed'),
    ship: (state) => (state.status === 'placed' ? [events.OrderShipped({ carrier: 'x' })] : []),
    nothing: () => undefined,
    later: (_state, _input: undefined, context: CommandContext) =>
      events.OrderShipped({ carrier: context.id }),
  },
})
export const plain = defineAggregate('plain', {
  events,
  initial: () => ({ count: 0, kind: 'a' }),
  evolve: {
    OrderPlaced: (state) => ({ ...state, count: state.count + 1 }),
    OrderShipped: (state) => state,
  },
  commands: {},
})
export const missing = defineAggregate('x', {
  events,
  initial: (): OrderState => ({ status: 'new', total: 0 }),
  // @ts-expect-error OrderShipped has no handler
  evolve: {
    OrderPlaced: (state, { data }) => ({ ...state, status: 'placed', total: data.total }),
  },
  commands: {},
})
export const foreign = defineAggregate('x', {
  events,
  initial: (): OrderState => ({ status: 'new', total: 0 }),
  evolve: {
    OrderPlaced: (state, { data }) => ({ ...state, status: 'placed', total: data.total }),
    OrderShipped: (state) => ({ ...state, status: 'shipped' }),
    // @ts-expect-error OrderLost is not an event of this aggregate
    OrderLost: (state) => ({ ...state, status: 'shipped' }),
  },
  commands: {},
})
const others = defineEvents({ Other: type<{ a: number }>() })
export const foreignEvent = defineAggregate('x', {
  events,
  initial: (): OrderState => ({ status: 'new', total: 0 }),
  evolve: {
    // @ts-expect-error 'placd' is not a status
    OrderPlaced: (state, { data }) => ({ ...state, status: 'placd', total: data.total }),
    OrderShipped: (state) => ({ ...state, status: 'shipped' }),
  },
  commands: {
    fine: (_state, input: { a: number }) => events.OrderShipped({ carrier: String(input.a) }),
    // @ts-expect-error Other is an event of another aggregate
    wrong: (_state, input: { a: number }) => others.Other(input),
  },
})

type Basket = { items: { name: string; size: 's' | 'm' }[]; pair: [number, number]; at?: Date }
export const Arrays = defineAggregate('basket', {
  events,
  initial: (): Basket => ({ items: [], pair: [0, 0] }),
  evolve: {
    OrderPlaced: (state, { data }) => ({
      ...state,
      items: [...state.items, { name: data.customer, size: 's' }],
      pair: [1, data.total],
    }),
    OrderShipped: (state) => {
      // A handler may also change what it was given, and return it.
      state.items.push({ name: 'x', size: 'm' })
      return state
    },
  },
  commands: {},
})
