import { uuidV5 } from '../kernel/index.ts'
import { assertJson, DefinitionError, type Json, type RecordedEvent } from '../model/index.ts'
import type { StoredRecord } from '../ports/index.ts'
import { type Cause, deadlineCause, eventCause, react, rejectedCause, stuckOn } from './cause.ts'
import type { Effects } from './collect.ts'
import type { ProcessDefinition } from './define-process.ts'
import type { DefinitionSet } from './definition-set.ts'
import { foldHistory, receivedEvent } from './history.ts'
import {
  type Chain,
  type CommandValue,
  commandKey,
  deadlineKey,
  heldKey,
  type Instance,
  isFinal,
  recordKinds,
  recordValue,
  type ScheduleValue,
  type StoredTarget,
  type StuckCause,
  storedError,
} from './instance.ts'
import { occurrenceFollowing } from './recurrence.ts'
import type { Slot, Workspace } from './workspace.ts'

function newInstance(version: number, chain: Chain, now: number): Instance {
  return {
    ...{ version, chain, status: 'running', begun: false, state: null, undo: [], undoneCount: 0 },
    ...{ queue: [], deadlines: [], ending: null, reason: null, holding: false, stuck: null },
    ...{ startedAt: now, updatedAt: now, position: 0 },
  }
}

function chainOf({ id, metadata }: RecordedEvent): Chain {
  return { correlationId: metadata.correlationId ?? id, tenant: metadata.tenant ?? null }
}

/** The moves of the processes of one name, each within a workspace's transaction. */
export class Steps {
  readonly #definitions: DefinitionSet

  constructor(definitions: DefinitionSet) {
    this.#definitions = definitions
  }

  /** What stands in the place of a stored event. */
  upcast(event: RecordedEvent): readonly RecordedEvent[] {
    return this.#definitions.upcast(event)
  }

  /** An upcast event for a process: begins it, moves it, or waits while it is stuck. */
  async event(ws: Workspace, slot: Slot, event: RecordedEvent, part: number): Promise<void> {
    if (slot.instance === undefined) {
      const { newest } = this.#definitions
      if (!(newest.starts ?? newest.types).includes(event.type)) return
      slot.instance = newInstance(newest.version, chainOf(event), ws.now)
      slot.changed = true
    }
    const { instance } = slot
    if (isFinal(instance.status)) return
    if (instance.status === 'stuck' || instance.holding) return this.#hold(ws, slot, event, part)
    if (!(await this.move(ws, slot, eventCause(event)))) this.#hold(ws, slot, event, part)
  }

  /** A deadline that has come, as its record says. */
  async deadline(ws: Workspace, slot: Slot, record: StoredRecord): Promise<void> {
    const { instance } = slot
    const schedule = recordValue<ScheduleValue>(record)
    if (instance === undefined || isFinal(instance.status)) {
      ws.remove(recordKinds.schedule, record.key)
      return
    }
    if (instance.status === 'stuck') return ws.putSchedule(record.key, schedule, 'held')
    // Removed before the handler runs, so that the handler may set it anew.
    const isSet = instance.deadlines.includes(schedule.name)
    this.#pass(ws, slot, record.key, schedule)
    if (await this.move(ws, slot, deadlineCause(schedule))) return
    if (isSet && !instance.deadlines.includes(schedule.name)) instance.deadlines.push(schedule.name)
    ws.putSchedule(record.key, schedule, 'held')
  }

  /** Moves a deadline to its next occurrence, or away. */
  #pass(ws: Workspace, slot: Slot, key: string, schedule: ScheduleValue): void {
    const { recurrence, dueAt } = schedule
    const next = recurrence === null ? undefined : occurrenceFollowing(recurrence, dueAt, ws.now)
    if (next !== undefined) {
      ws.putSchedule(key, { ...schedule, dueAt: next }, 'pending')
      return
    }
    ws.remove(recordKinds.schedule, key)
    const { instance } = slot
    if (instance === undefined) return
    instance.deadlines = instance.deadlines.filter((name) => name !== schedule.name)
    slot.changed = true
  }

  /** A command that was refused by its aggregate. Stays in front when the process gets stuck. */
  async rejected(
    ws: Workspace,
    slot: Slot,
    record: StoredRecord,
    {
      id,
      reason,
      details,
    }: { readonly id: string; readonly reason: string; readonly details: Json },
  ): Promise<void> {
    const { instance } = slot
    const value = recordValue<CommandValue>(record)
    if (instance === undefined || isFinal(instance.status)) {
      ws.putCommand(id, value, 'refused', undefined)
      return
    }
    if (value.isUndo) {
      const refusal = new Error(`a step could not be taken back: ${reason}`)
      return this.commandFailed(ws, slot, id, value, refusal)
    }
    if (instance.status === 'stuck') return ws.putCommand(id, value, 'pending', undefined)
    const [head, ...rest] = instance.queue
    instance.queue = rest
    slot.changed = true
    if (await this.#answer(ws, slot, record, { id, reason, details })) {
      ws.putCommand(id, value, 'refused', undefined)
      return
    }
    instance.queue = head === undefined ? rest : [head, ...rest]
    ws.putCommand(id, value, 'stuck', undefined)
  }

  async #answer(
    ws: Workspace,
    slot: Slot,
    record: StoredRecord,
    {
      id,
      reason,
      details,
    }: { readonly id: string; readonly reason: string; readonly details: Json },
  ): Promise<boolean> {
    const definition = this.#definitionOf(slot)
    const instance = slot.instance as Instance
    if (definition === undefined || definition.onRejected !== undefined) {
      return this.move(ws, slot, rejectedCause(record, id, reason, details))
    }
    if (instance.status === 'compensating') {
      await this.advance(ws, slot)
      return true
    }
    if (instance.undo.length === 0 && definition.onCompensated === undefined) {
      const unanswered = new Error(`a command was refused, and nothing handles it: ${reason}`)
      this.stick(ws, slot, { kind: 'command', commandId: id }, unanswered)
      return false
    }
    await this.compensate(ws, slot, reason)
    await this.advance(ws, slot)
    return true
  }

  /** A command that is done: the next one may go. */
  async done(ws: Workspace, slot: Slot, id: string, value: CommandValue): Promise<void> {
    const { instance } = slot
    if (instance === undefined || !instance.queue.includes(id)) return
    instance.queue = instance.queue.filter((queued) => queued !== id)
    if (value.undo !== null) instance.undo.push(value.undo)
    slot.changed = true
    await this.advance(ws, slot)
  }

  /** A command that failed for good: the process waits for a person. */
  commandFailed(ws: Workspace, slot: Slot, id: string, value: CommandValue, error: unknown): void {
    ws.putCommand(id, { ...value, error: storedError(error) }, 'stuck', undefined)
    const { instance } = slot
    if (instance === undefined || isFinal(instance.status) || instance.status === 'stuck') return
    this.stick(ws, slot, { kind: 'command', commandId: id }, error)
  }

  /** Runs the handler of a cause and keeps what it wants; false when the process got stuck. */
  async move(ws: Workspace, slot: Slot, cause: Cause): Promise<boolean> {
    const instance = slot.instance as Instance
    slot.changed = true
    try {
      const definition = await this.#migrated(ws, slot)
      if (definition === undefined) {
        this.#stickOnVersion(ws, slot)
        return false
      }
      const compensating = instance.status === 'compensating'
      const { now } = ws
      const state = await this.#stateOf(ws, slot, definition)
      const effects = react(definition, state, cause, { key: slot.key, now, compensating })
      if (cause.kind === 'event') instance.position = cause.event.position
      if (effects !== undefined) {
        const emitted = await this.#emitted(ws, slot, cause, effects)
        this.#keepState(slot, definition, state, effects)
        if (definition.state === 'events') {
          const at = { now, compensating, version: definition.version }
          slot.received.push(receivedEvent(cause, at, instance.chain))
        }
        await this.#apply(ws, slot, cause, effects, emitted)
      }
    } catch (error) {
      this.stick(ws, slot, stuckOn(cause), error)
      return false
    }
    await this.advance(ws, slot)
    return true
  }

  async #emitted(
    ws: Workspace,
    slot: Slot,
    cause: Cause,
    { emissions, deadlines }: Effects,
  ): Promise<readonly (readonly [string, CommandValue])[]> {
    const { chain } = slot.instance as Instance
    for (const { name } of deadlines) deadlineKey(ws.process, slot.key, name)
    const made: (readonly [string, CommandValue])[] = []
    for (const [index, emission] of emissions.entries()) {
      const id = uuidV5('command', ws.process, slot.key, cause.id, index)
      const target = await ws.targetOf(emission, id, chain, cause.id)
      const { label, undo } = emission
      made.push([id, this.#command(ws, slot, { target, label, undo, isUndo: false }, cause.id)])
    }
    return made
  }

  #command(
    ws: Workspace,
    slot: Slot,
    what: Pick<CommandValue, 'target' | 'label' | 'undo' | 'isUndo'>,
    causationId: string,
  ): CommandValue {
    const { chain } = slot.instance as Instance
    const start = { createdAt: ws.now, attempts: 0, waits: 0, error: null }
    return { process: ws.process, instance: slot.key, ...what, causationId, chain, ...start }
  }

  #keepState(slot: Slot, definition: ProcessDefinition, state: unknown, effects: Effects): void {
    const instance = slot.instance as Instance
    const next = effects.state === undefined ? state : effects.state
    if (definition.state === 'events') slot.folded = { state: next }
    else {
      assertJson(next, 'state')
      instance.state = (next === undefined ? null : JSON.parse(JSON.stringify(next))) as Json
    }
    instance.begun = true
  }

  async #apply(
    ws: Workspace,
    slot: Slot,
    cause: Cause,
    effects: Effects,
    emitted: readonly (readonly [string, CommandValue])[],
  ): Promise<void> {
    const instance = slot.instance as Instance
    instance.undo.push(...effects.undo)
    for (const [index, change] of effects.deadlines.entries()) {
      const key = deadlineKey(ws.process, slot.key, change.name)
      instance.deadlines = instance.deadlines.filter((name) => name !== change.name)
      if (change.set === undefined) {
        ws.remove(recordKinds.schedule, key)
        continue
      }
      const id = uuidV5('schedule', ws.process, slot.key, cause.id, index)
      const common = { process: ws.process, instance: slot.key, name: change.name, id }
      ws.putSchedule(key, { ...common, ...change.set, target: null }, 'pending')
      instance.deadlines.push(change.name)
    }
    if (effects.completes && instance.status === 'running') {
      instance.ending = 'completed'
      this.#cancelDeadlines(ws, slot)
    }
    if (effects.compensates !== undefined) await this.compensate(ws, slot, effects.compensates)
    for (const [id, value] of emitted) {
      ws.addCommand(id, value, undefined)
      instance.queue.push(id)
    }
  }

  /**
   * Begins to take steps back. The first command may be under way, so it stays; the others have
   * not begun and are dropped.
   */
  async compensate(ws: Workspace, slot: Slot, reason: string): Promise<void> {
    const instance = slot.instance as Instance
    if (instance.status !== 'running') return
    const [head] = instance.queue
    const first =
      head === undefined
        ? undefined
        : await ws.record(recordKinds.command, commandKey(ws.process, head))
    const kept = first?.due === undefined ? [] : instance.queue.slice(0, 1)
    for (const id of instance.queue.slice(kept.length)) {
      ws.remove(recordKinds.command, commandKey(ws.process, id))
    }
    instance.queue = kept
    instance.status = 'compensating'
    instance.reason = reason
    instance.ending = null
    slot.changed = true
    this.#cancelDeadlines(ws, slot)
  }

  #cancelDeadlines(ws: Workspace, slot: Slot): void {
    const instance = slot.instance as Instance
    for (const name of instance.deadlines) {
      ws.remove(recordKinds.schedule, deadlineKey(ws.process, slot.key, name))
    }
    instance.deadlines = []
  }

  /** Lets the next command go; without one, takes the next step back or ends. */
  async advance(ws: Workspace, slot: Slot): Promise<void> {
    const instance = slot.instance as Instance
    if (instance.status === 'stuck' || isFinal(instance.status)) return
    const [head] = instance.queue
    if (head !== undefined) return this.#release(ws, head)
    if (instance.ending !== null) {
      instance.status = instance.ending
      slot.changed = true
      return
    }
    if (instance.status !== 'compensating') return
    slot.changed = true
    const target = instance.undo.pop()
    if (target !== undefined) return this.#takeBack(ws, slot, target)
    const reason = instance.reason ?? ''
    const id = uuidV5('compensated', ws.process, slot.key)
    // Set first: what the handler emits still runs before the end.
    instance.ending = 'compensated'
    const compensated: Cause = { kind: 'compensated', id, reason }
    if (!(await this.move(ws, slot, compensated))) instance.ending = null
  }

  async #takeBack(ws: Workspace, slot: Slot, target: StoredTarget): Promise<void> {
    const instance = slot.instance as Instance
    const id = uuidV5('undo', ws.process, slot.key, instance.undoneCount)
    instance.undoneCount += 1
    const what = { target, label: null, undo: null, isUndo: true }
    ws.addCommand(id, this.#command(ws, slot, what, id), ws.now)
    instance.queue.push(id)
  }

  async #release(ws: Workspace, id: string): Promise<void> {
    const record = await ws.record(recordKinds.command, commandKey(ws.process, id))
    if (record === undefined || record.state !== 'pending' || record.due !== undefined) return
    ws.putCommand(id, recordValue<CommandValue>(record), 'pending', ws.now)
  }

  /** Stops a process until somebody resumes it. */
  stick(ws: Workspace, slot: Slot, cause: StuckCause, error: unknown): void {
    const instance = slot.instance as Instance
    const { status } = instance
    if (status !== 'running' && status !== 'compensating') return
    instance.status = 'stuck'
    instance.stuck = { cause, error: storedError(error), at: ws.now, resumesAs: status }
    slot.changed = true
  }

  #stickOnVersion(ws: Workspace, slot: Slot): void {
    const { version } = slot.instance as Instance
    const { name, newest } = this.#definitions
    const error = new DefinitionError(
      `this process began with version ${version} of ${name}; register that version beside ${newest.version}, or give version ${newest.version} a migrate function`,
    )
    this.stick(ws, slot, { kind: 'version', version }, error)
  }

  /** The definition that a process is pinned to, or undefined when nobody here knows it. */
  #definitionOf(slot: Slot): ProcessDefinition | undefined {
    const { version } = slot.instance as Instance
    const { versions, newest } = this.#definitions
    const pinned = versions.get(version)
    if (pinned !== undefined) return pinned
    return newest.migrate !== undefined && newest.version > version ? newest : undefined
  }

  async #migrated(ws: Workspace, slot: Slot): Promise<ProcessDefinition | undefined> {
    const instance = slot.instance as Instance
    const definition = this.#definitionOf(slot)
    if (definition === undefined || definition.version === instance.version) return definition
    const { migrate } = definition
    if (typeof migrate === 'function' && instance.begun) {
      const next = migrate({ version: instance.version, state: instance.state })
      assertJson(next, 'state')
      instance.state = JSON.parse(JSON.stringify(next)) as Json
    }
    if (migrate === 'refold')
      slot.folded = { state: await foldHistory(ws.tx, definition, slot.key) }
    instance.version = definition.version
    slot.changed = true
    return definition
  }

  /** Moves a process to the newest version if it can, or says that it is stuck. */
  async checkVersion(ws: Workspace, slot: Slot): Promise<void> {
    const { instance } = slot
    if (instance === undefined || isFinal(instance.status)) return
    if (instance.status === 'stuck') {
      if (instance.stuck?.cause.kind !== 'version') return
      if (this.#definitionOf(slot) === undefined) return
      await this.resume(ws, slot)
      return
    }
    try {
      if ((await this.#migrated(ws, slot)) === undefined) this.#stickOnVersion(ws, slot)
    } catch (error) {
      this.stick(ws, slot, { kind: 'version', version: instance.version }, error)
    }
  }

  async #stateOf(ws: Workspace, slot: Slot, definition: ProcessDefinition): Promise<unknown> {
    const instance = slot.instance as Instance
    if (definition.state === 'record') {
      return instance.begun ? structuredClone(instance.state) : definition.initial()
    }
    slot.folded ??= {
      state: instance.begun ? await foldHistory(ws.tx, definition, slot.key) : definition.initial(),
    }
    return slot.folded.state
  }

  /** The state of a process; undefined when there is none, or nobody here knows its version. */
  async state(ws: Workspace, slot: Slot): Promise<unknown> {
    const definition = slot.instance === undefined ? undefined : this.#definitionOf(slot)
    return definition === undefined ? undefined : this.#stateOf(ws, slot, definition)
  }

  #hold(ws: Workspace, slot: Slot, event: RecordedEvent, part: number): void {
    const instance = slot.instance as Instance
    instance.holding = true
    slot.changed = true
    const { position, type, stream, version } = event
    ws.put({
      kind: recordKinds.held,
      key: heldKey(ws.process, slot.key, position, part),
      expected: 'any',
      value: { position, type, stream, version, part },
    })
  }

  /** Goes on with a stuck process: what it is stuck on is tried again. */
  async resume(ws: Workspace, slot: Slot): Promise<void> {
    const instance = slot.instance as Instance
    const { stuck } = instance
    if (stuck === null) return
    instance.status = stuck.resumesAs
    instance.stuck = null
    slot.changed = true
    for (const name of instance.deadlines) {
      const key = deadlineKey(ws.process, slot.key, name)
      const record = await ws.record(recordKinds.schedule, key)
      if (record?.state !== 'held') continue
      ws.putSchedule(key, recordValue<ScheduleValue>(record), 'pending')
    }
    const [head] = instance.queue
    if (head === undefined) return this.advance(ws, slot)
    const record = await ws.record(recordKinds.command, commandKey(ws.process, head))
    if (record === undefined) return
    const value = { ...recordValue<CommandValue>(record), attempts: 0, waits: 0 }
    ws.putCommand(head, value, 'pending', ws.now)
  }
}
