import { EventualiError } from '../kernel/index.ts'

/** No durable subscription of this name was ever started in the store. */
export class SubscriptionUnknownError extends EventualiError {
  readonly code = 'SUBSCRIPTION_UNKNOWN'
  readonly subscription: string

  constructor(subscription: string) {
    super(`no durable subscription is named ${JSON.stringify(subscription)} in this store`)
    this.subscription = subscription
  }
}

/** A durable subscription is opened with another kind of key than it was made with. */
export class SubscriptionChangedError extends EventualiError {
  readonly code = 'SUBSCRIPTION_CHANGED'
  readonly subscription: string

  constructor(subscription: string, recorded: string, asked: string) {
    super(
      `subscription ${JSON.stringify(subscription)} keeps order by ${recorded}, the program asks for ${asked}; events on their way would change places. Use another name, or drop the old subscription first`,
    )
    this.subscription = subscription
  }
}

/** No dead letter has this id, or it is not in a state for what is asked. */
export class DeadLetterError extends EventualiError {
  readonly code = 'DEAD_LETTER_REFUSED'
  /** The letter's id. */
  readonly letter: string

  constructor(letter: string, reason: string) {
    super(`dead letter ${JSON.stringify(letter)} ${reason}`)
    this.letter = letter
  }
}
