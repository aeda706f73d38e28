import type { EventMetadata } from './event.ts'
import type { Json } from './json.ts'

/** An event whose data is JSON text already, and parsed only for those who look at it. */
export class TextEvent {
  readonly id: string
  readonly idGiven: boolean
  readonly type: string
  declare readonly data: Json
  readonly metadata: EventMetadata
  readonly time: number
  readonly schemaVersion: number
  readonly tags: readonly string[]
  // Private, so that a copy with other data does not take the old text along.
  readonly #text: string

  /** The text must be what `jsonTextOf` gives; nobody checks it again. */
  constructor(event: Omit<TextEvent, 'data'>, text: string) {
    this.id = event.id
    this.idGiven = event.idGiven
    this.type = event.type
    Object.defineProperty(this, 'data', parsedWhenRead)
    this.metadata = event.metadata
    this.time = event.time
    this.schemaVersion = event.schemaVersion
    this.tags = event.tags
    this.#text = text
  }

  /** The text of an event's data, where it has one. */
  static textOf(event: object): string | undefined {
    return #text in event ? event.#text : undefined
  }
}

// A property of each event, not of the class, so that `{ ...event }` has data too.
const parsedWhenRead: PropertyDescriptor = {
  enumerable: true,
  get(this: TextEvent): Json {
    return JSON.parse(TextEvent.textOf(this) as string)
  },
}
