import {
  type AggregateDefinition,
  diffStates,
  type EventInput,
  evolveOne,
  isSameState,
  pointerOf,
  type RecordedEvent,
  type StateChange,
  valueAt,
} from '../model/index.ts'
import type { ReadOptions, StreamAccess } from '../ports/index.ts'
import { foldStream, type LoadOptions, neededPages } from './fold.ts'

/** A point of a stream; the newest when nothing is said. */
export type StreamPoint = Omit<LoadOptions, keyof ReadOptions>

/** What changed in a state between two points of its stream. */
export interface StateDiff {
  /** Versions of the stream. */
  readonly from: number
  readonly to: number
  readonly changes: readonly StateChange[]
}

/** An event that changed a value of the state. */
export interface ValueChange {
  /** As its definition of today reads it; who did it is in its metadata. */
  readonly event: RecordedEvent
  readonly before: unknown
  readonly after: unknown
}

/** What other code would make of the same events. */
export interface WhatIf {
  /** Whether the states are equal after every event. */
  readonly equal: boolean
  /** Version of the stream that both were folded up to. */
  readonly version: number
  /** From the state as it is to the state as it would be, in the end. */
  readonly changes: readonly StateChange[]
  /** The stored event after which the states differ for the first time. */
  readonly firstDifference: RecordedEvent | undefined
}

type Definition = AggregateDefinition<unknown, unknown, EventInput>

/** The state of an aggregate at other times, and by other code. Nothing is written. */
export interface TimeTravel<Other> {
  /** What changed in the state between two points: versions, moments or positions of the log. */
  diff(id: string, from: StreamPoint, to?: StreamPoint, options?: ReadOptions): Promise<StateDiff>
  /**
   * The events that changed one value of the state, oldest first. `path` is a JSON Pointer
   * (RFC 6901), such as `/address/city`; empty for the state as a whole.
   */
  history(id: string, path: string, options?: LoadOptions): AsyncIterable<ValueChange>
  /**
   * What if: folds the same events by this definition and by a changed one, and shows where they
   * part. Throws what the changed code throws.
   */
  compare(id: string, changed: Other, options?: LoadOptions): Promise<WhatIf>
}

/** The differences between two points of a stream. */
export async function diffPoints(
  access: StreamAccess,
  definition: Definition,
  stream: string,
  points: { readonly from: StreamPoint; readonly to: StreamPoint },
  options: ReadOptions,
): Promise<StateDiff> {
  const from = await foldStream(access, definition, stream, { ...points.from, ...options })
  const to = await foldStream(access, definition, stream, { ...points.to, ...options })
  const changes = diffStates(from.state, to.state)
  return { from: from.version, to: to.version, changes }
}

/** A copy that later events do not change; the value itself where it cannot be copied. */
function kept(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  try {
    return structuredClone(value)
  } catch {
    return value
  }
}

/** The events of a stream that change the value at a path. */
export async function* valueHistory(
  access: StreamAccess,
  definition: Definition,
  stream: string,
  path: string,
  options: LoadOptions,
): AsyncGenerator<ValueChange, void, void> {
  const pointer = pointerOf(path)
  const { registry } = definition
  let state = definition.initial()
  let before = kept(valueAt(state, pointer))
  for await (const page of neededPages(access, stream, options)) {
    for (const event of registry.upcast(page)) {
      state = evolveOne(definition, state, event)
      // Two copies are compared: a copy of a Buffer, say, is not a Buffer any more.
      const after = kept(valueAt(state, pointer))
      if (isSameState(before, after)) continue
      yield { event: registry.decode(event), before, after }
      before = after
    }
  }
}

/** Folds a stream by two definitions at once. */
export async function compareCode(
  access: StreamAccess,
  definitions: { readonly own: Definition; readonly changed: Definition },
  stream: string,
  options: LoadOptions,
): Promise<WhatIf> {
  const { own, changed } = definitions
  let [mine, other] = [own.initial(), changed.initial()]
  let version = 0
  let firstDifference: RecordedEvent | undefined
  const apply = (definition: Definition, state: unknown, event: RecordedEvent) =>
    definition.registry.upcast([event]).reduce((was, one) => evolveOne(definition, was, one), state)
  for await (const page of neededPages(access, stream, options)) {
    for (const event of page) {
      mine = apply(own, mine, event)
      other = apply(changed, other, event)
      version = event.version
      if (firstDifference === undefined && !isSameState(mine, other)) firstDifference = event
    }
  }
  const changes = diffStates(mine, other)
  const equal = firstDifference === undefined && changes.length === 0
  return { equal, version, changes, firstDifference }
}
