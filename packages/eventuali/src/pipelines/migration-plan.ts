import { shownText, uuidV5 } from '../kernel/index.ts'
import {
  assertEventId,
  assertJson,
  assertStreamName,
  assertTag,
  type EventCreators,
  type EventRegistry,
  eventRegistry,
  InvalidArgumentError,
  isSystemType,
  type Json,
  MigrationCollisionError,
  MigrationInPlaceError,
  MigrationPlanError,
  type RecordedEvent,
} from '../model/index.ts'
import type { ReplayMapping } from './replay.ts'

/** An event as `transform` gives it: what it leaves out is that of the event it was given. */
export interface MigratedEvent {
  readonly type?: string | undefined
  readonly data?: unknown
  readonly stream?: string | undefined
  readonly id?: string | undefined
  readonly metadata?: RecordedEvent['metadata'] | undefined
  readonly tags?: readonly string[] | undefined
  readonly time?: Date | undefined
  readonly schemaVersion?: number | undefined
}

/** Nothing drops the event; several take its place, in this order. */
export type MigratedEvents = MigratedEvent | readonly MigratedEvent[] | null | undefined

/** What becomes of events between two stores. All of it has to give the same each time. */
export interface MigrationPlan {
  /** Which events of the source. Joined by AND; values of one by OR, tags by AND. */
  readonly filter?:
    | {
        readonly streams?: readonly string[] | undefined
        readonly categories?: readonly string[] | undefined
        readonly types?: readonly string[] | undefined
        readonly tags?: readonly string[] | undefined
      }
    | undefined
  /** Definitions of today: events are read as these see them, upcast and split, before the rest. */
  readonly events?: readonly EventCreators[] | undefined
  /** New names by the old ones. */
  readonly rename?: Readonly<Record<string, string>> | undefined
  /**
   * Fields that are removed, by the type's (new) name: `['email', 'lines.note']`; of lists, in
   * every item.
   */
  readonly redact?: Readonly<Record<string, readonly string[]>> | undefined
  /** The stream that an event goes to; its own when left out. Several streams may become one. */
  readonly stream?: ((event: RecordedEvent) => string) | undefined
  /** The last word: changes, splits or drops an event that all of the above was done to. */
  readonly transform?:
    | ((event: RecordedEvent) => MigratedEvents | Promise<MigratedEvents>)
    | undefined
  /** Raise it when a function changes: the checkpoint cannot see that; 1 when left out. */
  readonly revision?: number | undefined
}

function textsOf(argument: string, value: unknown): void {
  // A gap in a list is passed over by its own methods.
  const items: readonly unknown[] = Array.isArray(value) ? Array.from(value) : ['']
  if (items.every((one) => typeof one === 'string' && one !== '')) return
  throw new InvalidArgumentError(argument, 'must be an array of texts')
}

function assertObject(argument: string, value: unknown): void {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return
  throw new InvalidArgumentError(argument, 'must be an object')
}

function assertFunction(argument: string, value: unknown): void {
  if (value === undefined || typeof value === 'function') return
  throw new InvalidArgumentError(argument, 'must be a function')
}

/** Checks a plan. Throws InvalidArgumentError, InvalidNameError, DefinitionError. */
export function assertPlan(plan: MigrationPlan): void {
  assertObject('plan', plan)
  const { filter, rename = {}, redact = {}, revision = 1, events } = plan
  for (const [name, value] of Object.entries({
    filter: filter === undefined ? {} : filter,
    rename,
    redact,
  })) {
    assertObject(name, value)
  }
  assertFunction('stream', plan.stream)
  assertFunction('transform', plan.transform)
  if (events !== undefined && !Array.isArray(events)) {
    throw new InvalidArgumentError('events', 'must be an array of what defineEvents gives')
  }
  const { streams } = filter ?? {}
  if (streams !== undefined) {
    textsOf('filter.streams', streams)
    for (const stream of streams) assertStreamName(stream)
  }
  for (const [type, name] of Object.entries(rename)) textsOf(`rename.${type}`, [name])
  for (const [type, paths] of Object.entries(redact)) textsOf(`redact.${type}`, paths)
  if (!Number.isSafeInteger(revision) || revision < 1) {
    throw new InvalidArgumentError('revision', 'must be an integer of 1 or more')
  }
}

/** What of a plan a checkpoint can hold; functions count by being there, and by the revision. */
function described({ filter, rename, redact, events, revision = 1, ...rest }: MigrationPlan): Json {
  const types = events && eventRegistry(...events).types()
  const functions = { stream: rest.stream !== undefined, transform: rest.transform !== undefined }
  const { streams } = filter ?? {}
  try {
    return JSON.parse(JSON.stringify({ streams, rename, redact, types, revision, functions }))
  } catch (error) {
    const { message } = error as Error
    throw new InvalidArgumentError('plan', `has a part that JSON does not carry: ${message}`)
  }
}

/** Copies of the data without what is under a path; lists are gone through. */
function without(data: unknown, [key, ...below]: readonly string[]): unknown {
  if (Array.isArray(data)) return data.map((one) => without(one, [key as string, ...below]))
  if (typeof data !== 'object' || data === null || key === undefined) return data
  if (!Object.hasOwn(data, key)) return data
  const { [key]: value, ...others } = data as Record<string, unknown>
  if (below.length === 0) return others
  return { ...data, [key]: without(value, below) }
}

/** Does to events what a plan says, in log order. */
export class Migration implements ReplayMapping {
  readonly plan: Json
  readonly #plan: MigrationPlan
  readonly #isSameStore: boolean
  readonly #registry: EventRegistry | undefined
  readonly #streams: ReadonlySet<string> | undefined
  /** Events of the source that were looked at. */
  seen = 0

  constructor(plan: MigrationPlan, isSameStore: boolean) {
    assertPlan(plan)
    this.plan = described(plan)
    this.#plan = plan
    this.#isSameStore = isSameStore
    this.#registry = plan.events && eventRegistry(...plan.events)
    this.#streams = plan.filter?.streams && new Set(plan.filter.streams)
  }

  map = async (events: readonly RecordedEvent[]): Promise<readonly RecordedEvent[]> => {
    const made: RecordedEvent[] = []
    const ids = new Set<string>()
    for (const stored of events) {
      if (isSystemType(stored.type) || this.#streams?.has(stored.stream) === false) continue
      this.seen++
      for (const event of this.#registry?.upcast([stored]) ?? [stored]) {
        for (const one of await this.#migrated(event)) {
          if (this.#isSameStore && one.stream === stored.stream) {
            throw new MigrationInPlaceError(stored.stream)
          }
          const id = JSON.stringify([one.stream, one.id])
          if (ids.has(id)) {
            const name = JSON.stringify(one.stream)
            throw new MigrationCollisionError(`two events of stream ${name} have the id ${one.id}`)
          }
          ids.add(id)
          made.push(one)
        }
      }
    }
    return made
  }

  async #migrated(stored: RecordedEvent): Promise<readonly RecordedEvent[]> {
    const { rename = {}, redact = {}, stream, transform } = this.#plan
    const type = Object.hasOwn(rename, stored.type) ? (rename[stored.type] as string) : stored.type
    let { data } = stored
    if (Object.hasOwn(redact, type)) {
      for (const path of redact[type] ?? []) data = without(data, path.split('.'))
    }
    let event: RecordedEvent = { ...stored, type, data }
    const at = stored.position
    if (stream !== undefined) {
      event = { ...event, stream: await called(at, () => stream(event)) }
    }
    if (transform === undefined) return [checked(event, event, 0, at)]
    const given = await called(at, () => transform(event))
    const several = Array.isArray(given) ? (given as readonly MigratedEvent[]) : [given]
    return several
      .filter((one) => one !== null && one !== undefined)
      .map((one, index) => checked(event, one as MigratedEvent, index, at))
  }
}

async function called<T>(position: number, call: () => T | Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw new MigrationPlanError(position, 'failed', error)
  }
}

/** The first that takes an event's place keeps its id, the others get ids made from it. */
function checked(
  event: RecordedEvent,
  given: MigratedEvent,
  index: number,
  position: number,
): RecordedEvent {
  const refuse = (what: string, cause?: unknown) => new MigrationPlanError(position, what, cause)
  if (typeof given !== 'object') throw refuse('gave something that is no event')
  const id = index === 0 ? event.id : uuidV5(event.id, index)
  const made: RecordedEvent = {
    ...event,
    type: given.type ?? event.type,
    data: 'data' in given ? given.data : event.data,
    stream: given.stream ?? event.stream,
    id: given.id === undefined || (index > 0 && given.id === event.id) ? id : given.id,
    metadata: given.metadata ?? event.metadata,
    tags: given.tags ?? event.tags,
    time: given.time ?? event.time,
    schemaVersion: given.schemaVersion ?? event.schemaVersion,
  }
  try {
    assertStreamName(made.stream)
    assertEventId(made.id)
    if (!(made.time instanceof Date)) throw new InvalidArgumentError('time', 'is not a Date')
    if (!Array.isArray(made.tags)) throw new InvalidArgumentError('tags', 'are not an array')
    for (const tag of made.tags) assertTag(tag)
    assertObject('metadata', made.metadata)
    if (!Number.isSafeInteger(made.schemaVersion) || made.schemaVersion < 1) {
      throw new InvalidArgumentError('schemaVersion', 'is not an integer of 1 or more')
    }
    assertJson(made.data, made.type)
  } catch (error) {
    throw refuse('gave an event that no store takes', error)
  }
  if (typeof made.type !== 'string' || made.type === '' || isSystemType(made.type)) {
    throw refuse(`gave the type ${shownText(made.type)}`)
  }
  // A tag said twice is said once; stores count on it.
  return { ...made, tags: [...new Set(made.tags)] }
}
