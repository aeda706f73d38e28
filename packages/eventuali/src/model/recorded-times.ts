import { InvalidArgumentError } from './errors.ts'

/** When the first and the last event of a log or backup were recorded, in milliseconds. */
export interface RecordedTimes {
  readonly first: number
  readonly last: number
}

/**
 * Why there is nothing up to a time. An import records its events all at once, long after they
 * happened: who names a time of theirs would get an empty store, and be told that all went well.
 */
export function nothingRecordedBy(
  argument: string,
  time: number,
  { first, last }: RecordedTimes,
  instead: string,
): InvalidArgumentError {
  const [asked, from, to] = [time, first, last].map((at) => new Date(at).toISOString())
  return new InvalidArgumentError(
    argument,
    `is ${asked}, before the first event: the events were recorded from ${from} to ${to}, and times here go by recordedAt, not by the events' own time; ${instead}`,
  )
}
