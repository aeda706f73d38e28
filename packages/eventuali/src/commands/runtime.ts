import {
  type Clock,
  type Deadline,
  type IdSource,
  type Random,
  type RetryPolicy,
  sleep,
} from '../kernel/index.ts'
import { type EventRegistry, OperationTimeoutError } from '../model/index.ts'
import type { CallOptions, SnapshotSource } from '../ports/index.ts'

/** What happens to an event whose type no definition knows. */
export type UnknownTypes = 'allow' | 'refuse'

/** What commands need besides a store. */
export interface CommandRuntime {
  readonly clock: Clock
  readonly random: Random
  readonly ids: IdSource
  readonly registry: EventRegistry
  readonly unknown: UnknownTypes
  /** How often a conflict makes a command run again. */
  readonly retry: RetryPolicy
  /** Bound of commands and loads that name none; no bound when left out. */
  readonly timeoutMs?: number | undefined
  /** Kept states, where the store keeps any. */
  readonly snapshots?: SnapshotSource | undefined
}

/**
 * Each round of conflicting callers has a winner, so that 33 tries let 32 racers of one process
 * all through. About three seconds of waiting in all, at most six.
 */
export const defaultRetryPolicy: RetryPolicy = {
  retryCountMax: 32,
  firstDelayMs: 2,
  delayMaxMs: 200,
}

/** Once definitions are given, other types are refused unless the caller says otherwise. */
export function unknownTypesDefault(registry: EventRegistry): UnknownTypes {
  return registry.size === 0 ? 'allow' : 'refuse'
}

/** What is left of a deadline, as options for the next call. Throws OperationTimeoutError. */
export function remaining(
  what: string,
  options: CallOptions,
  deadline: Deadline,
): CallOptions | undefined {
  if (options.timeoutMs === undefined) return options.signal === undefined ? undefined : options
  const leftMs = deadline.leftMs()
  if (leftMs <= 0) throw new OperationTimeoutError(what, options.timeoutMs)
  return { signal: options.signal, timeoutMs: leftMs }
}

/** Waits before another try; false when the deadline would pass meanwhile. */
export async function pause(
  runtime: CommandRuntime,
  delayMs: number,
  deadline: Deadline,
): Promise<boolean> {
  if (delayMs >= deadline.leftMs()) return false
  await sleep(runtime.clock, delayMs, deadline.signal)
  return true
}
