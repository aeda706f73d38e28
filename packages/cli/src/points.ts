import { InvalidArgumentError } from 'commander'
import type { StreamPoint } from 'eventuali'
import { bound } from './arguments.ts'

/** Reads a point of a stream: `3`, a version; `@120`, a position of the log; or a time. */
export function point(text: string): StreamPoint {
  const position = /^@(\d+)$/.exec(text)?.[1]
  if (position !== undefined) return { position: Number(position) }
  try {
    const found = bound(text)
    return 'number' in found ? { version: found.number } : { at: found.time }
  } catch {
    throw new InvalidArgumentError(
      'It must be a version (3), a position of the log (@120), a date or a time with a zone (2013-01-31T10:15:00Z).',
    )
  }
}

/** What `point` takes, for help texts. */
export const pointHelp = `
A point is a version of the stream (3), a position of the log (@120), or a time: a date (2013-01-31,
midnight UTC) or a time with a zone (2013-01-31T10:15:00Z).`
