import {
  Aggregate,
  type AppliedOf,
  type ClassCommandName,
  type Handlers,
} from './aggregate-class.ts'
import { defineEvents, type EventsOf } from './event-definitions.ts'
import { type } from './standard-schema.ts'

const events = defineEvents({
  Deposited: type<{ amount: number }>(),
  'account.closed': type<{ reason: string }>(),
})
type AccountEvents = EventsOf<typeof events>
const others = defineEvents({ Other: type<{ a: number }>() })

export class Account extends Aggregate<AccountEvents> implements Handlers<AccountEvents> {
  static readonly aggregateName = 'account'
  static readonly events = events
  balance = 0

  onDeposited({ data }: AppliedOf<typeof events, 'Deposited'>): void {
    this.balance += data.amount
  }

  'onAccount.closed'(event: AppliedOf<typeof events, 'account.closed'>): void {
    this.balance -= event.data.reason.length
  }

  deposit(amount: number): void {
    this.record(events.Deposited({ amount }))
    // @ts-expect-error an event of another aggregate
    this.record(others.Other({ a: 1 }))
  }

  close(): void {
    this.record(events['account.closed']({ reason: 'asked' }))
  }

  twoInputs(_a: number, _b: number): void {}
}

const name: ClassCommandName<Account> = 'deposit'
const other: ClassCommandName<Account> = 'close'
// @ts-expect-error handlers are no commands
const handler: ClassCommandName<Account> = 'onDeposited'
// @ts-expect-error a command takes one input at most
const two: ClassCommandName<Account> = 'twoInputs'
export const names = [name, other, handler, two]

// @ts-expect-error the handler for account.closed is missing
export class Missing extends Aggregate<AccountEvents> implements Handlers<AccountEvents> {
  onDeposited(): void {}
}

export class Wrong extends Aggregate<AccountEvents> implements Handlers<AccountEvents> {
  // @ts-expect-error the event's data has no such property
  onDeposited(event: { data: { cents: number } }): void {
    console.log(event)
  }
  'onAccount.closed'(): void {}
}
