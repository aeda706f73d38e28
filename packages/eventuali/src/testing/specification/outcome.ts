import assert, { AssertionError } from 'node:assert/strict'
import { isEventualiError } from '../../kernel/index.ts'
import type { EventInput, EventRegistry, RecordedEvent } from '../../model/index.ts'
import { after, comparable, type Frame, recordEvents, type Soon } from './events.ts'

/** What came of a command: events and the state after them, or what it threw. */
export type Result<S> =
  | { readonly events: readonly RecordedEvent[]; readonly state: S }
  | { readonly error: unknown }

/** A reason, a code, a pattern for the message, or a check of one's own. */
export type Rejection = string | RegExp | ((error: unknown) => void)

/**
 * What to expect of a command. Each call throws an AssertionError with the difference. Where an
 * event has an asynchronous validator, each returns a promise, which must be awaited; the type says
 * `void`, so that all other specifications stay free of it.
 */
export interface Expectation<S, E extends EventInput> {
  /**
   * Exactly these events, in this order: type and data; id, time, metadata and tags only where
   * the expected event names them.
   */
  then(events: readonly E[]): void
  /** No event, and no refusal. */
  thenNothing(): void
  /** A refusal with this reason or code, or with a reason or message that matches. */
  thenRejects(rejection?: Rejection): void
  /** The state after the command's events; a function makes checks of its own. */
  thenState(expected: S | ((state: S) => void)): void
}

/** How a state is compared; instances of classes by their fields alone. */
export type StateCheck<S> = (actual: S, expected: S) => void

export interface OutcomeParts<S> {
  readonly result: Soon<Result<S>>
  readonly registry: EventRegistry
  readonly frame: Frame
  readonly checkState: StateCheck<S>
}

/** Runs `work` and keeps what it throws. */
export function capture<S>(work: () => Soon<Result<S>>): Soon<Result<S>> {
  try {
    const result = work()
    return result instanceof Promise ? result.catch((error: unknown) => ({ error })) : result
  } catch (error) {
    return { error }
  }
}

function describeError(error: unknown): string {
  if (!isEventualiError(error)) return String(error)
  return error.code === 'DOMAIN_REJECTED' ? error.message : `${error.code}: ${error.message}`
}

function accepted<S>(result: Result<S>): Extract<Result<S>, { events: unknown }> {
  if ('events' in result) return result
  // A mistake in the code under test is shown with its own stack.
  if (!isEventualiError(result.error)) throw result.error
  const failure = new AssertionError({
    message: `the command was rejected: ${describeError(result.error)}`,
  })
  failure.cause = result.error
  throw failure
}

function assertRejection(error: unknown, rejection: Rejection | undefined): void {
  if (rejection === undefined) return
  if (typeof rejection === 'function') {
    rejection(error)
    return
  }
  const { code, reason, message } = error as { code?: string; reason?: string; message?: string }
  if (typeof rejection !== 'string') {
    const text = reason ?? message ?? String(error)
    assert.match(text, rejection, `rejected with "${text}", which does not match ${rejection}`)
    return
  }
  if (rejection === code || rejection === reason || rejection === message) return
  assert.equal(describeError(error), rejection, 'rejected for another reason')
}

/** The expectations for one run of a command. */
export function expectation<S, E extends EventInput>(parts: OutcomeParts<S>): Expectation<S, E> {
  const { result, registry, frame } = parts
  return {
    // biome-ignore lint/suspicious/noThenProperty: given, when, then is the vocabulary; a mistaken await is told so below.
    then: (expected: readonly E[], fail?: unknown) => {
      if (typeof expected === 'function') {
        const error = new TypeError('finish the specification with .then([...]) before awaiting it')
        if (typeof fail === 'function') return fail(error)
        throw error
      }
      return after(result, (settled) => {
        const actual = accepted(settled).events
        return after(recordEvents(registry, expected, frame), (wanted) => {
          assert.deepEqual(
            actual.map((event, index) => comparable(event, expected[index])),
            wanted.map((event, index) => comparable(event, expected[index])),
          )
        })
      })
    },
    thenNothing: () =>
      after(result, (settled) => {
        const { events } = accepted(settled)
        assert.deepEqual(
          events.map((event) => comparable(event)),
          [],
        )
      }),
    thenRejects: (rejection) =>
      after(result, (settled) => {
        if ('error' in settled) return assertRejection(settled.error, rejection)
        const types = settled.events.map((event) => event.type).join(', ')
        assert.fail(`the command was accepted, with ${types === '' ? 'no event' : types}`)
      }),
    thenState: (expected) =>
      after(result, (settled) => {
        const { state } = accepted(settled)
        if (typeof expected === 'function') (expected as (state: S) => void)(state)
        else parts.checkState(state, expected)
      }),
  }
}
