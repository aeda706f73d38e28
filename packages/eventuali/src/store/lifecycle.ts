import type { CommandRuntime } from '../commands/index.ts'
import {
  type AppendResult,
  checkedExpectedVersion,
  prepareSystemEvent,
  refusalError,
} from '../commands/index.ts'
import { isEventualiError } from '../kernel/index.ts'
import {
  assertStreamName,
  type ExpectedVersion,
  InvalidArgumentError,
  type Json,
  type RecordedEvent,
  systemEventTypes,
} from '../model/index.ts'
import type { AppendedEntry, StreamAccess, StreamChange } from '../ports/index.ts'
import type { BoundedCall } from './read-options.ts'

/** What a change of a stream's state records beside the change itself. */
export interface LifecycleOptions extends BoundedCall {
  /** Who did it; the context's actor when left out. */
  readonly actor?: string | undefined
  readonly reason?: string | undefined
  readonly expectedVersion?: ExpectedVersion | undefined
}

const typeOfChange = {
  archive: systemEventTypes.archived,
  unarchive: systemEventTypes.unarchived,
  truncate: systemEventTypes.truncated,
  delete: systemEventTypes.deleted,
} as const

/**
 * Changes a stream's state and appends the system event that tells of it, in one transaction.
 * Throws VersionConflictError for a stream that is not there.
 */
export async function changeStream(
  access: StreamAccess,
  runtime: CommandRuntime,
  stream: string,
  change: StreamChange,
  options: LifecycleOptions,
): Promise<AppendResult> {
  assertStreamName(stream)
  const { actor, reason } = options
  const expectedVersion = checkedExpectedVersion(options.expectedVersion ?? 'exists')
  if (change.kind === 'truncate' && (!Number.isSafeInteger(change.before) || change.before < 1)) {
    throw new InvalidArgumentError('before', 'must be a version: 1 or more')
  }
  const data: Json = {
    ...(change.kind === 'truncate' ? { before: change.before } : {}),
    ...(reason === undefined ? {} : { reason }),
  }
  const metadata = actor === undefined ? {} : { actor }
  const event = prepareSystemEvent(runtime, typeOfChange[change.kind], data, metadata)
  const entry = { stream, expectedVersion, events: [event], change }
  const outcome = await access.append({ entries: [entry] }, options)
  if (!outcome.ok) throw refusalError(outcome)
  const { version, positions, recordedAt } = outcome.entries[0] as AppendedEntry
  const position = positions[0] as number
  const { id, type, schemaVersion, tags } = event
  const recorded: RecordedEvent = {
    ...{ id, stream, version, position, type, data, metadata: event.metadata },
    ...{ time: new Date(event.time), recordedAt: new Date(recordedAt), schemaVersion, tags },
  }
  return { stream, version, position, events: [recorded] }
}

/** Others may change the stream between the look at it and the change. */
const TRIES_MAX = 5

/**
 * Takes an archiving back. A stream that is active is left alone, and the result has no events.
 * Throws what changeStream throws.
 */
export async function unarchiveStream(
  access: StreamAccess,
  runtime: CommandRuntime,
  stream: string,
  options: LifecycleOptions,
): Promise<AppendResult> {
  assertStreamName(stream)
  const change = { kind: 'unarchive' } as const
  const wanted = checkedExpectedVersion(options.expectedVersion ?? 'exists')
  for (let tries = 1; ; tries++) {
    const head = await access.stream(stream, options)
    const isExpected = typeof wanted !== 'number' || wanted === head?.version
    if (head?.state === 'active' && isExpected) {
      const query = { stream, direction: 'backward', limit: 1 } as const
      for await (const [last] of access.readStream(query, options)) {
        if (last === undefined) continue
        return { stream, version: head.version, position: last.position, events: [] }
      }
    }
    // What is there is what is changed: or somebody else was faster, and it is looked at again.
    const expectedVersion = head === undefined || !isExpected ? wanted : head.version
    try {
      return await changeStream(access, runtime, stream, change, { ...options, expectedVersion })
    } catch (error) {
      const isLost = isEventualiError(error, 'VERSION_CONFLICT') && isExpected
      if (!isLost || head === undefined || tries === TRIES_MAX) throw error
    }
  }
}
