import { CorruptEventError, type RecordedEvent, type StreamInfo } from '../../model/index.ts'
import type { CallOptions, EventStore } from '../../ports/index.ts'

/** What can be told of an event whose row cannot be read. */
export interface Damaged {
  readonly damaged: string
  readonly position: number
}

/** The log up to a position; what cannot be read is told of, and the rest goes on behind it. */
export async function* eventsOfLog(
  store: EventStore,
  upTo: number,
  options: CallOptions,
): AsyncGenerator<readonly (RecordedEvent | Damaged)[]> {
  const whole = { direction: 'forward', includeArchived: true } as const
  let after = 0
  for (;;) {
    try {
      for await (const page of store.readLog({ ...whole, after, upTo }, options)) {
        after = (page.at(-1) as RecordedEvent).position
        yield page
      }
      return
    } catch (error) {
      if (!(error instanceof CorruptEventError) || error.position <= after) throw error
      // Its page was lost with it.
      const { position } = error
      yield* store.readLog({ ...whole, after, upTo: position - 1 }, options)
      yield [{ damaged: error.message, position }]
      after = position
    }
  }
}

/** The same for one stream, each with its version. */
export async function* eventsOfStream(
  store: EventStore,
  { stream, version, firstVersion }: StreamInfo,
  options: CallOptions,
): AsyncGenerator<RecordedEvent | (Damaged & { readonly version: number })> {
  let from = firstVersion
  const read = (to: number) => store.readStream({ stream, from, to, direction: 'forward' }, options)
  while (from <= version) {
    try {
      for await (const page of read(version)) {
        for (const event of page) {
          from = event.version + 1
          yield event
        }
      }
      return
    } catch (error) {
      if (!(error instanceof CorruptEventError)) throw error
    }
    // Which version it is the error does not say: one by one until it comes again.
    for (let found = false; !found && from <= version; from++) {
      try {
        for await (const page of read(from)) yield* page
      } catch (error) {
        if (!(error instanceof CorruptEventError)) throw error
        found = true
        yield { damaged: error.message, position: error.position, version: from }
      }
    }
  }
}
