import { AssertionError } from 'node:assert'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import {
  Aggregate,
  type AppliedOf,
  composeDecisions,
  defineAggregate,
  defineDecision,
  defineDecisionModel,
  defineEvents,
  type EventsOf,
  event,
  type Handlers,
  reject,
  type,
} from '../../model/index.ts'
import { given } from './index.ts'

const events = defineEvents({
  OrderPlaced: z.object({ customer: z.string().trim(), total: z.number() }),
  OrderShipped: type<{ carrier: string }>(),
})

type OrderState = { status: 'new' | 'placed' | 'shipped'; total: number }

const Order = defineAggregate('order', {
  events,
  initial: (): OrderState => ({ status: 'new', total: 0 }),
  evolve: {
    OrderPlaced: (state, { data }) => ({ ...state, status: 'placed', total: data.total }),
    OrderShipped: (state) => ({ ...state, status: 'shipped' }),
  },
  commands: {
    place: (state, input: { customer: string; total: number }) =>
      state.status === 'new' ? events.OrderPlaced(input) : reject('order is already placed'),
    ship: (state, input: { carrier: string }) =>
      state.status === 'placed' ? [events.OrderShipped(input)] : reject('nothing to ship'),
    touch: () => undefined,
    break: () => {
      throw new RangeError('a mistake')
    },
  },
})

const placed = events.OrderPlaced({ customer: 'ada', total: 30 })
const shipped = events.OrderShipped({ carrier: 'dhl' })

describe('an aggregate', () => {
  it('gives the events expected', () => {
    given(Order, [placed]).when('ship', { carrier: 'dhl' }).then([shipped])
    given(Order, []).when('place', { customer: ' ada ', total: 30 }).then([placed])
  })

  it('shows the difference when it gives others', () => {
    const outcome = given(Order, [placed]).when('ship', { carrier: 'dhl' })
    expect(() => outcome.then([events.OrderShipped({ carrier: 'ups' })])).toThrow(
      /\+.*dhl[\s\S]*-.*ups/,
    )
    expect(() => outcome.then([])).toThrow(AssertionError)
    expect(() => outcome.then([shipped, shipped])).toThrow(AssertionError)
    expect(() => outcome.thenNothing()).toThrow(AssertionError)
  })

  it('compares metadata, tags and ids where they are expected', () => {
    const outcome = given(Order, [placed]).when('ship', { carrier: 'dhl' })
    const expected = events.OrderShipped({ carrier: 'dhl' }, { tags: ['a:1'] })
    expect(() => outcome.then([expected])).toThrow(AssertionError)
  })

  it('is rejected by reason, code or pattern', () => {
    const outcome = given(Order, []).when('ship', { carrier: 'dhl' })
    outcome.thenRejects()
    outcome.thenRejects('nothing to ship')
    outcome.thenRejects('DOMAIN_REJECTED')
    outcome.thenRejects(/to ship$/)
    outcome.thenRejects((error) => expect(error).toHaveProperty('reason'))
    expect(() => outcome.thenRejects('another')).toThrow(/rejected for another reason/)
    expect(() => outcome.thenRejects(/another/)).toThrow(AssertionError)
    expect(() => outcome.then([shipped])).toThrow('the command was rejected: nothing to ship')
    const accepted = given(Order, [placed]).when('ship', { carrier: 'dhl' })
    expect(() => accepted.thenRejects()).toThrow('the command was accepted, with OrderShipped')
  })

  it('is rejected by a schema, and by data that no store takes', () => {
    const bad = { customer: 'ada', total: 'x' as unknown as number }
    given(Order, []).when('place', bad).thenRejects('EVENT_INVALID')
    const carrier = Number.NaN as unknown as string
    given(Order, [placed]).when('ship', { carrier }).thenRejects('DATA_NOT_JSON')
  })

  it('checks the state before and after', () => {
    given(Order, [placed]).thenState({ status: 'placed', total: 30 })
    given(Order, [placed])
      .when('ship', { carrier: 'x' })
      .thenState({ status: 'shipped', total: 30 })
    given(Order, [placed]).thenState((state) => expect(state.total).toBe(30))
    expect(() => given(Order, []).thenState({ status: 'placed', total: 0 })).toThrow(AssertionError)
  })

  it('knows commands that give nothing, and commands it does not have', () => {
    given(Order, []).when('touch').thenNothing()
    // @ts-expect-error there is no such command
    expect(() => given(Order, []).when('fly')).toThrow(/no command "fly"/)
    // @ts-expect-error the command has an input
    given(Order, [placed]).when('ship')
    // @ts-expect-error the event is of another aggregate
    expect(() => given(Order, [{ type: 'Foreign', data: 1 }]).when('touch')).toThrow(/Foreign/)
  })

  it('shows a mistake of the code itself', () => {
    expect(() => given(Order, []).when('break').then([])).toThrow(RangeError)
  })

  it('tells a mistaken await apart', async () => {
    const outcome = given(Order, []).when('touch') as unknown as Promise<unknown>
    await expect(outcome).rejects.toThrow(/finish the specification/)
  })

  it('waits for asynchronous validators', async () => {
    const slow = defineEvents({
      Checked: z.object({ n: z.number() }).refine(async ({ n }) => n > 0),
    })
    const Slow = defineAggregate('slow', {
      events: slow,
      initial: () => ({ sum: 0 }),
      evolve: { Checked: (state, { data }) => ({ sum: state.sum + data.n }) },
      commands: { check: (_state, n: number) => slow.Checked({ n }) },
    })
    const past = [slow.Checked({ n: 1 })]
    await given(Slow, past)
      .when('check', 2)
      .then([slow.Checked({ n: 2 })])
    await given(Slow, past).when('check', 2).thenState({ sum: 3 })
    await given(Slow, past).when('check', -1).thenRejects('EVENT_INVALID')
    const nothing: unknown = given(Slow, past).when('check', 2).thenNothing()
    await expect(nothing).rejects.toThrow(AssertionError)
  })
})

const accountEvents = defineEvents({ Deposited: type<{ amount: number }>() })
type AccountEvents = EventsOf<typeof accountEvents>

class Account extends Aggregate<AccountEvents> implements Handlers<AccountEvents> {
  static readonly aggregateName = 'account'
  static readonly events = accountEvents
  balance = 0

  onDeposited({ data }: AppliedOf<typeof accountEvents, 'Deposited'>): void {
    this.balance += data.amount
  }

  deposit(amount: number): void {
    if (amount <= 0) reject('a deposit is more than nothing')
    this.record(accountEvents.Deposited({ amount }))
  }
}

describe('an aggregate class', () => {
  const deposit = accountEvents.Deposited({ amount: 5 })

  it('gives events, a state or a refusal', () => {
    given(Account, [deposit]).thenState({ balance: 5 })
    given(Account, [deposit]).when('deposit', 5).then([deposit])
    given(Account, [deposit]).when('deposit', 7).thenState({ balance: 12 })
    given(Account, []).when('deposit', 0).thenRejects('a deposit is more than nothing')
    given(Account, [], { id: 'a-1' })
      .when('deposit', 1)
      .thenState((account) => {
        expect(account.balance).toBe(1)
      })
    expect(() => given(Account, []).when('deposit', 1).thenState({ balance: 2 })).toThrow(
      AssertionError,
    )
    // @ts-expect-error handlers are no commands
    expect(() => given(Account, []).when('onDeposited', {})).toThrow(/no command/)
  })
})

const course = defineEvents({
  CourseOpened: event(type<{ course: string; seats: number }>(), {
    tags: (data) => [`course:${data.course}`],
  }),
  Enrolled: event(type<{ course: string; student: string }>(), {
    tags: (data) => [`course:${data.course}`, `student:${data.student}`],
  }),
})

type Enrolment = { course: string; student: string }

const Seats = defineDecisionModel({
  events: course,
  query: (input: Enrolment) => ({
    types: ['CourseOpened', 'Enrolled'],
    tags: [`course:${input.course}`],
  }),
  initial: () => 0,
  evolve: {
    CourseOpened: (_left, { data }) => data.seats,
    Enrolled: (left) => left - 1,
  },
})

const Load = defineDecisionModel({
  events: course,
  query: (input: Enrolment) => ({ types: ['Enrolled'], tags: [`student:${input.student}`] }),
  initial: () => 0,
  evolve: { Enrolled: (count) => count + 1 },
})

const enrol = composeDecisions({ seats: Seats, load: Load }, ({ seats, load }, input) => {
  if (seats <= 0) reject('the course is full')
  if (load >= 2) reject('two courses are enough')
  return { stream: `enrolment-${input.student}`, events: course.Enrolled(input) }
})

describe('a decision', () => {
  const opened = course.CourseOpened({ course: 'c1', seats: 1 })
  const input = { course: 'c1', student: 's1' }

  it('folds what its query finds among the given events', () => {
    given(enrol, [opened])
      .when(input)
      .then([course.Enrolled(input)])
    given(enrol, [opened]).when(input).thenState({ seats: 0, load: 1 })
    given(enrol, [opened, course.Enrolled({ course: 'c1', student: 's2' })])
      .when(input)
      .thenRejects('the course is full')
    given(enrol, [opened, course.Enrolled({ course: 'c2', student: 's2' })])
      .when(input)
      .then([course.Enrolled(input)])
    const others = ['c2', 'c3'].map((id) => course.Enrolled({ course: id, student: 's1' }))
    given(enrol, [opened, ...others])
      .when(input)
      .thenRejects(/enough/)
  })

  it('may give nothing', () => {
    const idle = defineDecision({
      events: course,
      query: (_input: string) => ({ types: ['Enrolled'] }),
      initial: () => 0,
      evolve: { Enrolled: (count) => count + 1 },
      decide: () => undefined,
    })
    given(idle, []).when('x').thenNothing()
    given(idle, [course.Enrolled(input)])
      .when('x')
      .thenState(1)
  })
})
