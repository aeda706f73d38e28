import type { ExpectedVersion, Json, RecordedEvent } from '../model/index.ts'
import type {
  AppendEntry,
  AppendOutcome,
  EventStore,
  LogQuery,
  NewEvent,
  QueryItem,
  StreamAccess,
} from '../ports/index.ts'
import type {
  EntryPlan,
  EventPlan,
  ExpectedPlan,
  ItemPlan,
  PositionName,
  ReadCommand,
  StoreCommand,
  WriteCommand,
} from './arbitraries.ts'
import { streamCount } from './arbitraries.ts'

const systemTypes = {
  archive: '$archived',
  unarchive: '$unarchived',
  truncate: '$truncated',
  delete: '$deleted',
} as const

class RollBack extends Error {}

/**
 * Runs a list of commands on a store and tells what came of each, in words that do not depend on
 * the store: positions are compared by their order, recordedAt not at all. Two stores that keep
 * the port's laws give equal lists.
 */
export async function runStoreCommands(
  store: EventStore,
  commands: readonly StoreCommand[],
  unique: string,
): Promise<readonly unknown[]> {
  const { newest } = await store.positions()
  const runner = new CommandRunner(store, unique, newest)
  const results: unknown[] = []
  for (const command of commands) results.push(await runner.run(command))
  results.push(await runner.everything())
  return results
}

class CommandRunner {
  readonly #store: EventStore
  readonly #unique: string
  readonly #start: number
  /** Positions in the order in which their appends were acknowledged. */
  readonly #positions: number[] = []
  #eventCount = 0

  constructor(store: EventStore, unique: string, start: number) {
    this.#store = store
    this.#unique = unique
    this.#start = start
  }

  async run(command: StoreCommand): Promise<unknown> {
    if (command.op !== 'transaction') return this.#step(this.#store, command)
    const results: unknown[] = []
    const known = this.#positions.length
    const failure = new RollBack('on purpose')
    try {
      await this.#store.transaction(async (tx) => {
        for (const step of command.steps) results.push(await this.#step(tx, step))
        if (command.fails) throw failure
      })
    } catch (error) {
      if (error !== failure) throw error
      // What was rolled back has no position.
      this.#positions.length = known
    }
    return results
  }

  /** The whole state, seen by every read there is. */
  async everything(): Promise<unknown> {
    const log = await this.#log(this.#store, { includeArchived: true, direction: 'forward' })
    const active = await this.#log(this.#store, { direction: 'forward' })
    const heads = []
    for (let i = 0; i < streamCount; i++)
      heads.push(this.#head(await this.#store.stream(this.#name(i))))
    const { safe, newest } = await this.#store.positions()
    return { log, active, heads, ahead: safe <= newest }
  }

  #step(access: StreamAccess, command: WriteCommand | ReadCommand): Promise<unknown> {
    switch (command.op) {
      case 'append':
        return this.#append(access, command)
      case 'change':
        return this.#change(access, command)
      case 'readStream':
        return this.#readStream(access, command)
      case 'readLog':
        return this.#readLog(access, command)
      case 'streams':
        // Not part of a transaction, and outside of it, it may have to wait for its end.
        return access === this.#store ? this.#streams(command) : Promise.resolve('not inside')
      case 'eventById':
        return access
          .eventById(this.#name(command.stream), command.id)
          .then((event) => event && this.#show(event))
    }
  }

  async #append(
    access: StreamAccess,
    { entries, condition }: Extract<WriteCommand, { op: 'append' }>,
  ): Promise<unknown> {
    const list: AppendEntry[] = []
    for (const plan of entries) list.push(await this.#entry(access, plan))
    const guard = condition && {
      condition: { query: condition.query.map(queryItem), position: this.#position(condition.at) },
    }
    return this.#showOutcome(await access.append({ entries: list, ...guard }))
  }

  async #entry(access: StreamAccess, plan: EntryPlan): Promise<AppendEntry> {
    const stream = this.#name(plan.stream)
    const events = plan.events.map((event) => this.#event(event))
    const expectedVersion = await expectedOf(access, stream, plan.expected)
    return { stream, expectedVersion, events, ...(plan.recreate && { recreate: true }) }
  }

  async #change(
    access: StreamAccess,
    { kind, stream, expected, keep }: Extract<WriteCommand, { op: 'change' }>,
  ): Promise<unknown> {
    const name = this.#name(stream)
    const version = (await access.stream(name))?.version ?? 0
    // There is nothing to change in a stream that never was.
    if (version === 0) return 'no stream'
    const event = this.#event({
      type: systemTypes[kind],
      tags: [],
      data: null,
      time: 5,
      id: undefined,
    })
    const before = Math.max(1, version + 1 - keep)
    const entry: AppendEntry = {
      stream: name,
      expectedVersion: await expectedOf(access, name, expected),
      events: [event],
      change: kind === 'truncate' ? { kind, before } : { kind },
    }
    return this.#showOutcome(await access.append({ entries: [entry] }))
  }

  async #readStream(
    access: StreamAccess,
    command: Extract<ReadCommand, { op: 'readStream' }>,
  ): Promise<unknown> {
    const { from, to, limit, direction, asOf: at } = command
    const asOf = at === undefined ? undefined : ({ at, by: 'time' } as const)
    const stream = this.#name(command.stream)
    const found: unknown[] = []
    const query = { stream, from, to, limit, direction, asOf }
    for await (const page of access.readStream(query)) found.push(...page.map((e) => this.#show(e)))
    return found
  }

  #readLog(
    access: StreamAccess,
    command: Extract<ReadCommand, { op: 'readLog' }>,
  ): Promise<unknown> {
    const { op: _, after, before, categories, query, ...rest } = command
    return this.#log(access, {
      ...rest,
      after: this.#position(after),
      before: before === undefined ? undefined : this.#positions[before],
      categories: categories?.map((category) => this.#category(category)),
      query: query?.map(queryItem),
    })
  }

  async #log(access: StreamAccess, query: Omit<LogQuery, 'upTo'>): Promise<unknown> {
    const found: RecordedEvent[] = []
    const bounds = { after: this.#start, upTo: Number.MAX_SAFE_INTEGER }
    for await (const page of access.readLog({ ...bounds, ...query })) found.push(...page)
    const sign = query.direction === 'forward' ? 1 : -1
    const isSorted = found.every((event, i) => {
      const previous = found[i - 1]
      return previous === undefined || sign * (event.position - previous.position) > 0
    })
    return { isSorted, events: found.map((event) => this.#show(event)) }
  }

  async #streams({ category, limit }: Extract<ReadCommand, { op: 'streams' }>): Promise<unknown> {
    const found: unknown[] = []
    const prefix = this.#unique
    const query = {
      prefix,
      limit,
      category: category === undefined ? undefined : this.#category(category),
    }
    for await (const page of this.#store.streams(query)) {
      for (const info of page) found.push(this.#head(info))
    }
    return found
  }

  #category(index: number): string {
    return `${this.#unique}${index}`
  }

  #name(index: number): string {
    return `${this.#category(index >> 1)}-${index}`
  }

  #position({ event }: PositionName): number {
    return event === undefined ? this.#start : (this.#positions[event] ?? this.#start)
  }

  #event(plan: EventPlan): NewEvent {
    this.#eventCount += 1
    return {
      ...plan,
      id: plan.id ?? `drawn-${this.#eventCount}`,
      idGiven: plan.id !== undefined,
      metadata: {},
      schemaVersion: 1,
    }
  }

  #show(event: RecordedEvent): unknown {
    const { position: _, recordedAt: __, stream, ...rest } = event
    return { ...rest, stream: stream.slice(this.#unique.length), data: event.data as Json }
  }

  #head(info: { readonly stream: string; readonly category: string } | undefined): unknown {
    if (info === undefined) return undefined
    const { stream, category, ...rest } = info
    const cut = this.#unique.length
    return { ...rest, stream: stream.slice(cut), category: category.slice(cut) }
  }

  #showOutcome(outcome: AppendOutcome): unknown {
    if (outcome.ok) {
      const entries = outcome.entries.map((entry) => {
        const { stream, version, positions, duplicate } = entry
        if (duplicate === undefined) this.#positions.push(...positions)
        const isSorted = positions.every((p, i) => i === 0 || p > (positions[i - 1] as number))
        const known = duplicate?.map((event) => this.#show(event))
        return { stream: stream.slice(this.#unique.length), version, isSorted, known }
      })
      return { entries, count: outcome.entries.map((entry) => entry.positions.length) }
    }
    switch (outcome.reason) {
      case 'condition-failed':
        return { reason: outcome.reason, events: outcome.events.map((event) => this.#show(event)) }
      case 'idempotency-conflict':
      case 'projection-missing':
        return { reason: outcome.reason }
      default:
        return { ...outcome, stream: outcome.stream.slice(this.#unique.length) }
    }
  }
}

function queryItem({ types, tags }: ItemPlan): QueryItem {
  return { types, tags }
}

async function expectedOf(
  access: StreamAccess,
  stream: string,
  plan: ExpectedPlan,
): Promise<ExpectedVersion> {
  if (plan === 'any' || plan === 'exists') return plan
  if (plan === 'zero') return 0
  const version = (await access.stream(stream))?.version ?? 0
  if (plan === 'current') return version
  return plan === 'ahead' ? version + 1 : Math.max(0, version - 1)
}
