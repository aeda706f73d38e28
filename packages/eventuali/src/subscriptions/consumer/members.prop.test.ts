import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { append, optionsOf, runtimeOf } from '../../../test/harness/consumer-kit.ts'
import type { RecordedEvent } from '../../model/index.ts'
import type { EventStore, RecordChange, StoreTransaction } from '../../ports/index.ts'
import { openMemoryStore } from '../../stores/memory/index.ts'
import { type ManualClock, manualClock, wrapStore } from '../../testing/index.ts'
import {
  type Consumer,
  type ConsumerOptions,
  SubscriptionControl,
  startConsumer,
  Worker,
} from '../index.ts'

const TTL_MS = 1000
const POLL_MS = 100
const STREAMS = 6

type Step =
  | { readonly do: 'append'; readonly stream: number; readonly count: number }
  | { readonly do: 'join' | 'leave' | 'freeze' | 'thaw'; readonly who: number }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'repartition'; readonly count: number }

const who = fc.nat({ max: 5 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      stream: fc.nat({ max: STREAMS - 1 }),
      count: fc.integer({ min: 1, max: 5 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('join' as const), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('leave' as const), who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('freeze' as const), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('thaw' as const), who }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.constantFrom(30, 150, 600, 1300),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('repartition' as const),
      count: fc.constantFrom(1, 3, 8),
    }),
  },
)

/** A bug that is put between the consumers and the store. */
type Plant = (store: EventStore, member: number) => EventStore

const honest: Plant = (store) => store

function writing(store: EventStore, edit: (change: RecordChange) => RecordChange): EventStore {
  return wrapStore(store, {
    transaction: (next, work, options) =>
      next.transaction((tx) => {
        const write: StoreTransaction['records']['write'] = (changes) =>
          tx.records.write(changes.map(edit))
        const { get, list, lock } = tx.records
        return work({ ...tx, records: { get, list, lock, write } })
      }, options),
  })
}

const isCheckpoint = ({ kind, value }: RecordChange) => kind === 'partition' && value !== undefined

interface Member {
  readonly clock: ManualClock
  readonly consumer: Consumer
  frozen: boolean
}

/** Runs the steps; gives what is wrong in the end, or undefined. */
class Run {
  readonly #members: Member[] = []
  readonly #sent = new Map<string, number>()
  readonly #store: EventStore
  readonly #plant: Plant
  readonly #transactional: boolean
  readonly #handled: string[] = []
  #joined = 0

  constructor(store: EventStore, plant: Plant, transactional: boolean) {
    this.#store = store
    this.#plant = plant
    this.#transactional = transactional
  }

  async verdict(steps: readonly Step[]): Promise<string | undefined> {
    this.#join()
    for (const one of steps) await this.#step(one)
    if (this.#members.every(({ frozen }) => frozen)) this.#join()
    let wrong: string | undefined = 'nothing was looked at'
    for (let i = 0; i < 80 && wrong !== undefined; i++) {
      await this.#pass(POLL_MS)
      wrong = await this.#wrong()
      if (wrong?.startsWith('order') === true) break
    }
    const stops = this.#members.map(({ consumer }) => consumer.stop())
    for (let i = 0; i < 5; i++) for (const { clock } of this.#members) await clock.advance(1000)
    await Promise.all(stops)
    return wrong
  }

  async #step(one: Step): Promise<void> {
    const member = 'who' in one ? this.#members[one.who % this.#members.length] : undefined
    switch (one.do) {
      case 'append': {
        const stream = `s-${one.stream}`
        const from = this.#sent.get(stream) ?? 0
        const data = Array.from({ length: one.count }, (_, i) => ({ n: from + i + 1 }))
        await append(this.#store, stream, ...data)
        this.#sent.set(stream, from + one.count)
        return
      }
      case 'join':
        if (this.#members.length < 6) this.#join()
        return
      case 'leave':
        if (member === undefined || member.frozen || this.#members.length === 1) return
        this.#members.splice(this.#members.indexOf(member), 1)
        await member.consumer.stop()
        return
      case 'freeze':
      case 'thaw':
        if (member !== undefined) member.frozen = one.do === 'freeze'
        return
      case 'pass':
        return this.#pass(one.ms)
      case 'repartition': {
        const control = new SubscriptionControl(this.#store, runtimeOf(), 5000)
        await control.repartition('test', one.count).catch(() => {})
      }
    }
  }

  #join(): void {
    const member = this.#joined++
    const clock = manualClock(member * 1e6)
    const store = this.#plant(this.#store, member)
    const runtime = runtimeOf(clock, member + 1)
    const worker = new Worker(store, runtime, { ttlMs: TTL_MS })
    const options = optionsOf({
      ...{ partitions: 4, pollIntervalMs: POLL_MS, maxBatch: 3, checkpointIntervalMs: 50 },
      transactional: this.#transactional,
      handle: this.#handle,
    })
    const consumer = startConsumer(store, worker, options, runtime)
    this.#members.push({ clock, consumer, frozen: false })
  }

  /** Writes what it sees behind what was seen before, one list for each stream. */
  readonly #handle: ConsumerOptions['handle'] = async ({ events, tx }) => {
    if (tx === undefined) {
      // Something to wait for, so that others get their turn in the midst.
      await new Promise<void>((resolve) => setImmediate(resolve))
      for (const event of events) this.#handled.push(`${event.stream}:${numberOf(event)}`)
      return
    }
    for (const event of events) {
      const [before] = await tx.records.get('seen', [event.stream])
      const list = [...((before?.value as number[] | undefined) ?? []), numberOf(event)]
      const expected = before?.revision ?? 0
      await tx.records.write([{ kind: 'seen', key: event.stream, expected, value: list }])
    }
  }

  async #pass(ms: number): Promise<void> {
    for (let done = 0; done < ms; done += 50) {
      for (const { clock, frozen } of this.#members) if (!frozen) await clock.advance(50)
    }
  }

  async #wrong(): Promise<string | undefined> {
    for (const [stream, count] of this.#sent) {
      const seen = this.#transactional ? await this.#stored(stream) : this.#firsts(stream)
      const inOrder = seen.every((n, i) => n === i + 1)
      if (!inOrder) return `order of ${stream}: ${seen.join(' ')}`
      if (seen.length < count) return `${stream} has ${seen.length} of ${count}`
    }
    return undefined
  }

  async #stored(stream: string): Promise<readonly number[]> {
    const [record] = await this.#store.records.get('seen', [stream])
    return (record?.value as number[] | undefined) ?? []
  }

  /** A plain handler may see an event again, but never for the first time out of turn. */
  #firsts(stream: string): readonly number[] {
    const own = this.#handled.filter((one) => one.startsWith(`${stream}:`))
    return [...new Set(own)].map((one) => Number(one.split(':')[1]))
  }
}

const numberOf = ({ data }: RecordedEvent) => (data as { n: number }).n

/** A partition came while events above its checkpoint were being read for the others. */
const lateLane: readonly Step[] = [
  ...[{ do: 'join', who: 0 } as const, { do: 'pass', ms: 600 } as const],
  ...[{ do: 'leave', who: 0 } as const, { do: 'append', stream: 0, count: 1 } as const],
  ...[{ do: 'append', stream: 0, count: 1 } as const, { do: 'join', who: 0 } as const],
  ...[{ do: 'thaw', who: 0 } as const, { do: 'append', stream: 0, count: 1 } as const],
  ...[30, 30, 30].map((ms) => ({ do: 'pass', ms }) as const),
  { do: 'repartition', count: 1 },
]

async function check(plant: Plant, transactional: boolean, runs: number): Promise<string> {
  const property = fc.asyncProperty(
    fc.array(step, { minLength: 10, maxLength: 40 }),
    async (steps) => {
      const wrong = await new Run(await openMemoryStore(), plant, transactional).verdict(steps)
      if (wrong !== undefined) throw new Error(wrong)
    },
  )
  const result = await fc.check(property, {
    ...{ numRuns: runs, seed: 14, endOnFailure: true },
    examples: [[[...lateLane]]],
  })
  return result.failed ? fc.defaultReportMessage(result) || 'failed' : ''
}

describe('workers that join, leave, freeze and wake, while the count changes', () => {
  it('have every effect exactly once and in order, in transactions', async () => {
    expect(await check(honest, true, 400)).toBe('')
  })

  it('see every event, each key in order, without transactions', async () => {
    expect(await check(honest, false, 400)).toBe('')
  })

  it('stay safe when they take each other for dead all the time', async () => {
    const blind: Plant = (store) => {
      const records: EventStore['records'] = {
        get: (kind, keys) => store.records.get(kind, keys),
        list: async (query) => (query.kind === 'worker' ? [] : store.records.list(query)),
      }
      return { ...wrapStore(store, {}), records }
    }
    expect(await check(blind, true, 30)).toBe('')
  })
})

describe('the same run finds', () => {
  const bugs: Record<string, Plant> = {
    'checkpoints that are written whoever owns them': (store) =>
      writing(store, (change) => (isCheckpoint(change) ? { ...change, expected: 'any' } : change)),
    'a checkpoint one ahead': (store) =>
      writing(store, (change) => {
        if (!isCheckpoint(change)) return change
        const value = change.value as { position: number }
        return { ...change, value: { ...value, position: value.position + 1 } }
      }),
    'a checkpoint that is not written': (store) =>
      wrapStore(store, {
        transaction: (next, work, options) =>
          next.transaction((tx) => {
            const write: StoreTransaction['records']['write'] = async (changes) => {
              const revisions = await tx.records.write(changes)
              for (const change of changes) {
                const { owner } = (change.value ?? {}) as { owner?: string | null }
                if (change.kind !== 'partition' || owner == null) continue
                const value = { ...(change.value as object), position: 0 }
                await tx.records.write([{ ...change, expected: 'any', value }])
              }
              return revisions
            }
            const { get, list, lock } = tx.records
            return work({ ...tx, records: { get, list, lock, write } })
          }, options),
      }),
    'a new count that forgets what the old partitions have done': (store) =>
      writing(store, (change) => {
        if (change.kind !== 'subscription' || change.value === undefined) return change
        return { ...change, value: { ...(change.value as object), earlier: [] } }
      }),
  }

  it.each(Object.entries(bugs))('%s', async (_, plant) => {
    expect(await check(plant, true, 60)).not.toBe('')
  })
})
