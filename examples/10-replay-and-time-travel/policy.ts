import { defineAggregate, defineEvents, type } from 'eventuali'

export const events = defineEvents({
  PolicyIssued: type<{ holder: string; yearly: number }>(),
  PremiumChanged: type<{ yearly: number; why: string }>(),
  ClaimPaid: type<{ amount: number }>(),
})

type PolicyState = { holder: string; yearly: number; paidOut: number }

const parts = {
  events,
  initial: (): PolicyState => ({ holder: '', yearly: 0, paidOut: 0 }),
  commands: {},
}

/** An insurance policy, as the company reckons today. */
export const Policy = defineAggregate('policy', {
  ...parts,
  evolve: {
    PolicyIssued: (state, { data }) => ({ ...state, holder: data.holder, yearly: data.yearly }),
    PremiumChanged: (state, { data }) => ({ ...state, yearly: data.yearly }),
    ClaimPaid: (state, { data }) => ({ ...state, paidOut: state.paidOut + data.amount }),
  },
})

/** What if each claim raised the premium by a tenth of it? */
export const DearerPolicy = defineAggregate('policy', {
  ...parts,
  evolve: {
    PolicyIssued: (state, { data }) => ({ ...state, holder: data.holder, yearly: data.yearly }),
    PremiumChanged: (state, { data }) => ({ ...state, yearly: data.yearly }),
    ClaimPaid: (state, { data }) => ({
      ...state,
      paidOut: state.paidOut + data.amount,
      yearly: state.yearly + data.amount / 10,
    }),
  },
})
