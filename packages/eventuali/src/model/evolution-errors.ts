import { EventualiError } from '../kernel/index.ts'
import type { RecordedEvent } from './event.ts'

type Place = Pick<RecordedEvent, 'stream' | 'version' | 'position' | 'type' | 'schemaVersion'>

function placeOf({ stream, version, position }: Place): string {
  return `version ${version} of ${JSON.stringify(stream)}, position ${position}`
}

abstract class EvolutionError extends EventualiError {
  readonly type: string
  /** Version of the schema that the event has. */
  readonly schemaVersion: number
  readonly stream: string
  readonly position: number

  constructor(event: Place, message: string, cause?: unknown) {
    super(message, { cause })
    this.type = event.type
    this.schemaVersion = event.schemaVersion
    this.stream = event.stream
    this.position = event.position
  }
}

/** A stored event is of an older version, and nothing says how to read it as the next one. */
export class UpcasterMissingError extends EvolutionError {
  readonly code = 'EVENT_UPCASTER_MISSING'

  constructor(event: Place, type: string, target: number) {
    const from = event.schemaVersion
    super(
      event,
      `${JSON.stringify(event.type)} (${placeOf(event)}) is of version ${from} and this program reads ${JSON.stringify(type)} of version ${target}; add "upcast: { ${from}: (data) => ({ ...data }) }" to its definition`,
    )
  }
}

/** An upcaster threw, or gave something that is no event of its definition. Nothing is lost. */
export class UpcastError extends EvolutionError {
  readonly code = 'EVENT_UPCAST_FAILED'

  constructor(event: Place, what: string, cause?: unknown) {
    super(
      event,
      `the upcaster of ${JSON.stringify(event.type)} from version ${event.schemaVersion} ${what} at ${placeOf(event)}; mend it, the stored event is untouched`,
      cause,
    )
  }
}
