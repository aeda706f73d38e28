import type { EventStore } from '../../ports/index.ts'

/** A store that breaks one law, to show that the contract notices. */
export interface StoreMutant {
  readonly name: string
  /** The case of the event store contract that must fail. */
  readonly caughtBy: string
  readonly wrap: (store: EventStore) => EventStore
}

/** An implementation of a part of the read side that breaks one law of that part's contract. */
export interface PortMutant<Port> {
  readonly name: string
  /** The case of the contract that must fail. */
  readonly caughtBy: string
  /** What to hand to the contract. */
  readonly port: Port
}
