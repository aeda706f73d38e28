import assert from 'node:assert/strict'
import { systemClock, systemRandom, uuidV7Source } from '../../kernel/index.ts'
import type { Json, RecordedEvent, StreamInfo } from '../../model/index.ts'
import type {
  AppendCondition,
  AppendEntry,
  AppendedEntry,
  AppendOutcome,
  CallOptions,
  EventStore,
  LogQuery,
  NewEvent,
  StoreTransaction,
  StreamAccess,
  StreamChange,
  StreamQuery,
} from '../../ports/index.ts'

const ids = uuidV7Source(systemClock, systemRandom)

/** A name that nothing else in the store has; without a dash, so it is its own category. */
export function fresh(label: string): string {
  return `${label}${ids.next().replaceAll('-', '')}`
}

/** A stream name of the given category (a fresh one when left out). */
export function freshStream(category: string = fresh('c')): string {
  return `${category}-${ids.next()}`
}

/** An event with everything filled in; `over` replaces fields. */
export function makeEvent(over: Partial<NewEvent> = {}): NewEvent {
  return {
    id: ids.next(),
    idGiven: false,
    type: 'ThingHappened',
    data: { n: 1 },
    metadata: {},
    time: 1_700_000_000_000,
    schemaVersion: 1,
    tags: [],
    ...over,
  }
}

/** `count` events with data `{ n: 1 }`, `{ n: 2 }`, … */
export function makeEvents(count: number, over: Partial<NewEvent> = {}): NewEvent[] {
  return Array.from({ length: count }, (_, i) => makeEvent({ data: { n: i + 1 }, ...over }))
}

/** An event that takes part in idempotency. */
export function givenEvent(
  id: string,
  data: Json = { n: 1 },
  over: Partial<NewEvent> = {},
): NewEvent {
  return makeEvent({ id, idGiven: true, data, ...over })
}

/** What an entry may say beyond its stream and events. */
export type EntryOptions = Partial<Omit<AppendEntry, 'stream' | 'events'>> & {
  readonly condition?: AppendCondition
}

const changeTypes = {
  archive: '$archived',
  unarchive: '$unarchived',
  truncate: '$truncated',
  delete: '$deleted',
} as const

/** Short ways to use a store or an open transaction, each failing loudly. */
export class Steps {
  readonly #access: StreamAccess

  constructor(access: StreamAccess) {
    this.#access = access
  }

  /** Whatever comes of the append. */
  try(
    stream: string,
    events: readonly NewEvent[] | number,
    { condition, ...over }: EntryOptions = {},
    options?: CallOptions,
  ): Promise<AppendOutcome> {
    const list = typeof events === 'number' ? makeEvents(events) : events
    const entry: AppendEntry = { stream, events: list, expectedVersion: 'any', ...over }
    return this.tryAll([entry], condition, options)
  }

  tryAll(
    entries: readonly AppendEntry[],
    condition?: AppendCondition,
    options?: CallOptions,
  ): Promise<AppendOutcome> {
    const request = condition === undefined ? { entries } : { entries, condition }
    return this.#access.append(request, options)
  }

  /** Appends and expects success. */
  async append(
    stream: string,
    events: readonly NewEvent[] | number,
    options: EntryOptions = {},
  ): Promise<AppendedEntry> {
    return succeeded(await this.try(stream, events, options))[0] as AppendedEntry
  }

  /** Makes a lifecycle change with its system event and expects success. */
  async change(
    stream: string,
    change: StreamChange,
    over: EntryOptions = {},
  ): Promise<AppendedEntry> {
    return succeeded(await this.tryChange(stream, change, over))[0] as AppendedEntry
  }

  tryChange(stream: string, change: StreamChange, over: EntryOptions = {}): Promise<AppendOutcome> {
    const event = makeEvent({ type: changeTypes[change.kind], data: null })
    return this.try(stream, [event], { change, ...over })
  }

  info(stream: string): Promise<StreamInfo | undefined> {
    return this.#access.stream(stream)
  }

  /** The stream's info; fails when there is none. */
  async head(stream: string): Promise<StreamInfo> {
    const info = await this.#access.stream(stream)
    assert.ok(info !== undefined, `stream ${stream} should exist`)
    return info
  }

  read(stream: string, query: Partial<StreamQuery> = {}): Promise<RecordedEvent[]> {
    return drain(this.#access.readStream({ stream, direction: 'forward', ...query }))
  }

  /** Reads the log; `upTo` is without bound unless given. */
  readLog(query: Partial<LogQuery> = {}): Promise<RecordedEvent[]> {
    const upTo = Number.MAX_SAFE_INTEGER
    return drain(this.#access.readLog({ direction: 'forward', upTo, ...query }))
  }
}

/** All events of all pages; fails at an empty page. */
export async function drain<T>(pages: AsyncIterable<readonly T[]>): Promise<T[]> {
  const all: T[] = []
  for await (const page of pages) {
    assert.ok(page.length > 0, 'a page is empty')
    for (const item of page) all.push(item)
  }
  return all
}

/** The entries of an append that must have succeeded. */
export function succeeded(outcome: AppendOutcome): readonly AppendedEntry[] {
  if (!outcome.ok) assert.fail(`the append was refused: ${JSON.stringify(outcome)}`)
  return outcome.entries
}

type Refusal = Extract<AppendOutcome, { ok: false }>

/** The refusal of an append that must have been refused for `reason`. */
export function refused<R extends Refusal['reason']>(
  outcome: AppendOutcome,
  reason: R,
): Refusal & { readonly reason: R } {
  assert.ok(!outcome.ok, `the append succeeded, it should be refused with ${reason}`)
  assert.equal(outcome.reason, reason)
  return outcome as Refusal & { readonly reason: R }
}

/** Fails unless `work` rejects with an error of this code. */
export async function rejectsWith(code: string, work: () => Promise<unknown>): Promise<void> {
  await assert.rejects(work, (error: unknown) => {
    const found = (error as { code?: unknown } | null)?.code
    assert.equal(found, code, `rejected with ${String(error)}`)
    return true
  })
}

/** The `n` of every event's data. */
export function numbers(events: readonly RecordedEvent[]): number[] {
  return events.map((event) => (event.data as { n: number }).n)
}

export function versions(events: readonly RecordedEvent[]): number[] {
  return events.map((event) => event.version)
}

export function positionsOf(events: readonly RecordedEvent[]): number[] {
  return events.map((event) => event.position)
}

/** [1, 2, … count], or from `first` on. */
export function counting(count: number, first = 1): number[] {
  return Array.from({ length: count }, (_, i) => first + i)
}

/** Fails unless the numbers only grow. */
export function assertGrowing(values: readonly number[], what: string): void {
  for (let i = 1; i < values.length; i++) {
    const [a, b] = [values[i - 1] as number, values[i] as number]
    assert.ok(a < b, `${what} do not grow: ${a} before ${b}`)
  }
}

class RollBack extends Error {}

/** Runs `work` in a transaction that is rolled back at its end. */
export async function rolledBack(
  store: EventStore,
  work: (tx: StoreTransaction) => Promise<void>,
): Promise<void> {
  const failure = new RollBack('on purpose')
  const run = store.transaction(async (tx) => {
    await work(tx)
    throw failure
  })
  await assert.rejects(run, (error: unknown) => error === failure)
}
