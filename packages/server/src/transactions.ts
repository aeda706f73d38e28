import { randomUUID } from 'node:crypto'
import { type Clock, TransactionTimeoutError } from 'eventuali'
import type { EventStore, StoreTransaction } from 'eventuali/ports'
import type { Principal } from './access.ts'
import { Failure } from './failure.ts'
import { Places } from './gate.ts'
import type { Limits } from './options.ts'

/** The end that a client asked for; nobody else sees it. */
class RolledBack extends Error {}

/** A transaction that a client has open: it lives between requests, and not for long. */
export class OpenTransaction {
  readonly id: string = randomUUID()
  readonly owner: string
  readonly #clock: Clock
  readonly #idleMs: number
  readonly #end = Promise.withResolvers<void>()
  readonly #begun = Promise.withResolvers<StoreTransaction>()
  #done: Promise<void> = Promise.resolve()
  #stopIdle: (() => void) | undefined
  #calls = 0
  #savepoint: PromiseWithResolvers<void> | undefined
  #savepointDone: Promise<unknown> | undefined
  /** Why it is over, once it is. */
  #over: { readonly error: unknown } | undefined

  constructor(owner: string, clock: Clock, idleMs: number) {
    this.owner = owner
    this.#clock = clock
    this.#idleMs = idleMs
    this.#end.promise.catch(() => {})
    this.#begun.promise.catch(() => {})
  }

  /** Resolves once the store has let it in. */
  async begin(port: EventStore, timeoutMs: number, onOver: () => void): Promise<void> {
    const run = port.transaction(
      (tx) => {
        this.#begun.resolve(tx)
        return this.#end.promise
      },
      { timeoutMs },
    )
    const over = (error: unknown) => {
      this.#over = { error }
      this.#stopIdle?.()
      this.#savepoint?.reject(new RolledBack())
      onOver()
    }
    this.#done = run.then(
      () => over(new Failure('TRANSACTION_UNKNOWN', 'the transaction was committed already')),
      (error: unknown) => {
        this.#begun.reject(error)
        over(error)
        throw error
      },
    )
    this.#done.catch(() => {})
    await this.#begun.promise
    this.#arm()
  }

  /** Makes a call in it. Throws why it is over, when it is. */
  async call<T>(work: (tx: StoreTransaction) => Promise<T>): Promise<T> {
    this.#assertOpen()
    this.#stopIdle?.()
    this.#calls++
    try {
      return await work(await this.#begun.promise)
    } finally {
      if (--this.#calls === 0) this.#arm()
    }
  }

  async commit(): Promise<void> {
    this.#assertOpen()
    this.#stopIdle?.()
    this.#end.resolve()
    await this.#done
  }

  async rollback(error: unknown = new RolledBack('rolled back')): Promise<void> {
    this.#stopIdle?.()
    this.#savepoint?.reject(new RolledBack())
    this.#end.reject(error)
    await this.#done.catch((thrown: unknown) => {
      if (thrown !== error) throw thrown
    })
  }

  async beginSavepoint(): Promise<void> {
    if (this.#savepoint !== undefined) {
      throw new Failure('REQUEST_INVALID', 'a savepoint is open already; they do not nest')
    }
    const savepoint = Promise.withResolvers<void>()
    savepoint.promise.catch(() => {})
    this.#savepoint = savepoint
    const begun = Promise.withResolvers<void>()
    await this.call(async (tx) => {
      this.#savepointDone = tx.savepoint(() => {
        begun.resolve()
        return savepoint.promise
      })
      this.#savepointDone.catch((error: unknown) => begun.reject(error))
      await begun.promise
    })
  }

  async endSavepoint(how: 'release' | 'rollback'): Promise<void> {
    const savepoint = this.#savepoint
    if (savepoint === undefined) throw new Failure('REQUEST_INVALID', 'no savepoint is open')
    this.#savepoint = undefined
    const error = new RolledBack('the savepoint is rolled back')
    await this.call(async () => {
      if (how === 'release') savepoint.resolve()
      else savepoint.reject(error)
      await this.#savepointDone?.catch((thrown: unknown) => {
        if (thrown !== error) throw thrown
      })
    })
  }

  #assertOpen(): void {
    if (this.#over === undefined) return
    const { error } = this.#over
    if (error instanceof RolledBack) {
      throw new Failure('TRANSACTION_UNKNOWN', 'the transaction was rolled back already')
    }
    throw error
  }

  /** A client that has died leaves a writer behind; it must not keep the others waiting. */
  #arm(): void {
    this.#stopIdle?.()
    if (this.#over !== undefined) return
    this.#stopIdle = this.#clock.timer(
      this.#idleMs,
      () => void this.rollback(new TransactionTimeoutError(this.#idleMs)).catch(() => {}),
      { background: true },
    )
  }
}

/** Ended ones are remembered for a while, so that a late call learns why. */
const ENDED_COUNT_MAX = 1000

/** The transactions that clients have open. */
export class Transactions {
  readonly #port: EventStore
  readonly #clock: Clock
  readonly #limits: Limits
  readonly #places: Places
  readonly #all = new Map<string, OpenTransaction>()
  readonly #open = new Set<OpenTransaction>()

  constructor(port: EventStore, clock: Clock, limits: Limits) {
    this.#port = port
    this.#clock = clock
    this.#limits = limits
    this.#places = new Places('transactions', limits.transactionsMax)
  }

  get openCount(): number {
    return this.#places.taken
  }

  async begin(principal: Principal, askedMs: number | undefined): Promise<OpenTransaction> {
    const leave = this.#places.take()
    const timeoutMs = Math.min(askedMs ?? this.#limits.timeoutMs, this.#limits.timeoutMs)
    const { transactionIdleMs } = this.#limits
    const transaction = new OpenTransaction(principal.name, this.#clock, transactionIdleMs)
    const onOver = () => {
      leave()
      this.#open.delete(transaction)
    }
    this.#open.add(transaction)
    await transaction.begin(this.#port, timeoutMs, onOver)
    this.#all.set(transaction.id, transaction)
    if (this.#all.size > ENDED_COUNT_MAX) {
      for (const [id, one] of this.#all) {
        if (this.#open.has(one)) continue
        this.#all.delete(id)
        break
      }
    }
    return transaction
  }

  /** Throws Failure TRANSACTION_UNKNOWN for one that is not the caller's. */
  get(id: string, principal: Principal): OpenTransaction {
    const found = this.#all.get(id)
    if (found !== undefined && found.owner === principal.name) return found
    throw new Failure('TRANSACTION_UNKNOWN', `there is no transaction ${JSON.stringify(id)}`)
  }

  /** Rolls back what is open. */
  async close(): Promise<void> {
    const ends = [...this.#open].map((one) => one.rollback().catch(() => {}))
    await Promise.all(ends)
  }
}
