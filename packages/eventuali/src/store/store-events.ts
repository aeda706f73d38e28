import type {
  EventCreators,
  EventInput,
  EventsOf,
  RecordedEvent,
  RecordedFrom,
} from '../model/index.ts'

/** The union of the events of several definitions. */
export type EventsOfAll<T extends EventCreators> = T extends EventCreators ? EventsOf<T> : never

/** What a store reads: typed by its definitions, or any recorded event without them. */
export type StoredEvent<E extends EventInput> = string extends E['type']
  ? RecordedEvent
  : RecordedFrom<E>

/** The stored events of the named types only. */
export type StoredOfTypes<E extends EventInput, Type extends string> = string extends E['type']
  ? RecordedEvent
  : RecordedFrom<Extract<E, { readonly type: Type }>>
