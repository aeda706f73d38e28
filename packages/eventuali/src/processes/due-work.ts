import type { CommandRuntime } from '../commands/index.ts'
import { backoffMs, isEventualiError, type RetryPolicy, uuidV5 } from '../kernel/index.ts'
import type { RecordedEvent } from '../model/index.ts'
import type { EventStore, StoredRecord, StoreTransaction } from '../ports/index.ts'
import type { CommandExecutor, CommandOutcome } from './execute.ts'
import {
  type CommandValue,
  instanceKey,
  keyOfInstance,
  recordKinds,
  recordValue,
  type ScheduleValue,
  storedError,
} from './instance.ts'
import { occurrenceFollowing } from './recurrence.ts'
import type { Steps } from './steps.ts'
import { Workspace } from './workspace.ts'

/** Bounds of one look for what is due. */
interface DueLimits {
  readonly batchCountMax: number
  /** Commands executed at the same time. */
  readonly concurrency: number
  /** For commands; a wait for storage has the same delays, without an end. */
  readonly retry: RetryPolicy
  readonly timeoutMs: number
  /** How long the records of done commands are kept, in milliseconds. */
  readonly keepDoneMs: number
}

/** Bounds of what processes do. */
export interface ProcessLimits extends DueLimits {
  /** A look for what is due at least this often. */
  readonly pollIntervalMs: number
}

/** What the work of one process name is done with. */
export interface DueParts {
  readonly store: EventStore
  readonly runtime: CommandRuntime
  readonly process: string
  /** Undefined for schedules that belong to no process. */
  readonly steps: Steps | undefined
  readonly executor: Pick<CommandExecutor, 'execute'>
  readonly limits: DueLimits
}

/** Tries of a transaction that lost against another one. */
const CONFLICT_TRY_COUNT_MAX = 10

/** What came of a look. */
interface Look {
  readonly worked: boolean
  /** When the next thing falls due, if a look saw it. */
  readonly nextDue: number | undefined
}

/**
 * Does what has fallen due for the processes of one name: deadlines, commands, events held back.
 * Safe to run in several places at once: records are read again under lock, and a command's id
 * lets it have one effect.
 */
export class DueWork {
  readonly #parts: DueParts

  constructor(parts: DueParts) {
    this.#parts = parts
  }

  /** One look at everything; `worked` when there may be more at once. */
  async look(aheadMs: number, signal?: AbortSignal): Promise<Look> {
    const drained = await this.#drain()
    const { fired, nextDue } = await this.#fire(aheadMs)
    const commands = await this.#commands(aheadMs, signal)
    const worked = drained || fired || commands.worked
    const dues = [nextDue, commands.nextDue].filter((due) => due !== undefined)
    return { worked, nextDue: dues.length === 0 ? undefined : Math.min(...dues) }
  }

  /** Forgets commands that were done long ago. */
  async prune(): Promise<boolean> {
    const { store, process, runtime, limits } = this.#parts
    const old = await store.records.list({
      kind: recordKinds.command,
      prefix: `${process}/`,
      state: 'done',
      dueUpTo: runtime.clock.now(),
      limit: limits.batchCountMax,
    })
    if (old.length === 0) return false
    const changes = old.map(({ kind, key, revision }) => ({ kind, key, expected: revision }))
    await this.#transaction((tx) => tx.records.write(changes))
    return true
  }

  /** A transaction of the work itself; one that lost against another is run again. */
  async #transaction<T>(work: (tx: StoreTransaction) => Promise<T>): Promise<T> {
    const { store, limits } = this.#parts
    for (let attempt = 1; ; attempt++) {
      try {
        return await store.transaction(work, { timeoutMs: limits.timeoutMs })
      } catch (error) {
        if (attempt >= CONFLICT_TRY_COUNT_MAX) throw error
        if (!isEventualiError(error, 'RECORD_CONFLICT')) throw error
      }
    }
  }

  #workspace(tx: StoreTransaction): Workspace {
    return new Workspace(tx, this.#parts.process, this.#parts.runtime)
  }

  async #dueRecords(
    kind: string,
    aheadMs: number,
  ): Promise<{ readonly due: readonly StoredRecord[]; readonly nextDue: number | undefined }> {
    const { store, runtime, process, limits } = this.#parts
    const now = runtime.clock.now()
    const records = await store.records.list({
      kind,
      prefix: `${process}/`,
      state: 'pending',
      dueUpTo: now + aheadMs,
      limit: limits.batchCountMax,
    })
    const due = records.filter((record) => (record.due ?? 0) <= now)
    return { due, nextDue: records.find((record) => (record.due ?? 0) > now)?.due }
  }

  async #fire(
    aheadMs: number,
  ): Promise<{ readonly fired: boolean; readonly nextDue: number | undefined }> {
    const { due, nextDue } = await this.#dueRecords(recordKinds.schedule, aheadMs)
    if (due.length === 0) return { fired: false, nextDue }
    await this.#transaction(async (tx) => {
      const ws = this.#workspace(tx)
      const keys = due.map((record) => recordValue<ScheduleValue>(record).instance)
      await ws.load(keys.filter((key) => key !== null))
      for (const { key } of due) {
        const record = await ws.record(recordKinds.schedule, key)
        // Somebody else was faster, or it was set anew for later.
        if (record?.state !== 'pending' || record.due === undefined || record.due > ws.now) continue
        await this.#fireOne(ws, record)
      }
      await ws.flush()
    })
    return { fired: true, nextDue }
  }

  async #fireOne(ws: Workspace, record: StoredRecord): Promise<void> {
    const schedule = recordValue<ScheduleValue>(record)
    const { instance, target, recurrence, dueAt } = schedule
    if (instance !== null) {
      await this.#parts.steps?.deadline(ws, ws.slot(instance), record)
      return
    }
    const { kind, key, revision: expected } = record
    const following =
      recurrence === null ? undefined : occurrenceFollowing(recurrence, dueAt, ws.now)
    if (following === undefined) ws.put({ kind, key, expected })
    else {
      const value = JSON.parse(JSON.stringify({ ...schedule, dueAt: following }))
      ws.put({ kind, key, expected, value, state: 'pending', due: following })
    }
    if (target === null) return
    const id = uuidV5('fired', schedule.id, dueAt)
    const start = { createdAt: ws.now, attempts: 0, waits: 0, error: null }
    const origin = { label: schedule.name, undo: null, isUndo: false, causationId: schedule.id }
    const chain = { correlationId: schedule.id, tenant: null }
    const process = ws.process
    const value = {
      process,
      instance,
      target: firedTarget(target, id, ws.now),
      ...origin,
      chain,
      ...start,
    }
    ws.addCommand(id, value, ws.now)
  }

  async #commands(aheadMs: number, signal: AbortSignal | undefined): Promise<Look> {
    const { executor, limits, process } = this.#parts
    const { due, nextDue } = await this.#dueRecords(recordKinds.command, aheadMs)
    if (due.length === 0) return { worked: false, nextDue }
    const outcomes = new Map<string, CommandOutcome>()
    const queue = [...due]
    const options = { timeoutMs: limits.timeoutMs, signal }
    const lane = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        if (signal?.aborted === true) return
        const id = next.key.slice(process.length + 1)
        outcomes.set(next.key, await executor.execute(id, recordValue(next), options))
      }
    }
    await Promise.all(Array.from({ length: limits.concurrency }, lane))
    if (outcomes.size === 0) return { worked: false, nextDue }
    const settled = due.filter(({ key }) => outcomes.has(key))
    await this.#transaction(async (tx) => {
      const ws = this.#workspace(tx)
      const keys = settled.map((record) => recordValue<CommandValue>(record).instance)
      await ws.load(keys.filter((key) => key !== null))
      for (const { key, revision } of settled) {
        const record = await ws.record(recordKinds.command, key)
        if (record?.state !== 'pending' || record.revision !== revision) continue
        await this.#settle(ws, record, outcomes.get(key) as CommandOutcome)
      }
      await ws.flush()
    })
    // A command that waits for storage must not make the loop spin.
    return { worked: [...outcomes.values()].some(({ kind }) => kind !== 'waiting'), nextDue }
  }

  async #settle(ws: Workspace, record: StoredRecord, outcome: CommandOutcome): Promise<void> {
    const { steps, limits, runtime } = this.#parts
    const value = recordValue<CommandValue>(record)
    const id = record.key.slice(ws.process.length + 1)
    const slot = value.instance === null ? undefined : ws.slot(value.instance)
    if (outcome.kind === 'done') {
      ws.putCommand(id, { ...value, error: null }, 'done', ws.now + limits.keepDoneMs)
      if (slot !== undefined) await steps?.done(ws, slot, id, value)
      return
    }
    if (outcome.kind === 'refused') {
      const { reason, details } = outcome
      if (slot !== undefined) return steps?.rejected(ws, slot, record, { id, reason, details })
      const error = storedError(new Error(`refused: ${reason}`))
      ws.putCommand(id, { ...value, error }, 'refused', undefined)
      return
    }
    const { error } = outcome
    const attempts = value.attempts + (outcome.kind === 'retry' ? 1 : 0)
    const waits = value.waits + (outcome.kind === 'waiting' ? 1 : 0)
    const tried = { ...value, attempts, waits, error: storedError(error) }
    if (outcome.kind === 'failed' || attempts > limits.retry.retryCountMax) {
      if (slot === undefined || steps === undefined) ws.putCommand(id, tried, 'stuck', undefined)
      else steps.commandFailed(ws, slot, id, tried, error)
      return
    }
    const delayMs = backoffMs(limits.retry, attempts + waits - 1, runtime.random)
    ws.putCommand(id, tried, 'pending', ws.now + Math.ceil(delayMs))
  }

  /** Takes up events that were held back while their process was stuck. */
  async #drain(): Promise<boolean> {
    const { store, process, steps, limits } = this.#parts
    if (steps === undefined) return false
    const waiting = await store.records.list({
      kind: recordKinds.process,
      prefix: `${process}/`,
      state: 'draining',
      limit: limits.batchCountMax,
    })
    for (const { key } of waiting) await this.#drainOne(keyOfInstance(process, key), steps)
    return waiting.length > 0
  }

  async #drainOne(key: string, steps: Steps): Promise<void> {
    const { process, limits } = this.#parts
    await this.#transaction(async (tx) => {
      const ws = this.#workspace(tx)
      await ws.load([key])
      const slot = ws.slot(key)
      if (slot.instance?.holding !== true || slot.instance.status === 'stuck') return
      const prefix = `${instanceKey(process, key)}/`
      const limit = limits.batchCountMax
      const held = await tx.records.list({ kind: recordKinds.held, prefix, limit })
      slot.instance.holding = false
      slot.changed = true
      for (const record of held) {
        const { event, part } = await heldEvent(tx, record, steps)
        ws.remove(record.kind, record.key)
        if (event !== undefined) await steps.event(ws, slot, event, part)
        // Held again: this one and those behind it wait for the next time.
        if (slot.instance.holding) break
      }
      if (held.length === limit) slot.instance.holding = true
      await ws.flush()
    })
  }
}

/** A held event, upcast; undefined when it was removed meanwhile. */
async function heldEvent(
  tx: StoreTransaction,
  record: StoredRecord,
  steps: Steps,
): Promise<{ readonly event: RecordedEvent | undefined; readonly part: number }> {
  const { position, part = 0 } = record.value as {
    readonly position: number
    readonly part?: number
  }
  const query = { after: position - 1, upTo: position, direction: 'forward' } as const
  for await (const page of tx.readLog({ ...query, includeArchived: true })) {
    const [stored] = page
    if (stored !== undefined) return { event: steps.upcast(stored)[part], part }
  }
  return { event: undefined, part }
}

/** Events of a recurring schedule need ids and times of their own for each firing. */
function firedTarget(
  target: NonNullable<ScheduleValue['target']>,
  commandId: string,
  now: number,
): NonNullable<ScheduleValue['target']> {
  if (target.kind !== 'append') return target
  const { stream } = target
  const events = target.events.map((event, index) => ({
    ...event,
    id: uuidV5(commandId, stream, index),
    time: now,
  }))
  return { ...target, events }
}
