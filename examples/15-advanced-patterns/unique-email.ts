import { createHash } from 'node:crypto'
import { defineDecision, defineEvents, event, reject, type } from 'eventuali'

/** The tag is a hash: tags are kept for ever and shown to operators, addresses need not be. */
const tagOf = (email: string) =>
  `email:${createHash('sha256').update(email.trim().toLowerCase()).digest('hex').slice(0, 32)}`

export const members = defineEvents({
  MemberJoined: event(type<{ member: string; email: string }>(), {
    tags: ({ email }) => [tagOf(email)],
  }),
  MemberLeft: event(type<{ member: string; email: string }>(), {
    tags: ({ email }) => [tagOf(email)],
  }),
})

/** An address belongs to one member at a time, without a table of addresses or a lock. */
export const join = defineDecision({
  events: members,
  query: (input: { member: string; email: string }) => [
    { types: ['MemberJoined', 'MemberLeft'], tags: [tagOf(input.email)] },
  ],
  initial: (): { owner: string | undefined } => ({ owner: undefined }),
  evolve: {
    MemberJoined: (_state, { data }) => ({ owner: data.member }),
    MemberLeft: () => ({ owner: undefined }),
  },
  decide: ({ owner }, input) =>
    owner === undefined
      ? { stream: `member-${input.member}`, events: members.MemberJoined(input) }
      : reject('the address is taken'),
})
