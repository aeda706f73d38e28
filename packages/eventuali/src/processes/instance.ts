import { InvalidArgumentError, type Json } from '../model/index.ts'
import type { NewEvent, StoredRecord } from '../ports/index.ts'
import type { Recurrence } from './recurrence.ts'

/**
 * Where a process stands. `compensating`: takes its steps back. `stuck`: needs a person, or code
 * that knows its version; see `stuck`. The last three are final: events are ignored.
 */
export type ProcessStatus =
  | 'running'
  | 'compensating'
  | 'stuck'
  | 'completed'
  | 'compensated'
  | 'cancelled'

/** An error as records keep it. */
export type StoredError = {
  readonly name: string
  readonly message: string
  readonly code: string | null
  readonly stack: string | null
}

/** What a process is stuck on. */
export type StuckCause =
  | { readonly kind: 'event'; readonly position: number }
  | { readonly kind: 'deadline'; readonly name: string }
  | { readonly kind: 'command'; readonly commandId: string }
  | { readonly kind: 'compensated' }
  | { readonly kind: 'version'; readonly version: number }

/** Why a process is stuck. */
export type Stuck = {
  readonly cause: StuckCause
  readonly error: StoredError
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly resumesAs: 'running' | 'compensating'
}

/** What a command record asks for: a command of an aggregate, or events for a stream. */
export type StoredTarget =
  | {
      readonly kind: 'command'
      readonly aggregate: string
      readonly id: string
      readonly command: string
      /** Left out for a command without one. */
      readonly input?: Json
    }
  | { readonly kind: 'append'; readonly stream: string; readonly events: readonly NewEvent[] }

/** What travels with commands, so that their events tell where they come from. */
export type Chain = { readonly correlationId: string; readonly tenant: string | null }

/** The value of a record of kind `process`. */
export interface Instance {
  version: number
  status: ProcessStatus
  /** False until the first handler has run: `state` means nothing before. */
  begun: boolean
  /** Null where the state is folded from events. */
  state: Json
  /** How to take back what has succeeded, in the order in which it did. */
  undo: StoredTarget[]
  undoneCount: number
  /** Ids of the commands that are not done, in order; only the first may be under way. */
  queue: string[]
  /** Names of the deadlines that are set. */
  deadlines: string[]
  /** What it becomes once the queue is empty. */
  ending: 'completed' | 'compensated' | null
  /** Why it compensates or was cancelled. */
  reason: string | null
  /** Whether events wait in records until the process is no longer stuck. */
  holding: boolean
  stuck: Stuck | null
  chain: Chain
  startedAt: number
  updatedAt: number
  /** Position of the last event that it handled. */
  position: number
}

/** The value of a record of kind `command`. Without an instance it comes from a schedule. */
export interface CommandValue {
  readonly process: string
  readonly instance: string | null
  readonly target: StoredTarget
  readonly label: string | null
  readonly undo: StoredTarget | null
  /** True for a step that takes another one back. */
  readonly isUndo: boolean
  readonly causationId: string
  readonly chain: Chain
  readonly createdAt: number
  /** Tries that failed by the command's own fault. */
  readonly attempts: number
  /** Tries that failed for storage that did not answer. */
  readonly waits: number
  readonly error: StoredError | null
}

/** The value of a record of kind `schedule`. */
export interface ScheduleValue {
  readonly process: string
  /** Null for one of `schedules`. */
  readonly instance: string | null
  readonly name: string
  /** Stable: the same for all firings of this schedule. */
  readonly id: string
  readonly payload: Json
  readonly dueAt: number
  readonly recurrence: Recurrence | null
  /** What it does, for one of `schedules`. */
  readonly target: StoredTarget | null
}

/** The kinds of records that processes write. */
export const recordKinds = {
  process: 'process',
  command: 'command',
  schedule: 'schedule',
  held: 'held-event',
} as const

/** Stands where a process's name would, for schedules that belong to none. */
export const NO_PROCESS = '$'

const KEY_LENGTH_MAX = 255

/** A correlation key without the characters that separate the parts of a record's key. */
function escaped(key: string): string {
  return key.replaceAll('%', '%25').replaceAll('/', '%2F')
}

/** The key of a process's record. Throws InvalidArgumentError for one that records cannot have. */
export function instanceKey(process: string, key: string): string {
  if (typeof key !== 'string' || key === '') {
    throw new InvalidArgumentError('correlate', 'gave a key that is no text, or empty')
  }
  const text = escaped(key)
  if (text.length > KEY_LENGTH_MAX) {
    throw new InvalidArgumentError(
      'correlate',
      `gave a key longer than ${KEY_LENGTH_MAX} characters`,
    )
  }
  return `${process}/${text}`
}

/** The correlation key in the key of a process's record. */
export function keyOfInstance(process: string, recordKey: string): string {
  const text = recordKey.slice(process.length + 1)
  return text.replaceAll('%2F', '/').replaceAll('%25', '%')
}

/** The key of a deadline's record. */
export function deadlineKey(process: string, key: string, name: string): string {
  return `${instanceKey(process, key)}/${escaped(name)}`
}

/** The key of the record of a schedule that belongs to no process. */
export function scheduleKey(name: string): string {
  return instanceKey(NO_PROCESS, name)
}

/** The key of a command's record. */
export function commandKey(process: string, id: string): string {
  return `${process}/${id}`
}

/**
 * The key of a held event's record: keys of one process sort by position, and what stands in the
 * place of one stored event by its order.
 */
export function heldKey(process: string, key: string, position: number, part: number): string {
  const place = String(position).padStart(16, '0')
  return `${instanceKey(process, key)}/${place}${part === 0 ? '' : `.${String(part).padStart(4, '0')}`}`
}

/** Whether nothing more will happen to a process. */
export function isFinal(status: ProcessStatus): boolean {
  return status === 'completed' || status === 'compensated' || status === 'cancelled'
}

/** What a process is listed by: its status, or that events wait to be taken up again. */
export function listedState({ status, holding }: Instance): string {
  return holding && (status === 'running' || status === 'compensating') ? 'draining' : status
}

/** A record's value, typed; the records of this folder are written by it alone. */
export function recordValue<T>(record: StoredRecord): T {
  return record.value as T
}

/** An error for a record. */
export function storedError(error: unknown): StoredError {
  if (!(error instanceof Error)) {
    return { name: 'Error', message: String(error), code: null, stack: null }
  }
  const code = (error as { readonly code?: unknown }).code
  return {
    name: error.name,
    message: error.message,
    code: typeof code === 'string' ? code : null,
    stack: error.stack?.slice(0, 4000) ?? null,
  }
}
