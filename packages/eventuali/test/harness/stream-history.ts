/**
 * What clients did to streams and what they were told, for the checkers. Times are nanoseconds of
 * the machine's monotonic clock (`process.hrtime`), which all processes of one machine share, so
 * that "had returned before the other was called" is known between processes too.
 */

/** Events the caller has seen, or one of the store's two words. */
export type Expected = number | 'any' | 'exists'

/** Appends events; each is known by a number that no other event of the history has. */
export interface AppendCall {
  readonly kind: 'append'
  readonly marks: readonly number[]
  readonly expected: Expected
  /** The caller gave the ids, so that the same append may come again. */
  readonly given: boolean
}

/** Reads the end of a stream: so many events (0: only its version), or all of it. */
export interface ReadCall {
  readonly kind: 'read'
  readonly last: number | 'all'
}

/** What the caller was told. */
export type Outcome =
  | { readonly is: 'stored'; readonly version: number; readonly duplicate: boolean }
  /** The stream was at another version than expected; nothing was stored. */
  | { readonly is: 'conflict'; readonly version: number }
  /** Given up, and the store promises that nothing was stored. */
  | { readonly is: 'refused' }
  /** Nobody knows, and it may still happen later; the caller may have been killed. */
  | { readonly is: 'unknown' }
  | { readonly is: 'seen'; readonly version: number; readonly marks: readonly number[] }

/** One call, from when it was made until it returned. */
export interface Operation {
  readonly client: string
  readonly stream: string
  readonly called: number
  /** Null when it never returned. */
  readonly returned: number | null
  readonly call: AppendCall | ReadCall
  readonly outcome: Outcome
}

/** What is in each stream when all clients are gone. */
export type FinalStreams = Readonly<Record<string, readonly number[]>>

export interface History {
  readonly operations: readonly Operation[]
  readonly final: FinalStreams
}

/** One stream's part of a history. */
export interface StreamHistory {
  readonly stream: string
  readonly operations: readonly Operation[]
  readonly final: readonly number[]
}

/** Streams are independent: a history is linearizable when each of its streams is. */
export function byStream({ operations, final }: History): StreamHistory[] {
  const parts = new Map<string, Operation[]>()
  for (const stream of Object.keys(final)) parts.set(stream, [])
  for (const operation of operations) {
    const part = parts.get(operation.stream)
    if (part === undefined) parts.set(operation.stream, [operation])
    else part.push(operation)
  }
  return [...parts].map(([stream, part]) => ({
    ...{ stream, operations: part, final: final[stream] ?? [] },
  }))
}

/** Whether a stream at this version is what the caller expects. */
export function isExpected(expected: Expected, version: number): boolean {
  if (expected === 'any') return true
  return expected === 'exists' ? version > 0 : version === expected
}

/** For a message. */
export function describeOperation({ client, call, outcome }: Operation): string {
  const what =
    call.kind === 'read'
      ? `read of ${call.last}`
      : `append of ${call.marks.join()} at ${call.expected}${call.given ? ', ids given' : ''}`
  const told = 'version' in outcome ? `${outcome.is} ${outcome.version}` : outcome.is
  return `${client}'s ${what} (${told})`
}
