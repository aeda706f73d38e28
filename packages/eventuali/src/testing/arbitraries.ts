import type fastCheck from 'fast-check'
import type { Json } from '../model/index.ts'

/** fast-check itself, handed in, so that only those who test by properties need it. */
export type FastCheck = typeof fastCheck

/** Names a position by the event that was appended as number `event`; before the first without. */
export interface PositionName {
  readonly event: number | undefined
}

/** An event of a command; `id` comes from a small pool, so that ids meet again. */
export interface EventPlan {
  readonly type: string
  readonly tags: readonly string[]
  readonly data: Json
  readonly time: number
  readonly id: string | undefined
}

/** What an entry expects, relative to what the stream is at. */
export type ExpectedPlan = 'any' | 'exists' | 'zero' | 'current' | 'stale' | 'ahead'

/** One entry of an append. */
export interface EntryPlan {
  readonly stream: number
  readonly expected: ExpectedPlan
  readonly events: readonly EventPlan[]
  readonly recreate: boolean
}

/** Types and tags of one query item. */
export interface ItemPlan {
  readonly types: readonly string[]
  readonly tags: readonly string[]
}

/** Changes the store, or is refused. */
export type WriteCommand =
  | {
      readonly op: 'append'
      readonly entries: readonly EntryPlan[]
      readonly condition:
        | { readonly query: readonly ItemPlan[]; readonly at: PositionName }
        | undefined
    }
  | {
      readonly op: 'change'
      readonly kind: 'archive' | 'unarchive' | 'delete' | 'truncate'
      readonly stream: number
      readonly expected: ExpectedPlan
      /** For `truncate`: how far below the next version. */
      readonly keep: number
    }

/** Looks at the store. */
export type ReadCommand =
  | {
      readonly op: 'readStream'
      readonly stream: number
      readonly from: number | undefined
      readonly to: number | undefined
      readonly limit: number | undefined
      readonly asOf: number | undefined
      readonly direction: 'forward' | 'backward'
    }
  | {
      readonly op: 'readLog'
      readonly after: PositionName
      readonly before: number | undefined
      readonly types: readonly string[] | undefined
      readonly tags: readonly string[] | undefined
      readonly categories: readonly number[] | undefined
      readonly query: readonly ItemPlan[] | undefined
      readonly since: number | undefined
      readonly until: number | undefined
      readonly limit: number | undefined
      readonly pageSize: number | undefined
      readonly includeArchived: boolean
      readonly direction: 'forward' | 'backward'
    }
  | { readonly op: 'streams'; readonly category: number | undefined; readonly limit: number }
  | { readonly op: 'eventById'; readonly stream: number; readonly id: string }

/** One step of a run; a transaction holds several. */
export type StoreCommand =
  | WriteCommand
  | ReadCommand
  | {
      readonly op: 'transaction'
      readonly steps: readonly (WriteCommand | ReadCommand)[]
      readonly fails: boolean
    }

/** Streams 0 and 1 share a category, 2 and 3 another one. */
export const streamCount = 4
const types = ['Opened', 'Changed', 'Closed']
const tags = ['a:1', 'a:2', 'b:1']
const ids = ['id-1', 'id-2', 'id-3']

function eventPlans(fc: FastCheck): fastCheck.Arbitrary<EventPlan> {
  return fc.record({
    type: fc.constantFrom(...types),
    tags: fc.subarray(tags),
    data: fc.oneof(
      { weight: 4, arbitrary: fc.record({ n: fc.integer({ min: 0, max: 1 }) }) },
      { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }) as fastCheck.Arbitrary<Json> },
    ),
    time: fc.integer({ min: 0, max: 20 }),
    id: fc.option(fc.constantFrom(...ids), { nil: undefined, freq: 2 }),
  })
}

function writes(fc: FastCheck): fastCheck.Arbitrary<WriteCommand> {
  const stream = fc.integer({ min: 0, max: streamCount - 1 })
  const expected = fc.oneof(
    { weight: 4, arbitrary: fc.constant<ExpectedPlan>('any') },
    { weight: 4, arbitrary: fc.constant<ExpectedPlan>('current') },
    { weight: 2, arbitrary: fc.constantFrom<ExpectedPlan>('exists', 'zero', 'stale', 'ahead') },
  )
  const entry = fc.record({
    stream,
    expected,
    events: fc.array(eventPlans(fc), { minLength: 1, maxLength: 4 }),
    recreate: fc.boolean(),
  })
  const entries = fc.uniqueArray(entry, {
    minLength: 1,
    maxLength: 3,
    selector: (plan) => plan.stream,
  })
  const condition = fc.option(fc.record({ query: queries(fc), at: positionNames(fc) }), {
    nil: undefined,
    freq: 3,
  })
  const append = fc.record({ op: fc.constant('append' as const), entries, condition })
  const change = fc.record({
    op: fc.constant('change' as const),
    kind: fc.constantFrom('archive' as const, 'unarchive', 'delete', 'truncate'),
    stream,
    expected,
    keep: fc.integer({ min: 0, max: 4 }),
  })
  return fc.oneof({ weight: 4, arbitrary: append }, { weight: 1, arbitrary: change })
}

function positionNames(fc: FastCheck): fastCheck.Arbitrary<PositionName> {
  return fc.record({ event: fc.option(fc.nat({ max: 30 }), { nil: undefined, freq: 3 }) })
}

function queries(fc: FastCheck): fastCheck.Arbitrary<readonly ItemPlan[]> {
  const item = fc.record({
    types: fc.subarray(types, { minLength: 1 }),
    tags: fc.subarray(tags, { maxLength: 2 }),
  })
  return fc.array(item, { minLength: 1, maxLength: 2 })
}

function reads(fc: FastCheck): fastCheck.Arbitrary<ReadCommand> {
  const small = fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined, freq: 2 })
  const time = fc.option(fc.integer({ min: 0, max: 20 }), { nil: undefined, freq: 4 })
  const stream = fc.integer({ min: 0, max: streamCount - 1 })
  const direction = fc.constantFrom('forward' as const, 'backward')
  const some = <T>(values: readonly T[]) =>
    fc.option(fc.subarray([...values], { minLength: 1 }), { nil: undefined, freq: 2 })
  return fc.oneof(
    fc.record({
      op: fc.constant('readStream' as const),
      stream,
      from: small,
      to: small,
      limit: small,
      asOf: time,
      direction,
    }),
    fc.record({
      op: fc.constant('readLog' as const),
      after: positionNames(fc),
      before: fc.option(fc.nat({ max: 30 }), { nil: undefined, freq: 3 }),
      types: some(types),
      tags: some(tags),
      categories: some([0, 1]),
      query: fc.option(queries(fc), { nil: undefined, freq: 2 }),
      since: time,
      until: time,
      limit: small,
      pageSize: small,
      includeArchived: fc.boolean(),
      direction,
    }),
    fc.record({
      op: fc.constant('streams' as const),
      category: fc.option(fc.constantFrom(0, 1), { nil: undefined }),
      limit: fc.integer({ min: 1, max: 5 }),
    }),
    fc.record({ op: fc.constant('eventById' as const), stream, id: fc.constantFrom(...ids) }),
  )
}

/** Lists of commands for `runStoreCommands`. */
export function storeCommands(fc: FastCheck): fastCheck.Arbitrary<readonly StoreCommand[]> {
  const step = fc.oneof({ weight: 3, arbitrary: writes(fc) }, { weight: 2, arbitrary: reads(fc) })
  const transaction = fc.record({
    op: fc.constant('transaction' as const),
    steps: fc.array(step, { maxLength: 4 }),
    fails: fc.boolean(),
  })
  const command: fastCheck.Arbitrary<StoreCommand> = fc.oneof(
    { weight: 8, arbitrary: step },
    { weight: 1, arbitrary: transaction },
  )
  return fc.array(command, { minLength: 1, maxLength: 25 })
}
