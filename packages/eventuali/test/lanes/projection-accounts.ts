import { collection, defineEvents, defineProjection, type } from '../../src/index.ts'

/** Money that comes and moves. */
export const accountEvents = defineEvents({
  Deposited: type<{ account: string; amount: number }>(),
  Moved: type<{ from: string; to: string; amount: number }>(),
})

/** An account of the read model. */
export interface Account {
  balance: number
  /** Of every event that touched it, so that one that came twice is seen. */
  entries: number
  last: string
}

const none: Account = { balance: 0, entries: 0, last: '' }

/** Touches two documents of two collections with an event, so that a half effect is seen. */
export const accounts = defineProjection({
  name: 'accounts',
  version: 1,
  events: [accountEvents],
  collections: {
    accounts: collection<Account>(),
    moves: collection<{ amount: number }>(),
  },
  handlers: {
    Deposited: ({ id, data: { account, amount } }, ctx) =>
      ctx.collection('accounts').patch(account, (was = none) => ({
        balance: was.balance + amount,
        entries: was.entries + 1,
        last: id,
      })),
    Moved: async ({ id, stream, version, data: { from, to, amount } }, ctx) => {
      for (const [account, sum] of [
        [from, -amount],
        [to, amount],
      ] as const) {
        await ctx.collection('accounts').patch(account, (was = none) => ({
          balance: was.balance + sum,
          entries: was.entries + 1,
          last: id,
        }))
      }
      await ctx.collection('moves').put(`${stream} ${version}`, { amount })
    },
  },
})
