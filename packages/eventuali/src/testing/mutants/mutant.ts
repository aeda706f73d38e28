import type { EventStore } from '../../ports/index.ts'

/** A store that breaks one law, to show that the contract notices. */
export interface StoreMutant {
  readonly name: string
  /** The case of the event store contract that must fail. */
  readonly caughtBy: string
  readonly wrap: (store: EventStore) => EventStore
}
