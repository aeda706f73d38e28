import { describe, expect, it } from 'vitest'
import {
  appendTo,
  commandTo,
  defineAggregate,
  defineEvents,
  defineProcess,
  type,
} from '../../index.ts'
import { givenProcess } from './process.ts'

const events = defineEvents({
  Placed: type<{ total: number }>(),
  Paid: type<null>(),
  Lapsed: type<null>(),
})
const Account = defineAggregate('account', {
  events: defineEvents({ Charged: type<number>() }),
  initial: () => ({}),
  evolve: { Charged: (state) => state },
  commands: { charge: (_state, _amount: number) => undefined, refund: () => undefined },
})

const process = (state: 'record' | 'events') =>
  defineProcess({
    name: 'payment',
    state,
    events: [events],
    aggregates: [Account],
    correlate: ({ stream }) => stream,
    starts: ['Placed'],
    initial: () => ({ total: 0, reminders: 0 }),
    on: {
      Placed: (state, { data }, ctx) => {
        if (data.total < 0) throw new Error('less than nothing')
        ctx.command(Account, 'ada', 'charge', data.total).undoneBy(Account, 'ada', 'refund')
        ctx.after('30 minutes', 'overdue')
        ctx.every('10 minutes', {}, 'remind')
        return { ...state, total: data.total }
      },
      Paid: (_state, _event, ctx) => ctx.complete(),
    },
    deadlines: { overdue: type<null>(), remind: type<null>() },
    onDeadline: {
      overdue: (_state, _deadline, ctx) => ctx.compensate('too late'),
      remind: (state) => ({ ...state, reminders: state.reminders + 1 }),
    },
    onCompensated: (_state, _why, ctx) => {
      ctx.append(ctx.key, events.Lapsed(null))
    },
  })

describe.each(['record', 'events'] as const)('givenProcess, state as %s', (state) => {
  const given = givenProcess(process(state), { stream: 'order-1' })

  it('expects commands of what happens', async () => {
    await given
      .when(events.Placed({ total: 5 }))
      .thenCommands([commandTo(Account, 'ada', 'charge', 5)])
    await given
      .events(events.Placed({ total: 5 }))
      .when(events.Paid(null))
      .thenNothing()
    await given.when(events.Placed({ total: 5 }), events.Paid(null)).thenStatus('completed')
  })

  it('lets time pass, in order', async () => {
    const placed = given.events(events.Placed({ total: 5 }))
    await placed.whenTimePasses('29 minutes').thenState({ total: 5, reminders: 2 })
    await placed.thenDeadlines({
      overdue: new Date('2000-01-01T00:30:00Z'),
      remind: new Date('2000-01-01T00:10:00Z'),
    })
    const late = placed.whenTimePasses('1 day')
    await late.thenCommands([
      commandTo(Account, 'ada', 'refund'),
      appendTo('order-1', events.Lapsed(null)),
    ])
    await late.thenStatus('compensated')
  })

  it('lets commands be refused', async () => {
    await given
      .refusing('charge', 'no money')
      .when(events.Placed({ total: 5 }))
      .thenCommands([
        commandTo(Account, 'ada', 'charge', 5),
        appendTo('order-1', events.Lapsed(null)),
      ])
  })

  it('shows differences and failures', async () => {
    await expect(given.when(events.Placed({ total: 5 })).thenNothing()).rejects.toThrow(/charge/)
    await expect(given.when(events.Paid(null)).thenStatus('running')).rejects.toThrow(/begun/)
    await expect(given.when(events.Placed({ total: -1 })).thenNothing()).rejects.toThrow(
      /less than nothing/,
    )
  })
})
