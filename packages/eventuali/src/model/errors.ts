import {
  type ErrorOptionsWithCause,
  EventualiError,
  markAsError,
  maskedText,
} from '../kernel/index.ts'
import type { RecordedEvent } from './event.ts'

/** What a caller may expect of a stream before an append. */
export type ExpectedVersion = number | 'any' | 'exists'

/** The stream is not at the version the caller has seen. Nothing was stored. */
export class VersionConflictError extends EventualiError {
  readonly code = 'VERSION_CONFLICT'
  override readonly retryable = true
  readonly stream: string
  readonly expectedVersion: ExpectedVersion
  readonly actualVersion: number

  constructor(stream: string, expected: ExpectedVersion, actual: number) {
    super(
      `stream ${JSON.stringify(stream)} is at version ${actual}, the caller expected ${expected}; load it again, decide again, append again`,
    )
    this.stream = stream
    this.expectedVersion = expected
    this.actualVersion = actual
  }
}

/** Events that match the append's condition arrived after the position it was read at. */
export class AppendConditionError extends EventualiError {
  readonly code = 'CONDITION_FAILED'
  override readonly retryable = true
  /** The position the decision was made at. */
  readonly position: number
  /** The matching events that arrived since (the first 100 at most). */
  readonly events: readonly RecordedEvent[]

  constructor(position: number, events: readonly RecordedEvent[]) {
    super(
      `${events.length} matching event(s) arrived after position ${position}; read the query again, decide again, append again`,
    )
    this.position = position
    this.events = events
  }
}

/** An id given by the caller is already in the stream, with other content or only in part. */
export class IdempotencyConflictError extends EventualiError {
  readonly code = 'IDEMPOTENCY_CONFLICT'
  readonly stream: string
  readonly ids: readonly string[]

  constructor(stream: string, ids: readonly string[]) {
    super(
      `stream ${JSON.stringify(stream)} already holds ${ids.slice(0, 3).join(', ')}${ids.length > 3 ? ', …' : ''} with other content, order or company; use the same ids only for the very same append`,
    )
    this.stream = stream
    this.ids = ids
  }
}

abstract class StreamError extends EventualiError {
  readonly stream: string

  constructor(stream: string, message: string) {
    super(`stream ${JSON.stringify(stream)} ${message}`)
    this.stream = stream
  }
}

/** The stream was deleted; an append needs `{ recreate: true }`. */
export class StreamDeletedError extends StreamError {
  readonly code = 'STREAM_DELETED'
  constructor(stream: string) {
    super(stream, 'was deleted; append with { recreate: true } to go on at the next version')
  }
}

/** The stream is archived, so read-only. */
export class StreamArchivedError extends StreamError {
  readonly code = 'STREAM_ARCHIVED'
  constructor(stream: string) {
    super(stream, 'is archived and read-only; call store.archive(stream, { undo: true }) first')
  }
}

/** A version was asked for that `truncate` removed. */
export class StreamTruncatedError extends StreamError {
  readonly code = 'STREAM_TRUNCATED'
  readonly firstVersion: number
  constructor(stream: string, firstVersion: number) {
    super(stream, `was truncated; its first kept version is ${firstVersion}, read from there`)
    this.firstVersion = firstVersion
  }
}

/** The domain said no. Thrown by `reject(reason)` inside a command. */
export class DomainError extends EventualiError {
  readonly code = 'DOMAIN_REJECTED'
  /** The reason given to `reject`. */
  readonly reason: string
  readonly details: unknown

  constructor(reason: string, details?: unknown) {
    super(reason)
    this.reason = reason
    this.details = details
  }
}

/** One complaint of a schema about one place of the data. */
export interface ValidationIssue {
  readonly path: string
  readonly message: string
}

/** The data of an event does not fit its schema. Nothing was stored. */
export class ValidationError extends EventualiError {
  readonly code = 'EVENT_INVALID'
  readonly type: string
  readonly issues: readonly ValidationIssue[]

  constructor(type: string, issues: readonly ValidationIssue[]) {
    const shown = issues.slice(0, 3).map((i) => `${i.path === '' ? 'data' : i.path}: ${i.message}`)
    super(`data of ${type} does not fit its schema (${shown.join('; ')}); mend the data`)
    this.type = type
    this.issues = issues
  }
}

/** An event type that none of the given definitions knows. */
export class UnknownEventTypeError extends EventualiError {
  readonly code = 'EVENT_TYPE_UNKNOWN'
  readonly type: string

  constructor(type: string) {
    super(
      `event type ${JSON.stringify(type)} is not defined here; add it to defineEvents, or open the store with { unknown: 'allow' }`,
    )
    this.type = type
  }
}

/** The data or metadata holds something that JSON cannot carry without loss. */
export class DataNotJsonError extends EventualiError {
  readonly code = 'DATA_NOT_JSON'
  /** Where, as in `data.items[2].at`. */
  readonly path: string

  constructor(path: string, what: string, options?: { readonly cause?: unknown }) {
    super(`${path} ${what}; convert it, or give the event a codec`, options)
    this.path = path
  }
}

/** The encoded event is over the limit. Nothing was stored. */
export class EventTooLargeError extends EventualiError {
  readonly code = 'EVENT_TOO_LARGE'
  readonly bytes: number
  readonly bytesMax: number

  constructor(type: string, bytes: number, bytesMax: number) {
    super(
      `event ${type} has ${bytes} bytes, at most ${bytesMax} are stored; keep large content in an object store and refer to it`,
    )
    this.bytes = bytes
    this.bytesMax = bytesMax
  }
}

/** A stream name, type, tag or id that no store accepts. */
export class InvalidNameError extends EventualiError {
  readonly code = 'NAME_INVALID'
  readonly kind: 'stream' | 'type' | 'tag' | 'id'
  readonly value: unknown

  constructor(kind: 'stream' | 'type' | 'tag' | 'id', value: unknown, what: string) {
    super(
      `${kind} ${typeof value === 'string' ? JSON.stringify(value.slice(0, 60)) : typeof value} ${what}`,
    )
    this.kind = kind
    this.value = value
  }
}

/** An argument outside its range or of the wrong shape. */
export class InvalidArgumentError extends EventualiError {
  readonly code = 'ARGUMENT_INVALID'
  readonly argument: string

  constructor(argument: string, what: string) {
    super(`${argument} ${what}`)
    this.argument = argument
  }
}

/** `append` was called without an event. */
export class EmptyAppendError extends TypeError {
  readonly code = 'APPEND_EMPTY'
  readonly retryable = false
  constructor(stream: string) {
    super(`nothing to append to ${JSON.stringify(stream)}; hand in at least one event`)
    this.name = 'EmptyAppendError'
  }
}
markAsError(EmptyAppendError)

/** The outer store was used inside the callback of its own transaction. */
export class NestedTransactionError extends EventualiError {
  readonly code = 'TRANSACTION_NESTED'
  constructor(call: string) {
    super(
      `store.${call} inside store.transaction would wait for itself; use the tx handed to the callback`,
    )
  }
}

/** A transaction took longer than its `timeoutMs` and was rolled back. */
export class TransactionTimeoutError extends EventualiError {
  readonly code = 'TRANSACTION_TIMEOUT'
  override readonly retryable = true
  constructor(timeoutMs: number) {
    super(
      `the transaction was open for more than ${timeoutMs} ms and was rolled back; do less in it, or raise timeoutMs`,
    )
  }
}

/** A call did not end within its `timeoutMs`, and it is certain that it stored nothing. */
export class OperationTimeoutError extends EventualiError {
  readonly code = 'TIMEOUT'
  override readonly retryable = true
  constructor(what: string, timeoutMs: number, options?: ErrorOptionsWithCause) {
    super(`${what} did not end within ${timeoutMs} ms; try again, or raise timeoutMs`, options)
  }
}

/** The connection broke or the time ran out after the commit was sent: it may or may not hold. */
export class OutcomeUnknownError extends EventualiError {
  readonly code = 'OUTCOME_UNKNOWN'
  override readonly retryable = false
  constructor(what: string, options?: ErrorOptionsWithCause) {
    super(
      `it is not known whether ${what} was stored; read the stream, or append again with the same event ids`,
      options,
    )
  }
}

/** A long append ended early. What came before the batch that failed is stored. */
export class AppendManyError extends EventualiError {
  readonly code = 'APPEND_ENDED_EARLY'
  /** Events that this call has stored. */
  readonly events: number
  constructor(events: number, options: { readonly cause: unknown }) {
    const { cause } = options
    const why = cause instanceof Error ? cause.message : String(cause)
    super(
      `${events} events are stored, then: ${why}; with ids of your own it can be run again`,
      options,
    )
    this.events = events
  }
}

/** Too many calls wait already. Nothing was stored. */
export class QueueFullError extends EventualiError {
  readonly code = 'QUEUE_FULL'
  override readonly retryable = true
  constructor(what: string, countMax: number) {
    super(`${countMax} calls wait for ${what} already; slow down, or raise the limit`)
  }
}

/** The store was closed. */
export class StoreClosedError extends EventualiError {
  readonly code = 'STORE_CLOSED'
  constructor() {
    super('the store is closed; open it again')
  }
}

/** Another process held the database for too long. Nothing was stored. */
export class StorageBusyError extends EventualiError {
  readonly code = 'STORAGE_BUSY'
  override readonly retryable = true
  constructor(waitedMs: number, options?: ErrorOptionsWithCause) {
    super(
      `another writer held the database for ${Math.round(waitedMs)} ms; try again, or shorten its transactions`,
      options,
    )
  }
}

/** No space left. Reads go on; appends succeed again once there is space. */
export class StorageFullError extends EventualiError {
  readonly code = 'STORAGE_FULL'
  override readonly retryable = true
  constructor(options?: ErrorOptionsWithCause) {
    super(
      'no space is left for the database; free some, then append again (no restart is needed)',
      options,
    )
  }
}

/** The database refused for a reason that has no error of its own; see `cause`. */
export class StorageError extends EventualiError {
  readonly code = 'STORAGE_FAILED'
  constructor(what: string, options?: ErrorOptionsWithCause) {
    super(
      `the database failed at ${what}: ${options?.cause instanceof Error ? options.cause.message : 'no reason given'}`,
      options,
    )
  }
}

/** The database cannot be reached. Nothing was stored by this call. */
export class ConnectionError extends EventualiError {
  readonly code = 'CONNECTION_FAILED'
  override readonly retryable = true
  constructor(what: string, options?: ErrorOptionsWithCause) {
    super(
      `the database cannot be reached (${what}); check the url, the server and the network`,
      options,
    )
  }
}

/** A stored row does not match its checksum or cannot be read. */
export class CorruptEventError extends EventualiError {
  readonly code = 'EVENT_CORRUPT'
  readonly position: number
  constructor(position: number, what: string, options?: ErrorOptionsWithCause) {
    super(
      `the event at position ${position} is damaged (${what}); run "eventuali verify" and restore from a backup`,
      options,
    )
    this.position = position
  }
}

/** Stored data needs a package, a Node or a library that is not here; nothing is damaged. */
export class CodecMissingError extends EventualiError {
  readonly code = 'CODEC_MISSING'
  /** What cannot be read or written: `msgpack`, `zstd`, … */
  readonly codec: string
  constructor(codec: string, remedy: string) {
    super(`data is stored with ${codec}, which this program does not have; ${remedy}`)
    this.codec = codec
  }
}

/** The log is another one than the caller's position, cursor or checkpoint belongs to. */
export class LogChangedError extends EventualiError {
  readonly code = 'LOG_CHANGED'
  /** The incarnation that the position belongs to, and the store's. */
  readonly expected: string
  readonly actual: string
  /** `beyond`: the incarnation is the same, and yet a checkpoint lies above the newest event. */
  constructor(
    expected: string,
    actual: string,
    beyond?: { readonly name: string; readonly highest: number; readonly newest: number },
  ) {
    const what =
      beyond === undefined
        ? `the store's incarnation is ${actual}, the position belongs to ${expected} (a restore, fork or failover lies between)`
        : `the checkpoint of ${JSON.stringify(beyond.name)} is at ${beyond.highest}, the newest event at ${beyond.newest} (the log was restored or replaced below it)`
    super(`${what}; start again from 0, or from a position you have checked`)
    this.expected = expected
    this.actual = actual
  }
}

/** The database's SQLite has the WAL-reset bug, or Node brings none. */
export class SqliteUnsafeError extends EventualiError {
  readonly code = 'SQLITE_UNSAFE'
  /** `version` is undefined on a Node without SQLite. */
  constructor(version: string | undefined) {
    const what =
      version === undefined
        ? 'this Node brings no SQLite'
        : `SQLite ${version} can lose commits (WAL-reset bug)`
    super(`${what}; use Node 22.22.3, 24.15 or newer, or hand in better-sqlite3 13`)
  }
}

/** A driver package is not installed. */
export class DriverMissingError extends EventualiError {
  readonly code = 'DRIVER_MISSING'
  constructor(driver: string, install: string, options?: ErrorOptionsWithCause) {
    super(`the driver ${driver} is not there; run "${install}"`, options)
  }
}

/** A store url that no adapter serves. */
export class StoreUrlError extends EventualiError {
  readonly code = 'STORE_URL_INVALID'
  constructor(url: string, what: string) {
    super(
      `store url ${JSON.stringify(maskedText(url))} ${what}; use sqlite:FILE, sqlite::memory:, memory:, postgres://… or http://…`,
    )
  }
}

/** The database was written by a newer library than this one. */
export class SchemaTooNewError extends EventualiError {
  readonly code = 'SCHEMA_TOO_NEW'
  constructor(found: number, known: number) {
    super(`the database has schema ${found}, this library knows ${known}; upgrade eventuali`)
  }
}

/** The store was opened read-only. */
export class ReadOnlyStoreError extends EventualiError {
  readonly code = 'STORE_READ_ONLY'
  constructor(why: string) {
    super(`the store is open for reading only: ${why}`)
  }
}

/** The adapter declares that it cannot do this; see docs/adapters.md. */
export class CapabilityError extends EventualiError {
  readonly code = 'CAPABILITY_MISSING'
  constructor(adapter: string, capability: string, why: string) {
    super(`the ${adapter} store has no ${capability}: ${why}`)
  }
}

/** A definition (of events, an aggregate, a decision) contradicts itself. */
export class DefinitionError extends EventualiError {
  readonly code = 'DEFINITION_INVALID'
  constructor(what: string) {
    super(what)
  }
}

/** An aggregate has no command of that name. */
export class UnknownCommandError extends EventualiError {
  readonly code = 'COMMAND_UNKNOWN'
  constructor(aggregate: string, command: string) {
    super(`aggregate ${aggregate} has no command ${JSON.stringify(command)}`)
  }
}

/** A line of an import is not an event. */
export class ImportLineError extends EventualiError {
  readonly code = 'IMPORT_LINE_INVALID'
  /** Counts from 1. */
  readonly line: number
  constructor(
    line: number,
    reason: string,
    options: ErrorOptionsWithCause & { readonly advice?: string } = {},
  ) {
    const { advice = 'mend it, or go on with --skip-invalid' } = options
    super(`line ${line}: ${reason}; ${advice}`, options)
    this.line = line
  }
}

/** The source of an import cannot be read to its end: no such file, a broken .gz, a cut array. */
export class ImportSourceError extends EventualiError {
  readonly code = 'IMPORT_SOURCE_FAILED'
  /** What is wrong with it. */
  readonly reason: string
  constructor(name: string, reason: string, options?: ErrorOptionsWithCause) {
    super(`cannot read ${name}: ${reason}; give a readable file of the format asked for`, options)
    this.reason = reason
  }
}
