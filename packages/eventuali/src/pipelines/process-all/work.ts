import { InvalidArgumentError, type Json, type RecordedEvent } from '../../model/index.ts'
import {
  assertFold,
  isFold,
  type PartitionContext,
  type PartitionFold,
  type PartitionHandler,
} from './options.ts'

/** The work of one partition: it has its own state, and gets its events in order. */
export interface Worked {
  take(events: readonly RecordedEvent[]): unknown
  /** The state of a fold as it is now; undefined for a handler. */
  state(): unknown
}

/** Begins a handler or a fold, where a fold has a state from before with that. */
export function begin(
  work: PartitionHandler | PartitionFold,
  context: PartitionContext,
  before?: { readonly state: unknown },
): Worked {
  if (!isFold(work)) return { take: (events) => work(events, context), state: () => undefined }
  let state = before === undefined ? work.initial(context) : before.state
  return {
    take: (events) => {
      for (const event of events) state = work.evolve(state, event)
    },
    state: () => state,
  }
}

/** What a module exports. Throws InvalidArgumentError, and what importing it throws. */
export async function importWork(module: string): Promise<PartitionHandler | PartitionFold> {
  const { handle, fold } = (await import(module)) as {
    readonly handle?: unknown
    readonly fold?: unknown
  }
  if (typeof handle === 'function') return handle as PartitionHandler
  if (typeof fold === 'object' && fold !== null) {
    assertFold('work.module', fold)
    return fold
  }
  throw new InvalidArgumentError('work.module', 'exports neither a function handle nor a fold')
}

/** What a thread is started with. */
export interface ThreadJob {
  readonly module: string
  readonly partition: number
  readonly partitions: number
  readonly data: Json | undefined
  readonly before: { readonly state: unknown } | undefined
}

/** What a thread is told: events to work on, or to say what its state is. */
export type ToThread = { readonly events: readonly RecordedEvent[] } | { readonly asks: 'state' }

/** What a thread says: each answers one that it was told. */
export type FromThread =
  | { readonly is: 'done' }
  | { readonly is: 'state'; readonly state: unknown }
  | { readonly is: 'failed'; readonly error: unknown }
