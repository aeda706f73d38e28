import assert from 'node:assert/strict'
import { sleep, systemClock } from '../../kernel/index.ts'
import type { RecordedEvent } from '../../model/index.ts'
import type {
  EventStore,
  LogQuery,
  StoreCapabilities,
  StreamAccess,
  StreamsQuery,
} from '../../ports/index.ts'
import type { ContractCase } from './contract.ts'
import { drain, Steps } from './steps.ts'

/** A transaction that somebody else began on a client of the same database. */
export interface ForeignTransaction {
  /** What `store.join` takes. */
  readonly client: unknown
  commit(): Promise<void>
  rollback(): Promise<void>
}

/** One store under test, made for one case, with the ways that its capabilities call for. */
export interface EventStoreSubject {
  readonly store: EventStore
  /** Opens the same store once more; needed when it is `durable` or `shared`. */
  readonly openAgain?: () => Promise<EventStore>
  /** Begins a transaction outside the library; needed when it can `within`. */
  readonly begin?: () => Promise<ForeignTransaction>
  /** A name that `fork` takes, and how to open what is there then; needed when it can `fork`. */
  readonly forkPlace?: () => { readonly into: string; readonly open: () => Promise<EventStore> }
  /** Removes what was made; called after the store was closed. */
  readonly dispose: () => Promise<void>
}

/**
 * What a case works with. The log may hold events of earlier cases, so names are always fresh.
 *
 * @example
 * ```ts
 * import type { ContractCase, EventStoreContext } from 'eventuali/testing'
 *
 * const ownLaw: ContractCase<EventStoreContext> = {
 *   name: 'two events are read back',
 *   needs: [],
 *   run: async (ctx) => {
 *     await ctx.append('mine-1', 2)
 *     if ((await ctx.read('mine-1')).length !== 2) throw new Error('an event is missing')
 *   },
 * }
 * console.log(ownLaw.name)
 * ```
 */
export class EventStoreContext extends Steps {
  readonly store: EventStore
  /** The newest position when the case began. */
  readonly start: number
  readonly #subject: EventStoreSubject
  readonly #wrap: (store: EventStore) => EventStore
  readonly #opened: EventStore[] = []

  constructor(
    subject: EventStoreSubject,
    store: EventStore,
    start: number,
    wrap: (store: EventStore) => EventStore,
  ) {
    super(store)
    this.store = store
    this.start = start
    this.#subject = subject
    this.#wrap = wrap
  }

  /** The same steps on a transaction or another handle. */
  on(access: StreamAccess): Steps {
    return new Steps(access)
  }

  /** A second handle on the same store, closed with the case. */
  async openAgain(): Promise<EventStore> {
    const { openAgain } = this.#subject
    assert.ok(openAgain, 'the subject needs openAgain for its capabilities')
    const store = this.#wrap(await openAgain())
    this.#opened.push(store)
    return store
  }

  /** A name for a fork, and how to open it; it is closed with the case. */
  forkPlace(): { readonly into: string; readonly open: () => Promise<EventStore> } {
    const { forkPlace } = this.#subject
    assert.ok(forkPlace, 'the subject needs forkPlace for its capability fork')
    const { into, open } = forkPlace()
    return {
      into,
      open: async () => {
        const store = await open()
        this.#opened.push(store)
        return store
      },
    }
  }

  begin(): Promise<ForeignTransaction> {
    const { begin } = this.#subject
    assert.ok(begin, 'the subject needs begin for its capability within')
    return begin()
  }

  /** The case's own part of the log. */
  log(query: Partial<LogQuery> = {}): Promise<RecordedEvent[]> {
    return this.readLog({ after: this.start, ...query })
  }

  async streamNames(query: StreamsQuery): Promise<string[]> {
    return (await drain(this.store.streams(query))).map((info) => info.stream)
  }

  /** The safe position, once nothing holds it back; fails when that takes over ten seconds. */
  async settled(): Promise<number> {
    const end = systemClock.monotonic() + 10_000
    for (;;) {
      const { safe, newest } = await this.store.positions()
      if (safe >= newest) return safe
      assert.ok(systemClock.monotonic() < end, `safe stays at ${safe}, newest is ${newest}`)
      await pause(5)
    }
  }

  async dispose(): Promise<void> {
    for (const store of [...this.#opened, this.store]) await store.close()
    await this.#subject.dispose()
  }
}

/** Waits on the machine's clock. */
export function pause(ms: number): Promise<void> {
  return sleep(systemClock, ms)
}

/** Waits until the condition holds; fails loudly when that takes too long. */
export async function until(what: string, holds: () => boolean, timeoutMs = 5000): Promise<void> {
  const end = systemClock.monotonic() + timeoutMs
  while (!holds()) {
    assert.ok(systemClock.monotonic() < end, `${what} did not come within ${timeoutMs} ms`)
    await pause(5)
  }
}

/**
 * Runs one case on a store of its own; rejects when the store breaks the case's law.
 *
 * @example
 * ```ts
 * import { eventStoreContract, openMemoryStore, runStoreCase } from 'eventuali/testing'
 *
 * const make = async () => ({ store: await openMemoryStore(), dispose: async () => {} })
 * for (const law of eventStoreContract.cases.slice(0, 3)) {
 *   await runStoreCase(law, make)
 *   console.log('holds:', law.name)
 * }
 * ```
 */
export async function runStoreCase(
  contractCase: ContractCase<EventStoreContext>,
  make: () => Promise<EventStoreSubject>,
  wrap: (store: EventStore) => EventStore = (store) => store,
): Promise<void> {
  const subject = await make()
  const store = wrap(subject.store)
  const { newest } = await store.positions()
  const context = new EventStoreContext(subject, store, newest, wrap)
  try {
    await contractCase.run(context)
  } finally {
    await context.dispose()
  }
}

/** Short for a case of the event store contract. */
export function law(
  name: string,
  run: (context: EventStoreContext) => Promise<void>,
  ...needs: (keyof StoreCapabilities)[]
): ContractCase<EventStoreContext> {
  return { name, needs, run }
}
