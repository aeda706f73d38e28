import { type CommandRuntime, prepareEvents } from '../commands/index.ts'
import { type EventInput, encodeEvent, InvalidArgumentError } from '../model/index.ts'
import type { EventStore } from '../ports/index.ts'
import { commandTarget, firstOccurrence } from './collect.ts'
import { type Duration, durationMs } from './duration.ts'
import {
  NO_PROCESS,
  recordKinds,
  type ScheduleValue,
  type StoredTarget,
  scheduleKey,
} from './instance.ts'
import { type ScheduleInfo, scheduleInfo } from './operations.ts'
import type { CommandsOfTarget, CommandTarget, InputArguments } from './process-context.ts'
import { type Recurrence, type RecurrenceOptions, recurrenceOf } from './recurrence.ts'

/** What a schedule does when its time comes. */
export type ScheduledAction =
  | { readonly kind: 'command'; readonly target: CommandTarget; readonly stored: StoredTarget }
  | {
      readonly kind: 'append'
      readonly stream: string
      readonly events: EventInput | readonly EventInput[]
    }

/**
 * A command for a schedule to run.
 *
 * @example
 * ```ts
 * import { commandTo, defineAggregate, defineEvents, type } from 'eventuali'
 *
 * const events = defineEvents({ Closed: type<null>() })
 * const Account = defineAggregate('account', {
 *   events,
 *   initial: () => ({}),
 *   evolve: { Closed: (state) => state },
 *   commands: { close: () => events.Closed(null) },
 * })
 * console.log(commandTo(Account, 'ada', 'close').kind) // command
 * ```
 */
export function commandTo<T extends CommandTarget, K extends keyof CommandsOfTarget<T> & string>(
  target: T,
  id: string,
  command: K,
  ...input: InputArguments<CommandsOfTarget<T>[K]>
): ScheduledAction {
  const given: readonly unknown[] = input
  return { kind: 'command', target, stored: commandTarget(target, id, command, given[0]) }
}

/**
 * Events for a schedule to append.
 *
 * @example
 * ```ts
 * import { appendTo } from 'eventuali'
 *
 * console.log(appendTo('day-1', { type: 'DayEnded', data: null }).kind) // append
 * ```
 */
export function appendTo(
  stream: string,
  events: EventInput | readonly EventInput[],
): ScheduledAction {
  return { kind: 'append', stream, events }
}

/**
 * Durable schedules that belong to no process. Each has a name; the same name again takes the
 * place of the former. Firing is at least once with a stable id, its effect in the store once.
 *
 * @example
 * ```ts
 * import { appendTo, openStore } from 'eventuali'
 *
 * await using store = await openStore('memory:')
 * const close = appendTo('shop-1', { type: 'DayClosed', data: {} })
 * await store.schedules.every('close', '0 18 * * *', close, { timeZone: 'Europe/Berlin' })
 * ```
 */
export class Schedules {
  readonly #port: EventStore
  readonly #runtime: CommandRuntime
  readonly #targets: Map<string, CommandTarget>
  readonly #changed: () => void

  /** @internal Reached by `processes.schedules`. */
  constructor(
    port: EventStore,
    runtime: CommandRuntime,
    targets: Map<string, CommandTarget>,
    changed: () => void,
  ) {
    this.#port = port
    this.#runtime = runtime
    this.#targets = targets
    this.#changed = changed
  }

  /** Once, after a duration. A day is 24 hours here. */
  after(name: string, duration: Duration, action: ScheduledAction): Promise<ScheduleInfo> {
    return this.#set(name, this.#runtime.clock.now() + durationMs(duration), null, action)
  }

  /** Once, at a moment; one that has passed comes at once. */
  async at(name: string, moment: Date, action: ScheduledAction): Promise<ScheduleInfo> {
    const dueAt = moment instanceof Date ? moment.getTime() : Number.NaN
    if (Number.isNaN(dueAt)) throw new InvalidArgumentError('moment', 'is not a valid Date')
    return this.#set(name, dueAt, null, action)
  }

  /** Again and again, by a cron pattern (`'0 9 * * 1-5'`) or a duration (`'15 minutes'`). */
  async every(
    name: string,
    pattern: Duration,
    action: ScheduledAction,
    options: RecurrenceOptions = {},
  ): Promise<ScheduleInfo> {
    const recurrence = recurrenceOf(pattern, options)
    const dueAt = firstOccurrence(recurrence, this.#runtime.clock.now())
    return this.#set(name, dueAt, recurrence, action)
  }

  /** Takes a schedule back; false when there is none. What it has fired already still happens. */
  async cancel(name: string): Promise<boolean> {
    const kind = recordKinds.schedule
    const key = scheduleKey(name)
    return this.#port.transaction(async (tx) => {
      const [record] = await tx.records.lock(kind, [key])
      if (record === undefined) return false
      await tx.records.write([{ kind, key, expected: record.revision }])
      return true
    })
  }

  async get(name: string): Promise<ScheduleInfo | undefined> {
    const [record] = await this.#port.records.get(recordKinds.schedule, [scheduleKey(name)])
    return record === undefined ? undefined : scheduleInfo(record)
  }

  /** Schedules by name; `after` is the name of the last one of the page before. */
  async list(
    page: { readonly after?: string | undefined; readonly limit?: number | undefined } = {},
  ): Promise<readonly ScheduleInfo[]> {
    const { after, limit = 100 } = page
    const records = await this.#port.records.list({
      kind: recordKinds.schedule,
      prefix: `${NO_PROCESS}/`,
      after: after === undefined ? undefined : scheduleKey(after),
      limit,
    })
    return records.map(scheduleInfo)
  }

  /**
   * What falls due next, the earliest first: schedules, and the deadlines of all processes, whether
   * or not this program knows them. Those that are held while their process is stuck come last.
   */
  async upcoming(
    bounds: { readonly until?: Date | undefined; readonly limit?: number | undefined } = {},
  ): Promise<readonly ScheduleInfo[]> {
    const { until, limit = 100 } = bounds
    const { records } = this.#port
    const kind = recordKinds.schedule
    const dueUpTo = until?.getTime() ?? Number.MAX_SAFE_INTEGER
    if (Number.isNaN(dueUpTo)) throw new InvalidArgumentError('until', 'is not a valid Date')
    const pending = await records.list({ kind, dueUpTo, limit })
    const held = await records.list({ kind, state: 'held', limit })
    const keys = new Set(pending.map(({ key }) => key))
    const last = held.filter(({ key }) => !keys.has(key))
    return [...pending, ...last].slice(0, limit).map(scheduleInfo)
  }

  async #target(action: ScheduledAction): Promise<StoredTarget> {
    if (action.kind === 'command') {
      const { target, stored } = action
      if (stored.kind === 'command') this.#targets.set(stored.aggregate, target)
      return stored
    }
    const { stream } = action
    const { events } = await prepareEvents(this.#runtime, stream, action.events)
    for (const event of events) encodeEvent(stream, event)
    const fired = events.map((event) => ({ ...event, idGiven: true }))
    return { kind: 'append', stream, events: fired }
  }

  async #set(
    name: string,
    dueAt: number,
    recurrence: Recurrence | null,
    action: ScheduledAction,
  ): Promise<ScheduleInfo> {
    const key = scheduleKey(name)
    const target = await this.#target(action)
    const id = this.#runtime.ids.next()
    const owner = { process: NO_PROCESS, instance: null, payload: null }
    const value: ScheduleValue = { ...owner, name, id, dueAt, recurrence, target }
    const kind = recordKinds.schedule
    const json = JSON.parse(JSON.stringify(value))
    await this.#port.transaction((tx) =>
      tx.records.write([{ kind, key, expected: 'any', value: json, state: 'pending', due: dueAt }]),
    )
    this.#changed()
    return scheduleInfo({ kind, key, revision: 1, value: json, state: 'pending', due: dueAt })
  }
}
