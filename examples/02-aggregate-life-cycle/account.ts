import { defineAggregate, defineEvents, reject, type } from 'eventuali'

const events = defineEvents({
  AccountOpened: type<{ owner: string }>(),
  Deposited: type<{ cents: number }>(),
  Withdrawn: type<{ cents: number }>(),
  AccountClosed: type<{ reason: string }>(),
})

export type AccountState = {
  status: 'none' | 'open' | 'closed'
  owner: string
  cents: number
}

/** An open account may act; everything else says why not. */
const mustBeOpen = ({ status }: AccountState) => {
  if (status === 'none') reject('there is no such account')
  if (status === 'closed') reject('the account is closed')
}

export const Account = defineAggregate('account', {
  events,
  initial: (): AccountState => ({ status: 'none', owner: '', cents: 0 }),

  // What each event means. Never refuses: it has happened.
  evolve: {
    AccountOpened: (state, { data }) => ({ ...state, status: 'open', owner: data.owner }),
    Deposited: (state, { data }) => ({ ...state, cents: state.cents + data.cents }),
    Withdrawn: (state, { data }) => ({ ...state, cents: state.cents - data.cents }),
    AccountClosed: (state) => ({ ...state, status: 'closed' }),
  },

  // What may be asked for. Pure: on a conflict it is decided again, on the newer state.
  commands: {
    open: (state, input: { owner: string; cents: number }) =>
      state.status === 'none'
        ? [events.AccountOpened({ owner: input.owner }), events.Deposited({ cents: input.cents })]
        : reject('the account exists already'),
    deposit: (state, cents: number) => {
      mustBeOpen(state)
      return events.Deposited({ cents })
    },
    withdraw: (state, cents: number) => {
      mustBeOpen(state)
      if (cents > state.cents) reject('not enough money', { cents: state.cents })
      return events.Withdrawn({ cents })
    },
    close: (state, reason: string) => {
      mustBeOpen(state)
      if (state.cents !== 0) reject('take the money out first', { cents: state.cents })
      return events.AccountClosed({ reason })
    },
  },
})
