import { EventualiError } from '../kernel/index.ts'

/**
 * There is no position left in the log, or no version in a stream, below 2^53: beyond it numbers
 * are no longer exact. Nothing was stored, and what is there can be read as before.
 */
export class NumbersExhaustedError extends EventualiError {
  readonly code = 'NUMBERS_EXHAUSTED'
  readonly of: 'log' | 'stream'

  constructor(of: 'log' | 'stream', options?: { readonly cause?: unknown }) {
    super(
      of === 'log'
        ? 'the log has no position left below 2^53; replay it into a new store'
        : 'the stream has no version left below 2^53; go on in a new stream',
      options,
    )
    this.of = of
  }
}
