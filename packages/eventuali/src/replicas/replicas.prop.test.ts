import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { seededRandom } from '../kernel/index.ts'
import type { FreshnessBound, RecordedEvent } from '../model/index.ts'
import type { EventStore, NewEvent } from '../ports/index.ts'
import { type ManualClock, manualClock, openMemoryStore, wrapStore } from '../testing/index.ts'
import { FakeReplica } from './fake-replica.test-support.ts'
import { withReplicas } from './index.ts'

const seed = Number(process.env.EVENTUALI_SEED ?? Date.now() % 2 ** 31)
const numRuns = Number(process.env.EVENTUALI_RUNS ?? 200)

const streams = ['a-1', 'b-1']

type Step =
  | { readonly op: 'append'; readonly stream: number; readonly count: number }
  /** The replica comes this share of its lag nearer; what is published, a share of that. */
  | {
      readonly op: 'arrive'
      readonly replica: number
      readonly share: number
      readonly published: number
    }
  | { readonly op: 'die' | 'live'; readonly replica: number }
  | { readonly op: 'break'; readonly replica: number; readonly after: number }
  | { readonly op: 'pass'; readonly ms: number }
  | {
      readonly op: 'readLog' | 'readStream'
      readonly stream: number
      readonly withinMs: number
      /** Which append has to be seen, counted from the last one; none when left out. */
      readonly ago: number | undefined
      readonly direction: 'forward' | 'backward'
      readonly limit: number | undefined
    }

const replica = fc.nat(1)
const reading = fc.record({
  op: fc.constantFrom('readLog' as const, 'readStream' as const),
  stream: fc.nat(streams.length - 1),
  withinMs: fc.constantFrom(30, 100, 400, 2000, Number.POSITIVE_INFINITY),
  ago: fc.option(fc.nat(3), { nil: undefined }),
  direction: fc.constantFrom('forward' as const, 'forward' as const, 'backward' as const),
  limit: fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined }),
})
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('append' as const),
      stream: fc.nat(streams.length - 1),
      count: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('arrive' as const),
      replica,
      share: fc.constantFrom(0.3, 0.7, 1, 1),
      published: fc.constantFrom(0, 0.6, 1, 1, 1),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constantFrom('die' as const, 'live' as const, 'live' as const),
      replica,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constant('break' as const), replica, after: fc.nat(3) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('pass' as const),
      ms: fc.constantFrom(1, 20, 60, 300, 1500),
    }),
  },
  { weight: 6, arbitrary: reading },
)

/** A bug, planted around the parts: what it stands for is said in its name. */
interface Planted {
  readonly name: string
  /** Changes what is asked of the store with replicas. */
  readonly asking?: (bound: FreshnessBound) => FreshnessBound
  /** Changes the primary below it: it is asked from the middle only when a replica broke. */
  readonly primary?: (store: EventStore) => EventStore
  /** Changes what a replica says of itself. */
  readonly published?: (visible: number) => number
}

const planted: readonly Planted[] = [
  {
    name: 'the position that is asked for is ignored',
    asking: ({ withinMs }) => ({ withinMs }),
  },
  {
    name: 'the age that is asked for is ignored',
    asking: ({ position }) => ({ position, withinMs: Number.POSITIVE_INFINITY }),
  },
  {
    name: 'a read goes on one event too late after a replica broke',
    primary: (store) =>
      wrapStore(store, {
        readLog: (next, query, options) =>
          next.readLog(
            query.after === undefined ? query : { ...query, after: query.after + 1 },
            options,
          ),
      }),
  },
  {
    name: 'a read of a stream begins again after a replica broke',
    primary: (store) =>
      wrapStore(store, {
        readStream: (next, query, options) =>
          next.readStream({ ...query, from: undefined, to: undefined }, options),
      }),
  },
  {
    name: 'a read of the log backward goes on too early after a replica broke',
    primary: (store) =>
      wrapStore(store, {
        readLog: (next, query, options) =>
          next.readLog(
            query.before === undefined ? query : { ...query, before: query.before + 1 },
            options,
          ),
      }),
  },
  {
    name: 'the limit begins anew after a replica broke',
    primary: (store) =>
      wrapStore(store, {
        readLog: (next, query, options) =>
          next.readLog(query.after === undefined ? query : { ...query, limit: undefined }, options),
      }),
  },
  {
    name: 'the published position is ahead of what has arrived',
    published: (visible) => visible + 1,
  },
]

interface Committed {
  readonly event: Pick<RecordedEvent, 'stream' | 'version' | 'position'>
  readonly atMs: number
}

/** A primary with two replicas under a clock that stands still, and all that was committed. */
class World {
  readonly wrong: string[] = []
  readonly #clock: ManualClock = manualClock()
  readonly #store: EventStore
  readonly #replicas: readonly FakeReplica[]
  readonly #bug: Planted | undefined
  readonly #committed: Committed[] = []
  #count = 0

  private constructor(memory: EventStore, bug: Planted | undefined) {
    this.#bug = bug
    this.#replicas = [new FakeReplica(memory, 'r0'), new FakeReplica(memory, 'r1')]
    const primary = bug?.primary?.(memory) ?? memory
    this.#store = withReplicas(primary, {
      replicas: this.#replicas.map(({ place }) => place),
      ...{ clock: this.#clock, random: seededRandom(seed), withinMs: 400 },
    })
  }

  static async run(steps: readonly Step[], bug?: Planted): Promise<readonly string[]> {
    const world = new World(await openMemoryStore(), bug)
    for (const one of steps) await world.#do(one)
    await world.#store.close()
    return world.wrong
  }

  async #do(step: Step): Promise<void> {
    switch (step.op) {
      case 'append':
        return this.#append(step.stream, step.count)
      case 'arrive': {
        const one = this.#replicas[step.replica] as FakeReplica
        const newest = this.#committed.length
        one.visible += Math.round((newest - one.visible) * step.share)
        const before = one.published ?? 0
        one.published = before + Math.floor((one.visible - before) * step.published)
        one.published = this.#bug?.published?.(one.visible) ?? one.published
        return
      }
      case 'die':
      case 'live':
        ;(this.#replicas[step.replica] as FakeReplica).dead = step.op === 'die'
        return
      case 'break':
        ;(this.#replicas[step.replica] as FakeReplica).breaksAfter = step.after
        return
      case 'pass':
        return this.#clock.advance(step.ms)
      default:
        return this.#read(step)
    }
  }

  async #append(at: number, count: number): Promise<void> {
    const stream = streams[at] as string
    const events = Array.from({ length: count }, (): NewEvent => {
      this.#count++
      return {
        ...{ id: `event-${this.#count}`, idGiven: false, type: 'Happened', data: {} },
        ...{ metadata: {}, time: 0, schemaVersion: 1, tags: [] },
      }
    })
    const entry = { stream, expectedVersion: 'any', events } as const
    const outcome = await this.#store.append({ entries: [entry] })
    if (!outcome.ok) throw new Error(outcome.reason)
    const [stored] = outcome.entries
    for (const [index, position] of (stored?.positions ?? []).entries()) {
      const version = (stored?.version ?? 0) - count + index + 1
      const event = { stream, version, position }
      this.#committed.push({ event, atMs: this.#clock.monotonic() })
    }
  }

  async #read(step: Extract<Step, { op: 'readLog' | 'readStream' }>): Promise<void> {
    const { op, withinMs, direction, limit } = step
    const seen = step.ago === undefined ? undefined : this.#committed.at(-1 - step.ago)
    const asked: FreshnessBound = { position: seen?.event.position, withinMs }
    const bound = { fresh: this.#bug?.asking?.(asked) ?? asked }
    const stream = streams[step.stream] as string
    const nowMs = this.#clock.monotonic()
    const found: Committed['event'][] = []
    let upTo = Number.MAX_SAFE_INTEGER
    if (op === 'readLog') {
      upTo = (await this.#store.positions(bound)).safe
      const query = { upTo, direction, limit }
      for await (const page of this.#store.readLog(query, bound)) found.push(...page)
    } else {
      const query = { stream, direction, limit }
      for await (const page of this.#store.readStream(query, bound)) found.push(...page)
    }
    const all = this.#committed.filter(({ event }) => op === 'readLog' || event.stream === stream)
    const must = all.filter(
      ({ event, atMs }) => event.position <= (asked.position ?? 0) || atMs < nowMs - withinMs,
    )
    this.#judge(JSON.stringify({ ...step, nowMs, upTo }), { all, must, found, upTo }, step)
  }

  /** What was found is the beginning of the log (or its end backward), as far as was promised. */
  #judge(
    what: string,
    read: {
      readonly all: readonly Committed[]
      readonly must: readonly Committed[]
      readonly found: readonly Committed['event'][]
      readonly upTo: number
    },
    {
      op,
      direction,
      limit = Number.POSITIVE_INFINITY,
    }: { op: string; direction: string; limit?: number | undefined },
  ): void {
    const found = read.found.map(({ position }) => position)
    const ends =
      op === 'readLog'
        ? [read.all.filter(({ event }) => event.position <= read.upTo).length]
        : Array.from({ length: read.all.length - read.must.length + 1 }, (_, i) => {
            return read.must.length + i
          })
    const may = ends.map((end) => {
      const shown = read.all.slice(0, end).map(({ event }) => event.position)
      return (direction === 'forward' ? shown : shown.reverse()).slice(0, limit)
    })
    if (!may.some((one) => one.join() === found.join())) {
      this.wrong.push(`${what} gave ${found.join()}, not ${may.map((m) => m.join()).join(' or ')}`)
    }
    if (op === 'readLog' && (ends[0] ?? 0) < read.must.length) {
      this.wrong.push(`${what} ends at ${read.upTo}, before ${read.must.at(-1)?.event.position}`)
    }
  }
}

const history = fc.array(step, { minLength: 20, maxLength: 60 })

describe('replicas that lag, break and die at random', () => {
  it('serve what each read’s bound promises, in order, nothing twice or skipped', async () => {
    const law = fc.asyncProperty(history, async (steps) => {
      expect(await World.run(steps)).toEqual([])
    })
    await fc.assert(law, { seed, numRuns })
  })

  it.each(planted)('planted: $name', async (bug) => {
    const law = fc.asyncProperty(
      history,
      async (steps) => (await World.run(steps, bug)).length === 0,
    )
    // Shrinking shows nothing here: that it is found is what counts.
    const { failed } = await fc.check(law, { seed, numRuns: 2000, endOnFailure: true })
    expect(failed).toBe(true)
  })
})
