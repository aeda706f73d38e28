import assert from 'node:assert/strict'
import { systemClock } from '../../kernel/index.ts'
import type { EventStore } from '../../ports/index.ts'
import { type ManualClock, manualClock } from '../clock.ts'
import { wrapStore } from '../wrap.ts'
import type { EventStoreContext } from './context.ts'
import type { JoinLease, LeaseMember } from './lease.ts'
import { fresh } from './steps.ts'

/** Bounds of the leases under test, on the members' own clocks. */
export const TTL_MS = 1000
export const POLL_MS = 100
/** Time passes in steps of this. */
export const STEP_MS = 20
/** Turns of the event loop without a call of the store, after which nothing is under way. */
const IDLE_TURN_COUNT = 4
const IDLE_MS_MAX = 20_000

/** A member with its clock, which stands still unless it is told to go. */
export interface Actor {
  readonly label: string
  readonly clock: ManualClock
  readonly member: LeaseMember
}

/** A store that knows how many of its calls are under way. */
class Watched {
  readonly store: EventStore
  #calls = 0

  constructor(store: EventStore) {
    const count = async <T>(run: () => Promise<T>): Promise<T> => {
      this.#calls += 1
      try {
        return await run()
      } finally {
        this.#calls -= 1
      }
    }
    const pages = async function* <T>(all: AsyncIterable<T>): AsyncGenerator<T> {
      const steps = all[Symbol.asyncIterator]()
      try {
        for (;;) {
          const step = await count(() => steps.next())
          if (step.done === true) return
          yield step.value
        }
      } finally {
        await steps.return?.()
      }
    }
    this.store = wrapStore(store, {
      readSide: (_call, run) => count(run),
      append: (next, request, options) => count(() => next.append(request, options)),
      readLog: (next, query, options) => pages(next.readLog(query, options)),
      positions: (next, options) => count(() => next.positions(options)),
      transaction: (next, work, options) => count(() => next.transaction(work, options)),
    })
  }

  /** Resolves once everybody waits for time to pass. */
  async idle(): Promise<void> {
    const endMs = systemClock.monotonic() + IDLE_MS_MAX
    for (let quiet = 0; quiet < IDLE_TURN_COUNT; ) {
      await new Promise<void>((resolve) => setImmediate(resolve))
      quiet = this.#calls === 0 ? quiet + 1 : 0
      assert.ok(systemClock.monotonic() < endMs, 'the store does not come to rest')
    }
  }
}

/** A lease with its candidates, the work that it guards, and what was done of it. */
export class LeaseStage {
  readonly #ctx: EventStoreContext
  readonly #join: JoinLease
  readonly #handles: Watched[]
  readonly #name = fresh('lease')
  readonly #category = fresh('c')
  readonly #kind = fresh('done')
  readonly #actors: Actor[] = []
  #count = 0

  constructor(ctx: EventStoreContext, join: JoinLease) {
    this.#ctx = ctx
    this.#join = join
    this.#handles = [new Watched(ctx.store)]
  }

  /** Lets the members that join from now on have a handle of their own. */
  async openAgain(): Promise<void> {
    this.#handles.unshift(new Watched(await this.#ctx.openAgain()))
  }

  /** A candidate that has looked once. */
  async join(): Promise<Actor> {
    const label = `m${++this.#count}`
    const clock = manualClock(1_000_000 * this.#count)
    const [{ store }] = this.#handles as [Watched]
    let epoch: () => number | undefined = () => undefined
    const member = this.#join(store, {
      ...{ name: this.#name, clock, ttlMs: TTL_MS, pollMs: POLL_MS },
      ...{ category: this.#category, after: this.#ctx.start },
      work: async (tx, { position }) => {
        const value = { position, label, epoch: epoch() ?? 0 }
        const key = `${String(position).padStart(12, '0')} ${label}`
        await tx.records.write([{ kind: this.#kind, key, expected: 'any', value }])
      },
    })
    epoch = () => member.epoch
    const actor = { label, clock, member }
    this.#actors.push(actor)
    for (let look = 0; look < 100 && !member.settled; look++) await this.idle()
    assert.ok(member.settled, `${label} does not see who the owner is`)
    return actor
  }

  async idle(): Promise<void> {
    for (const handle of this.#handles) await handle.idle()
  }

  /** Lets time pass for some; it stands still for the others, as for a program that is frozen. */
  async pass(ms: number, ...actors: readonly Actor[]): Promise<void> {
    for (let passedMs = 0; passedMs < ms; passedMs += STEP_MS) {
      for (const { clock } of actors) await clock.advance(STEP_MS)
      await this.idle()
    }
  }

  /** Work for the owner. */
  async give(): Promise<void> {
    await this.#ctx.append(`${this.#category}-1`, 1)
    await this.idle()
  }

  /** Lets time pass until all work was done. */
  async finish(...actors: readonly Actor[]): Promise<void> {
    const given = (await this.#ctx.info(`${this.#category}-1`))?.version ?? 0
    for (let ms = 0; ms < 20 * TTL_MS; ms += STEP_MS) {
      if ((await this.#done()).length >= given) break
      await this.pass(STEP_MS, ...actors)
    }
    assert.equal((await this.#done()).length, given, 'not every event was worked on once')
    await this.pass(2 * POLL_MS, ...actors)
  }

  /** Who did the work, in the order of the events; fails when two did the same. */
  async workers(): Promise<readonly string[]> {
    const done = await this.#done()
    const positions = new Set(done.map(({ position }) => position))
    assert.equal(positions.size, done.length, 'two owners did the same work')
    return done.map(({ label }) => label)
  }

  /** Epochs of the accepted writes, in the order of the events. */
  async epochs(): Promise<readonly number[]> {
    return (await this.#done()).map(({ epoch }) => epoch)
  }

  owners(): readonly string[] {
    const holding = this.#actors.filter(({ member }) => member.epoch !== undefined)
    return holding.map(({ label }) => label)
  }

  async stop(actor: Actor): Promise<void> {
    this.#actors.splice(this.#actors.indexOf(actor), 1)
    let isOver = false
    const over = actor.member.stop().finally(() => {
      isOver = true
    })
    // One that waits to try again needs its time to do so.
    for (let step = 0; step < 500 && !isOver; step++) {
      await actor.clock.advance(STEP_MS)
      await this.idle()
    }
    await over
  }

  async end(): Promise<void> {
    for (const actor of [...this.#actors]) await this.stop(actor)
  }

  async #done(): Promise<
    readonly { readonly position: number; readonly label: string; readonly epoch: number }[]
  > {
    const records = await this.#ctx.store.records.list({ kind: this.#kind, limit: 1000 })
    return records.map(({ value }) => value as never)
  }
}
