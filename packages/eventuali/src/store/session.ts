import { freshAt, InvalidArgumentError } from '../model/index.ts'
import {
  type AppendOutcome,
  type EventStore,
  overStore,
  type ReadOptions,
  type StoreTransaction,
} from '../ports/index.ts'
import { overTransaction } from '../projections/index.ts'
import { assertCall } from './read-options.ts'

/** Options of `store.session`. */
export interface SessionOptions {
  /** What the caller has seen already: the `position` of an earlier session, or of an append. */
  readonly position?: number | undefined
}

const sessionCalls = [
  'append',
  'appendAll',
  'transaction',
  'aggregate',
  'decide',
  'readStream',
  'readAll',
  'stream',
  'streams',
] as const

/**
 * One caller's view of a store with replicas: its reads may go to a replica, and see at least what
 * was appended through it.
 */
export type Session<S> = Pick<S, (typeof sessionCalls)[number] & keyof S> & {
  /** The highest position that this session has appended or was told of: the caller's token. */
  readonly position: number
  /** From now on reads see this position too: it came with a request, say. */
  sees(position: number): void
}

/** What one caller has seen. */
export class Seen {
  #position = 0

  constructor({ position = 0 }: SessionOptions) {
    this.sees(position)
  }

  get position(): number {
    return this.#position
  }

  sees(position: number): void {
    if (!Number.isSafeInteger(position) || position < 0) {
      throw new InvalidArgumentError('position', 'must be a position: 0 or a positive integer')
    }
    this.#position = Math.max(this.#position, position)
  }
}

/** The highest position of what an append stored, or 0. */
function highest(outcome: AppendOutcome): number {
  let position = 0
  if (!outcome.ok) return position
  for (const { positions } of outcome.entries) {
    for (const one of positions) position = Math.max(position, one)
  }
  return position
}

function noting(tx: StoreTransaction, sees: (position: number) => void): StoreTransaction {
  return overTransaction(tx, {
    append: async (request, options) => {
      const outcome = await tx.append(request, options)
      sees(highest(outcome))
      return outcome
    },
    savepoint: (work) => tx.savepoint(work),
  })
}

/** The store, which notes what is appended through it. */
export function notingAppends(port: EventStore, seen: Seen): EventStore {
  return overStore(port, {
    append: async (request, options) => {
      const outcome = await port.append(request, options)
      seen.sees(highest(outcome))
      return outcome
    },
    transaction: async (work, options) => {
      let position = 0
      const result = await port.transaction((tx) => {
        const note = (one: number) => {
          position = Math.max(position, one)
        }
        return work(noting(tx, note))
      }, options)
      seen.sees(position)
      return result
    },
    join: (client) => noting(port.join(client), (position) => seen.sees(position)),
  })
}

/**
 * The options of a read within the store's own bound, unless they say more: it sees what the
 * program itself has appended, so that a store does not change its ways with its first replica.
 */
export function ownRead<O extends ReadOptions>(options: O, seen: Seen | undefined): O {
  assertCall(options)
  if (options.fresh !== undefined) return options
  return { ...options, fresh: seen === undefined ? {} : { position: seen.position } }
}

/** The store, whose reads with a freshness see what was appended through it. */
function overSeen(port: EventStore, seen: Seen): EventStore {
  const own = <O extends ReadOptions>(options: O | undefined): O | undefined => {
    const fresh = options?.fresh
    if (options === undefined || fresh === undefined) return options
    return { ...options, fresh: freshAt(fresh, seen.position) }
  }
  const store = notingAppends(port, seen)
  return {
    ...store,
    readLog: (query, options) => port.readLog(query, own(options)),
    readStream: (query, options) => port.readStream(query, own(options)),
    stream: (name, options) => port.stream(name, own(options)),
    streams: (query, options) => port.streams(query, own(options)),
    positions: (options) => port.positions(own(options)),
  }
}

/** The options of a read with what the session has to see in them. */
function sessionRead(seen: Seen, options: ReadOptions = {}): ReadOptions {
  assertCall(options)
  const { fresh = {} } = options
  const bound = fresh === 'primary' ? { withinMs: 0 } : fresh
  return { ...options, fresh: freshAt(bound, seen.position) }
}

/** The calls that a session has, of a store over the port of `overSeen`. */
function sessionOf<S extends object>(store: S, seen: Seen): Session<S> {
  const from = store as Readonly<Record<string, (...args: unknown[]) => unknown>>
  const read = (options: unknown) => sessionRead(seen, options as ReadOptions | undefined)
  const calls = sessionCalls.map((name) => {
    switch (name) {
      case 'readStream':
      case 'stream':
        return [name, (of: unknown, options: unknown) => from[name]?.(of, read(options))] as const
      case 'readAll':
      case 'streams':
        return [name, (options: unknown) => from[name]?.(read(options))] as const
      default:
        return [name, (...args: unknown[]) => from[name]?.(...args)] as const
    }
  })
  return Object.defineProperties(Object.fromEntries(calls), {
    position: { get: () => seen.position, enumerable: true },
    sees: { value: (position: number) => seen.sees(position) },
  }) as Session<S>
}

/** A session over a port; `open` makes the store that its calls go to. */
export function openSession<S extends object>(
  port: EventStore,
  options: SessionOptions,
  open: (port: EventStore) => S,
): Session<S> {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidArgumentError('options', 'must be an object')
  }
  const seen = new Seen(options)
  return sessionOf(open(overSeen(port, seen)), seen)
}
