import { openStore, type Store } from '../../src/index.ts'
import type { EventStore } from '../../src/ports/index.ts'
import type { Simulation } from '../../src/testing/index.ts'
import type { Causes } from './simulation-actors.ts'
import { asyncTally, inlineTally, type Tally, tallied } from './simulation-domain.ts'
import { isTemporary, type TrueLog } from './simulation-log.ts'
import { type Consumers, isPoison, type Part } from './simulation-programs.ts'

/** What is compared of a checkpoint between two looks at it. */
interface Seen {
  readonly owner: string | null
  readonly epoch: number
  readonly position: number
}

const LIST_LIMIT = 1000

/** Looks at the store beneath all faults and bugs while the run goes on, and at its end. */
export class Audit {
  readonly #world: Simulation
  readonly #log: TrueLog
  readonly #raw: EventStore
  readonly #store: Store
  readonly #parts: ReadonlySet<Part>
  readonly #checkpoints = new Map<string, Seen>()

  private constructor(parts: AuditParts, store: Store) {
    this.#world = parts.world
    this.#log = parts.log
    this.#raw = parts.raw
    this.#parts = parts.parts
    this.#store = store
  }

  static async open(parts: AuditParts): Promise<Audit> {
    const { clock, random } = parts.world
    const projections = [asyncTally, inlineTally]
    const options = { clock, random, projections, schemas: false, unknown: 'allow' } as const
    return new Audit(parts, await openStore(parts.raw, options))
  }

  /** What holds at every moment. */
  async now(): Promise<void> {
    await this.#log.refresh()
    await this.#owners()
    if (this.#parts.has('projection')) {
      const wrong = await this.#asyncTally()
      this.#world.check(wrong === undefined, wrong ?? '')
    }
    if (this.#parts.has('inline') && (await this.#live(inlineTally.name)) !== undefined) {
      const wrong = await this.#differs(inlineTally, Number.POSITIVE_INFINITY)
      this.#world.check(wrong === undefined, wrong ?? '')
    }
  }

  /** What is still under way; undefined when all is done that has to be, but for dead letters. */
  async waitsFor(consumers: Consumers, { orders, bells }: Causes): Promise<string | undefined> {
    await this.#log.refresh()
    for (const part of ['single', 'group'] as const) {
      const [first] = this.#parts.has(part) ? consumers[part].missing() : []
      if (first !== undefined) return `${part} has not seen position ${first.position}`
    }
    const effects = [
      ...(this.#parts.has('process') ? ['Charged', 'Shipped', 'Reminded'] : []),
      ...(this.#parts.has('transactional') ? ['Echoed'] : []),
    ]
    for (const order of orders) {
      for (const effect of effects) {
        const cause = effect === 'Echoed' ? `placed-${order}` : order
        if (this.#log.effects(`${effect} ${cause}`) === 0) return `order ${order} has no ${effect}`
      }
      const isSent = !this.#parts.has('outbox') || consumers.sent.has(`placed-${order}`)
      if (!isSent) return `order ${order} was not sent out`
    }
    const silent = bells.find((bell) => this.#log.effects(`Echoed ${bell}`) === 0)
    if (silent !== undefined) return `${silent} does not ring`
    if (this.#parts.has('projection')) {
      if ((await this.#live(asyncTally.name)) === undefined) return 'the projection is not live'
      const wrong = await this.#differs(asyncTally, Number.POSITIVE_INFINITY)
      if (wrong !== undefined) return wrong
    }
    for (const kind of ['command', 'schedule']) {
      const [open] = await this.#raw.records.list({ kind, state: 'pending', limit: 1 })
      if (open !== undefined) return `${kind} ${open.key} is pending`
    }
    return undefined
  }

  /** What holds when everything has come to rest. */
  async atTheEnd(consumers: Consumers, { orders }: Causes): Promise<void> {
    await this.now()
    const { check } = this.#world
    for (const order of this.#parts.has('outbox') ? orders : []) {
      const messages = consumers.sent.get(`placed-${order}`)?.size
      check(messages === 1, `order ${order} went out under ${messages} ids`)
    }
    const all = [...consumers.sent.values()].flatMap((ids) => [...ids])
    check(new Set(all).size === all.length, 'no two events went out under one id')
    const report = await this.#store.verify()
    check(report.problems.length === 0, `verify finds nothing: ${report.problems[0]?.reason}`)
  }

  /** Of two owners, only the one with the higher epoch has written since it came. */
  async #owners(): Promise<void> {
    const { check } = this.#world
    const { newest } = await this.#raw.positions()
    for (const { key, value } of await this.#raw.records.list({
      kind: 'partition',
      limit: LIST_LIMIT,
    })) {
      const now = value as unknown as Seen
      const before = this.#checkpoints.get(key)
      this.#checkpoints.set(key, now)
      check(now.position <= newest, `${key} is at ${now.position} of ${newest}`)
      if (before === undefined) continue
      check(now.epoch >= before.epoch, `${key} went from epoch ${before.epoch} to ${now.epoch}`)
      const goesOn = now.position >= before.position
      check(goesOn, `${key} went from position ${before.position} back to ${now.position}`)
      const isSame = now.owner === before.owner || now.owner === null
      const isOwned = now.epoch > before.epoch || isSame
      check(isOwned, `${key} has two owners in epoch ${now.epoch}`)
    }
  }

  /** The generation that readers see. */
  async #live(projection: string): Promise<number | undefined> {
    const status = await this.#store.projections.status()
    return status.find(({ name }) => name === projection)?.live?.generation
  }

  async #asyncTally(): Promise<string | undefined> {
    const generation = await this.#live(asyncTally.name)
    if (generation === undefined) return undefined
    const prefix = `projection:asyncTally%2Fg${generation}/`
    const list = await this.#raw.records.list({ kind: 'partition', prefix, limit: LIST_LIMIT })
    const [checkpoint] = list
    if (checkpoint === undefined) return undefined
    return this.#differs(asyncTally, (checkpoint.value as unknown as Seen).position)
  }

  async #differs(projection: typeof asyncTally, upTo: number): Promise<string | undefined> {
    const wanted = new Map<string, Tally>()
    for (const { stream, version, position, data } of this.#log.events) {
      if (position > upTo || !stream.startsWith('note-')) continue
      wanted.set(stream, tallied(wanted.get(stream), version, (data as { n: number }).n))
    }
    const entries = await this.#store.collection(projection, projection.name).entries()
    const documents = new Map(entries.map(({ key, document }) => [key, document]))
    for (const stream of new Set([...wanted.keys(), ...documents.keys()])) {
      const is = JSON.stringify(documents.get(stream))
      const should = JSON.stringify(wanted.get(stream))
      if (is !== should) return `${projection.name} at ${upTo}: ${stream} is ${is}, not ${should}`
    }
    return undefined
  }

  /** The poison and what stands behind it, none but these is parked; else, what differs. */
  async lettersDiffer(): Promise<string | undefined> {
    const query = { subscription: 'poison', limit: LIST_LIMIT, state: 'any' } as const
    const letters = await this.#store.deadLetters.list(query)
    const heads = new Set<string>()
    const wanted = this.#log.events.filter((event) => {
      if (event.type !== 'Noted' || isTemporary(event)) return false
      if (isPoison(event)) heads.add(event.stream)
      return heads.has(event.stream)
    })
    const positions = (list: readonly { readonly position: number }[]) =>
      list.map(({ position }) => position).sort((a, b) => a - b)
    const real = positions(letters.filter((letter) => !isTemporary(letter)))
    const should = positions(wanted)
    const at = should.findIndex((position, i) => position !== real[i])
    if (at < 0 && real.length === should.length) return undefined
    return `dead letter ${at}: ${real[at]} is there in the place of ${should[at]}`
  }

  async retryLetters(): Promise<void> {
    await this.#store.deadLetters.retryAll('poison')
  }

  /** Dead letters that are not done with. */
  async lettersLeft(): Promise<string | undefined> {
    for (const state of ['parked', 'requested'] as const) {
      const [letter] = await this.#store.deadLetters.list({ state, limit: 1 })
      if (letter === undefined) continue
      // Nothing waited for those that may be removed: one was parked after the others were asked.
      if (state === 'parked' && isTemporary(letter)) await this.retryLetters()
      return `position ${letter.position} is ${state}`
    }
    return undefined
  }
}

/** What an audit looks at. */
export interface AuditParts {
  readonly world: Simulation
  readonly log: TrueLog
  readonly raw: EventStore
  readonly parts: ReadonlySet<Part>
}
