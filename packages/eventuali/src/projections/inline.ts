import type { Clock } from '../kernel/index.ts'
import {
  type AppendOutcome,
  type AppendRequest,
  type CallOptions,
  type EventStore,
  type InlineProjection,
  overStore,
  type StoreTransaction,
} from '../ports/index.ts'
import type { AnyProjection } from './define.ts'
import { GroupFailure, InlineQueue } from './inline-queue.ts'
import { InlineWork, storedEvents } from './inline-work.ts'
import { overTransaction } from './port-wrap.ts'

const GROUP_TIMEOUT_MS = 30_000

/** What stands before a table's name in SQL: the schema, where the store has one. */
export async function qualifierOf(port: EventStore): Promise<string> {
  const { schema } = await port.settings()
  return schema === undefined ? '' : `"${schema}".`
}

/**
 * A store whose appends run the inline projections of the given definitions in their own
 * transaction. Which of them are inline at the moment is registered in the store: an append that
 * misses one is refused by the database, and that is how this process learns of it.
 *
 * @example
 * ```ts
 * import { systemClock, withInlineProjections } from 'eventuali'
 * import { openMemoryStore } from 'eventuali/testing'
 *
 * const port = withInlineProjections(await openMemoryStore(), [], { clock: systemClock })
 * await port.close()
 * ```
 */
export function withInlineProjections(
  port: EventStore,
  definitions: readonly AnyProjection[],
  runtime: { readonly clock: Clock },
): EventStore {
  if (definitions.length === 0) return port
  return new InlineAppends(port, definitions, runtime.clock).store
}

class InlineAppends {
  readonly store: EventStore
  readonly #port: EventStore
  readonly #definitions: ReadonlyMap<string, AnyProjection>
  readonly #clock: Clock
  readonly #queue: InlineQueue
  /** Those that are registered as inline, as far as is known here. */
  #inline: readonly AnyProjection[] = []
  #types: ReadonlySet<string> = new Set()
  #loading: Promise<void> | undefined
  #qualifier = ''

  constructor(port: EventStore, definitions: readonly AnyProjection[], clock: Clock) {
    this.#port = port
    this.#clock = clock
    this.#definitions = new Map(definitions.map((definition) => [definition.name, definition]))
    this.#queue = new InlineQueue(clock, (requests) => this.#runGroup(requests))
    this.store = overStore(port, {
      append: (request, options) => this.#append(request, options),
      transaction: async (work, options) => {
        await this.#load()
        return port.transaction((tx) => work(this.#within(tx)), options)
      },
      join: (client) => this.#within(port.join(client)),
    })
  }

  /** Looks once at what is registered; later refusals tell. */
  #load(): Promise<void> {
    this.#loading ??= (async () => {
      try {
        this.#qualifier = await qualifierOf(this.#port)
        this.#learn(await this.#port.inlineProjections())
      } catch (error) {
        this.#loading = undefined
        throw error
      }
    })()
    return this.#loading
  }

  /** Takes note of registered ones; false when there is one that is not run here. */
  #learn(projections: readonly InlineProjection[]): boolean {
    const known = new Set(this.#inline)
    let isComplete = true
    for (const { name, version } of projections) {
      const definition = this.#definitions.get(name)
      if (definition?.version === version) known.add(definition)
      else isComplete = false
    }
    this.#set([...known])
    return isComplete
  }

  readonly #forget = (name: string): void => {
    this.#set(this.#inline.filter((definition) => definition.name !== name))
  }

  #set(inline: readonly AnyProjection[]): void {
    this.#inline = inline
    this.#types = new Set(inline.flatMap(({ types }) => types))
  }

  #concerns({ entries }: AppendRequest): boolean {
    if (this.#types.size === 0) return false
    return entries.some(({ events }) => events.some(({ type }) => this.#types.has(type)))
  }

  async #append(request: AppendRequest, options?: CallOptions): Promise<AppendOutcome> {
    if (!this.#concerns(request)) {
      const outcome = await this.#port.append(request, options)
      if (!this.#isNews(outcome)) return outcome
    }
    await this.#load()
    const outcome = await this.#queue.add(request, options)
    if (!this.#isNews(outcome)) return outcome
    return this.#queue.add(request, options)
  }

  /** Whether a refusal has told of projections that are run here. */
  #isNews(outcome: AppendOutcome): boolean {
    if (outcome.ok || outcome.reason !== 'projection-missing') return false
    return this.#learn(outcome.projections)
  }

  #list(): Pick<InlineProjection, 'name' | 'version'>[] {
    return this.#inline.map(({ name, version }) => ({ name, version }))
  }

  #begin(tx: StoreTransaction): Promise<InlineWork> {
    return InlineWork.begin(tx, this.#inline, {
      ...{ clock: this.#clock, qualifier: this.#qualifier, onGone: this.#forget },
    })
  }

  /** All appends, then all locks, then all handlers: one order for every transaction. */
  async #runGroup(requests: readonly AppendRequest[]): Promise<readonly AppendOutcome[]> {
    const inline = this.#list()
    return await this.#port.transaction(
      async (tx) => {
        const outcomes: AppendOutcome[] = []
        for (const [index, request] of requests.entries()) {
          try {
            outcomes.push(await tx.append({ ...request, inline }))
          } catch (error) {
            throw new GroupFailure(index, error)
          }
        }
        const stored = requests.map((request, index) =>
          storedEvents(request, outcomes[index] as AppendOutcome),
        )
        if (stored.every((events) => events.length === 0)) return outcomes
        const work = await this.#begin(tx)
        await work.take(stored.flat())
        for (const [index, events] of stored.entries()) {
          try {
            await work.handle(events)
          } catch (error) {
            throw new GroupFailure(index, error)
          }
        }
        await work.end()
        return outcomes
      },
      { timeoutMs: GROUP_TIMEOUT_MS },
    )
  }

  /** A transaction of the user's: each append runs its handlers at once. */
  #within(tx: StoreTransaction): StoreTransaction {
    let isNested = false
    const withHandlers = async (request: AppendRequest, options?: CallOptions) => {
      const outcome = await tx.append({ ...request, inline: this.#list() }, options)
      const events = storedEvents(request, outcome)
      if (events.length === 0) return outcome
      const work = await this.#begin(tx)
      await work.take(events)
      await work.handle(events)
      await work.end()
      return outcome
    }
    // What a handler leaves half done must not stay when the caller catches the error.
    const append = async (request: AppendRequest, options?: CallOptions) =>
      isNested
        ? await withHandlers(request, options)
        : await tx.savepoint(() => withHandlers(request, options))
    return overTransaction(tx, {
      append: async (request, options) => {
        if (!this.#concerns(request)) {
          const outcome = await tx.append(request, options)
          if (!this.#isNews(outcome)) return outcome
          await this.#load()
        }
        return append(request, options)
      },
      savepoint: async (work) => {
        isNested = true
        try {
          return await tx.savepoint(work)
        } finally {
          isNested = false
        }
      },
    })
  }
}
