import {
  InvalidArgumentError,
  MigrationCollisionError,
  type RecordedEvent,
} from '../model/index.ts'
import type { EventStore, StoreTransaction } from '../ports/index.ts'
import { portOf } from './port-or-store.ts'
import type {
  ReplayBatchHandler,
  ReplayContext,
  ReplayInto,
  ReplayOptions,
} from './replay-options.ts'
import { kept, type ReplayWriter, renumbered } from './replay-store.ts'

/** A page on its way. */
export interface ReplayDelivery {
  readonly events: readonly RecordedEvent[]
  readonly position: number
  /** Where effect and checkpoint are one; undefined outside of a transaction. */
  readonly tx: StoreTransaction | undefined
  /** Called for each event that is done, when they are done one by one. */
  readonly onDone: (event: RecordedEvent) => void
}

/** Where a replay's events go. */
export interface ReplaySink {
  /** The store that keeps the checkpoint, and whose transactions the sink takes part in. */
  readonly home: EventStore
  /** Every delivery is part of a transaction, with a checkpoint or without. */
  readonly transactional: boolean
  /** May be handed the same events again after a failure of the storage. */
  readonly repeatable: boolean
  /** Tells of each event when it is done, and may end before the last one. */
  readonly oneByOne: boolean
  /** Gives the number of events that were there already. */
  deliver(delivery: ReplayDelivery): Promise<number>
}

/**
 * Chooses the sink for what the caller handed in; `isMapped`: events become others on their way, so
 * that they may go into the store they came from. Throws InvalidArgumentError.
 */
export function replaySink(
  source: EventStore,
  into: ReplayInto | undefined,
  options: ReplayOptions,
  isMapped: boolean,
): ReplaySink {
  const { decode, signal } = options
  if (into === undefined) return idle(source)
  if (typeof into === 'function') return single(source, into, decode, signal)
  if ('batch' in into) return batched(source, into, decode, signal)
  if ('projection' in into) throw new InvalidArgumentError('into', 'has no projection yet')
  if (!('store' in into)) {
    throw new InvalidArgumentError(
      'into',
      'must be a handler, { batch }, { store } or { projection }',
    )
  }
  const target = portOf(into.store)
  const isSame = target === source || target.incarnation === source.incarnation
  if (isSame && !isMapped) {
    throw new InvalidArgumentError('into.store', 'is the store that is replayed')
  }
  const write = into.versions === 'renumber' ? renumbered : kept
  return stored(target, isMapped ? withoutDuplicates(write) : write, options)
}

/**
 * The checkpoint is written with the events, so that none comes twice: one that is there already is
 * another event, and would be lost.
 */
function withoutDuplicates(write: ReplayWriter): ReplayWriter {
  return async (access, events) => {
    const count = await write(access, events)
    if (count > 0) throw new MigrationCollisionError(`${count} events are there already`)
    return count
  }
}

/** Of a dry run without a target. */
function idle(home: EventStore): ReplaySink {
  return { home, transactional: false, repeatable: false, oneByOne: false, deliver: async () => 0 }
}

function stored(home: EventStore, write: ReplayWriter, options: ReplayOptions): ReplaySink {
  return {
    home,
    transactional: options.resume !== undefined,
    repeatable: true,
    oneByOne: false,
    deliver: ({ events, tx }) => write(tx ?? home, events),
  }
}

type Decode = ReplayOptions['decode']

function batched(
  home: EventStore,
  handler: ReplayBatchHandler,
  decode: Decode,
  signal: AbortSignal | undefined,
): ReplaySink {
  const transactional = handler.transactional === true
  return {
    home,
    transactional,
    repeatable: transactional,
    oneByOne: false,
    deliver: async ({ events, position, tx }) => {
      const shown = decode === undefined ? events : events.map(decode)
      await handler.batch(shown, { signal, position, tx })
      return 0
    },
  }
}

function single(
  home: EventStore,
  handler: (event: RecordedEvent, context: ReplayContext) => unknown,
  decode: Decode,
  signal: AbortSignal | undefined,
): ReplaySink {
  return {
    home,
    transactional: false,
    repeatable: false,
    oneByOne: true,
    deliver: async ({ events, onDone }) => {
      for (const event of events) {
        if (signal?.aborted) break
        const shown = decode === undefined ? event : decode(event)
        const result = handler(shown, { signal, position: event.position })
        // A handler that returns no promise costs no turn of the event loop.
        if (result instanceof Promise) await result
        onDone(event)
      }
      return 0
    },
  }
}
