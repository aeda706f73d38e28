import type { CommandRuntime } from '../commands/index.ts'
import { InvalidArgumentError, ProcessNotFoundError, ProcessStateError } from '../model/index.ts'
import type { EventStore, StoredRecord } from '../ports/index.ts'
import {
  type CommandValue,
  commandKey,
  deadlineKey,
  type Instance,
  instanceKey,
  isFinal,
  keyOfInstance,
  type ProcessStatus,
  recordKinds,
  recordValue,
  type ScheduleValue,
  type StoredError,
  type StoredTarget,
} from './instance.ts'
import type { Steps } from './steps.ts'
import { type Slot, Workspace } from './workspace.ts'

/** A process as lists show it. */
export interface ProcessInfo {
  readonly name: string
  readonly key: string
  readonly version: number
  readonly status: ProcessStatus
  /** The state as stored; null where it is folded from events. */
  readonly state: unknown
  /** Why it is stuck, compensates or was cancelled. */
  readonly reason: string | undefined
  readonly startedAt: Date
  readonly updatedAt: Date
  /** Commands that are not done. */
  readonly commandsWaiting: number
  /** Names of the deadlines that are set. */
  readonly deadlines: readonly string[]
  /** Whether events wait until it goes on. */
  readonly holdsEvents: boolean
}

/** A command of a process. */
export interface ProcessCommandInfo {
  readonly id: string
  readonly target: StoredTarget
  readonly label: string | undefined
  readonly state: string
  readonly isUndo: boolean
  readonly attempts: number
  readonly error: StoredError | undefined
  /** When it is tried next. */
  readonly dueAt: Date | undefined
}

/** A process with all that is known of it. */
export interface ProcessDetails extends ProcessInfo {
  /** What it is stuck on, when it is. */
  readonly stuck: Instance['stuck'] | undefined
  /** Commands that are not done, in their order. */
  readonly commands: readonly ProcessCommandInfo[]
  readonly schedules: readonly ScheduleInfo[]
}

/** A deadline or a schedule. */
export interface ScheduleInfo {
  readonly name: string
  /** The process it belongs to, if it does. */
  readonly process: string | undefined
  readonly key: string | undefined
  readonly dueAt: Date
  /** The pattern of one that recurs. */
  readonly pattern: string | undefined
  readonly timeZone: string | undefined
  /** `held` while its process is stuck. */
  readonly state: 'pending' | 'held'
  readonly id: string
}

/** Which processes to list. */
export interface ProcessQuery {
  readonly name: string
  readonly status?: ProcessStatus | undefined
  /** Keys after this one only (exclusive), for paging. */
  readonly after?: string | undefined
  /** 100 when left out. */
  readonly limit?: number | undefined
}

/** Who does something to a process by hand, and why; both are recorded. */
export interface ByHand {
  readonly actor?: string | undefined
  readonly reason?: string | undefined
}

const LIST_LIMIT = 100

export function scheduleInfo(record: StoredRecord): ScheduleInfo {
  const value = recordValue<ScheduleValue>(record)
  const { name, id, dueAt, recurrence, instance, process } = value
  return {
    name,
    process: instance === null ? undefined : process,
    key: instance ?? undefined,
    dueAt: new Date(dueAt),
    pattern: recurrence?.pattern,
    timeZone: recurrence?.timeZone,
    state: record.state === 'held' ? 'held' : 'pending',
    id,
  }
}

function infoOf(name: string, record: StoredRecord): ProcessInfo {
  const instance = recordValue<Instance>(record)
  const { version, status, state, reason, stuck, queue, deadlines, holding } = instance
  return {
    ...{ name, key: keyOfInstance(name, record.key), version, status, state, deadlines },
    reason: stuck?.error.message ?? reason ?? undefined,
    startedAt: new Date(instance.startedAt),
    updatedAt: new Date(instance.updatedAt),
    commandsWaiting: queue.length,
    holdsEvents: holding,
  }
}

function commandInfo(id: string, record: StoredRecord): ProcessCommandInfo {
  const { target, label, isUndo, attempts, error } = recordValue<CommandValue>(record)
  return {
    ...{ id, target, isUndo, attempts },
    label: label ?? undefined,
    state: record.state ?? '',
    error: error ?? undefined,
    dueAt: record.due === undefined ? undefined : new Date(record.due),
  }
}

/** What a person may see of the processes of one name, and do to them. */
export class ProcessOperations {
  readonly #port: EventStore
  readonly #runtime: CommandRuntime

  constructor(port: EventStore, runtime: CommandRuntime) {
    this.#port = port
    this.#runtime = runtime
  }

  async list({ name, status, after, limit = LIST_LIMIT }: ProcessQuery): Promise<ProcessInfo[]> {
    if (!Number.isSafeInteger(limit) || limit < 1) {
      throw new InvalidArgumentError('limit', 'must be a positive integer')
    }
    const found: ProcessInfo[] = []
    let from = after === undefined ? undefined : instanceKey(name, after)
    while (found.length < limit) {
      const records = await this.#port.records.list({
        kind: recordKinds.process,
        prefix: `${name}/`,
        after: from,
        limit,
      })
      for (const record of records) {
        const info = infoOf(name, record)
        if (found.length < limit && (status === undefined || info.status === status)) {
          found.push(info)
        }
      }
      const last = records.at(-1)
      if (last === undefined || records.length < limit) break
      from = last.key
    }
    return found
  }

  async get(name: string, key: string): Promise<ProcessDetails | undefined> {
    const { records } = this.#port
    const [record] = await records.get(recordKinds.process, [instanceKey(name, key)])
    if (record === undefined) return undefined
    const { queue, deadlines, stuck } = recordValue<Instance>(record)
    const commandKeys = queue.map((id) => commandKey(name, id))
    const commands = await records.get(recordKinds.command, commandKeys)
    const deadlineKeys = deadlines.map((deadline) => deadlineKey(name, key, deadline))
    const schedules = await records.get(recordKinds.schedule, deadlineKeys)
    return {
      ...infoOf(name, record),
      stuck: stuck ?? undefined,
      commands: queue.flatMap((id, index) => {
        const command = commands[index]
        return command === undefined ? [] : [commandInfo(id, command)]
      }),
      schedules: schedules.flatMap((found) => (found === undefined ? [] : [scheduleInfo(found)])),
    }
  }

  async resume(steps: Steps, name: string, key: string, by: ByHand): Promise<void> {
    await this.#change('resume', name, key, by, async (ws, slot, instance) => {
      if (instance.status !== 'stuck') {
        throw new ProcessStateError(name, key, instance.status, 'only a stuck one is resumed')
      }
      await steps.resume(ws, slot)
    })
  }

  /** Leaves out what a process is stuck on, and goes on behind it. */
  async skip(steps: Steps, name: string, key: string, by: ByHand): Promise<void> {
    await this.#change('skip', name, key, by, async (ws, slot, instance) => {
      const cause = instance.stuck?.cause
      if (instance.status !== 'stuck' || cause === undefined || cause.kind === 'version') {
        const why = 'only one that is stuck on an event, a deadline or a command skips it'
        throw new ProcessStateError(name, key, instance.status, why)
      }
      if (cause.kind === 'event') await dropFirstHeld(ws, key)
      if (cause.kind === 'deadline') dropDeadline(ws, instance, key, cause.name)
      if (cause.kind === 'command') await dropCommand(ws, instance, cause.commandId)
      if (cause.kind === 'compensated') instance.ending = 'compensated'
      await steps.resume(ws, slot)
    })
  }

  async compensate(steps: Steps, name: string, key: string, by: ByHand): Promise<void> {
    await this.#change('compensate', name, key, by, async (ws, slot, instance) => {
      const { status, stuck } = instance
      if (isFinal(status) || status === 'compensating' || stuck?.resumesAs === 'compensating') {
        throw new ProcessStateError(name, key, status, 'there is nothing to take back any more')
      }
      if (stuck !== null) {
        if (stuck.cause.kind === 'command') await dropCommand(ws, instance, stuck.cause.commandId)
        instance.status = 'running'
        instance.stuck = null
      }
      await steps.compensate(ws, slot, by.reason ?? 'asked for by hand')
      await steps.advance(ws, slot)
    })
  }

  async cancel(name: string, key: string, by: ByHand): Promise<void> {
    await this.#change('cancel', name, key, by, async (ws, _slot, instance) => {
      if (isFinal(instance.status)) {
        throw new ProcessStateError(name, key, instance.status, 'it has ended already')
      }
      for (const id of instance.queue) ws.remove(recordKinds.command, commandKey(name, id))
      for (const deadline of [...instance.deadlines]) dropDeadline(ws, instance, key, deadline)
      const prefix = `${instanceKey(name, key)}/`
      const limit = 1000
      const held = await ws.tx.records.list({ kind: recordKinds.held, prefix, limit })
      for (const record of held) ws.remove(record.kind, record.key)
      instance.status = 'cancelled'
      instance.reason = by.reason ?? null
      instance.stuck = null
      instance.queue = []
      instance.holding = false
    })
  }

  async schedules(prefix: string, limit: number = LIST_LIMIT): Promise<readonly ScheduleInfo[]> {
    const found = await this.#port.records.list({ kind: recordKinds.schedule, prefix, limit })
    return found.map(scheduleInfo)
  }

  async #change(
    action: string,
    name: string,
    key: string,
    by: ByHand,
    work: (ws: Workspace, slot: Slot, instance: Instance) => Promise<void>,
  ): Promise<void> {
    await this.#port.transaction(async (tx) => {
      const ws = new Workspace(tx, name, this.#runtime)
      await ws.load([key])
      const slot = ws.slot(key)
      if (slot.instance === undefined) throw new ProcessNotFoundError(name, key)
      const before = slot.instance.status
      await work(ws, slot, slot.instance)
      slot.changed = true
      ws.put({
        kind: 'audit',
        key: this.#runtime.ids.next(),
        expected: 0,
        value: {
          at: ws.now,
          actor: by.actor ?? 'unknown',
          action: `process.${action}`,
          subject: `${name}/${key}`,
          details: { before, reason: by.reason ?? null },
        },
      })
      await ws.flush()
    })
  }
}

async function dropFirstHeld(ws: Workspace, key: string): Promise<void> {
  const prefix = `${instanceKey(ws.process, key)}/`
  const [first] = await ws.tx.records.list({ kind: recordKinds.held, prefix, limit: 1 })
  if (first !== undefined) ws.remove(first.kind, first.key)
}

function dropDeadline(ws: Workspace, instance: Instance, key: string, name: string): void {
  ws.remove(recordKinds.schedule, deadlineKey(ws.process, key, name))
  instance.deadlines = instance.deadlines.filter((set) => set !== name)
}

async function dropCommand(ws: Workspace, instance: Instance, id: string): Promise<void> {
  const record = await ws.record(recordKinds.command, commandKey(ws.process, id))
  if (record !== undefined) {
    ws.putCommand(id, recordValue<CommandValue>(record), 'skipped', undefined)
  }
  instance.queue = instance.queue.filter((queued) => queued !== id)
}
