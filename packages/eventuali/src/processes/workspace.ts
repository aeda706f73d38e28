import { type CommandRuntime, prepareEvents, refusalError } from '../commands/index.ts'
import { uuidV5 } from '../kernel/index.ts'
import { type EventMetadata, encodeEvent } from '../model/index.ts'
import type { NewEvent, RecordChange, StoredRecord, StoreTransaction } from '../ports/index.ts'
import type { Emission } from './collect.ts'
import { historyStream } from './history.ts'
import {
  type Chain,
  type CommandValue,
  commandKey,
  type Instance,
  instanceKey,
  listedState,
  recordKinds,
  recordValue,
  type ScheduleValue,
  type StoredTarget,
} from './instance.ts'

/** One process in a transaction: locked, changed in memory, written at the end. */
export interface Slot {
  readonly key: string
  readonly recordKey: string
  readonly revision: number
  /** Undefined while there is no such process. */
  instance: Instance | undefined
  /** The state folded from events, once it was needed; a box, since it may be anything. */
  folded: { state: unknown } | undefined
  /** Events for the process's own stream. */
  readonly received: NewEvent[]
  changed: boolean
}

function metadataOf(chain: Chain, causationId: string): EventMetadata {
  const { correlationId, tenant } = chain
  return { correlationId, causationId, ...(tenant === null ? {} : { tenant }) }
}

/** The metadata of a command's events. */
export function commandMetadata({ chain, causationId }: CommandValue): EventMetadata {
  return metadataOf(chain, causationId)
}

/**
 * All that a transaction does to the processes of one name. Changes are gathered and written
 * together, so that a batch of events costs a few statements. The lock on a process's record keeps
 * everybody else from its commands and deadlines too.
 */
export class Workspace {
  readonly tx: StoreTransaction
  readonly process: string
  readonly runtime: CommandRuntime
  readonly now: number
  readonly #slots = new Map<string, Slot>()
  readonly #changes = new Map<string, RecordChange>()
  readonly #created = new Set<string>()

  constructor(tx: StoreTransaction, process: string, runtime: CommandRuntime) {
    this.tx = tx
    this.process = process
    this.runtime = runtime
    this.now = runtime.clock.now()
  }

  /** Whether anything was emitted that somebody has to look after. */
  get hasWork(): boolean {
    return this.#changes.size > 0
  }

  /** Locks and loads processes that are not loaded yet. */
  async load(keys: Iterable<string>): Promise<void> {
    const missing = [...new Set(keys)]
      .map((key) => ({ key, recordKey: instanceKey(this.process, key) }))
      .filter(({ key }) => !this.#slots.has(key))
      .sort((a, b) => (a.recordKey < b.recordKey ? -1 : 1))
    if (missing.length === 0) return
    const recordKeys = missing.map(({ recordKey }) => recordKey)
    const records = await this.tx.records.lock(recordKinds.process, recordKeys)
    missing.forEach(({ key, recordKey }, index) => {
      const record = records[index]
      this.#slots.set(key, {
        key,
        recordKey,
        revision: record?.revision ?? 0,
        instance: record === undefined ? undefined : structuredClone(recordValue<Instance>(record)),
        folded: undefined,
        received: [],
        changed: false,
      })
    })
  }

  /** A process that `load` was asked for. */
  slot(key: string): Slot {
    const slot = this.#slots.get(key)
    if (slot === undefined) throw new Error(`process ${this.process}/${key} was not loaded`)
    return slot
  }

  /** A record as this transaction will leave it; undefined for none. */
  async record(kind: string, key: string): Promise<StoredRecord | undefined> {
    const change = this.#changes.get(`${kind}\n${key}`)
    if (change === undefined) return (await this.tx.records.get(kind, [key]))[0]
    if (change.value === undefined) return undefined
    const { value, state, due } = change
    return { kind, key, revision: 0, value, state, due }
  }

  /** Writes (or without a value removes) a record at the end; the last write of a key counts. */
  put(change: RecordChange): void {
    const name = `${change.kind}\n${change.key}`
    const before = this.#changes.get(name)
    // A record that was made and removed here was never there.
    if (change.value === undefined && this.#created.has(name)) this.#changes.delete(name)
    else this.#changes.set(name, { ...change, expected: before?.expected ?? change.expected })
  }

  /** A new command, behind the others of its process. */
  addCommand(id: string, value: CommandValue, due: number | undefined): void {
    const key = commandKey(this.process, id)
    const kind = recordKinds.command
    this.#created.add(`${kind}\n${key}`)
    this.put({ kind, key, expected: 0, value: asJson(value), state: 'pending', due })
  }

  putCommand(id: string, value: CommandValue, state: string, due: number | undefined): void {
    const key = commandKey(this.process, id)
    this.put({ kind: recordKinds.command, key, expected: 'any', value: asJson(value), state, due })
  }

  putSchedule(key: string, value: ScheduleValue, state: 'pending' | 'held'): void {
    const due = state === 'pending' ? value.dueAt : undefined
    const kind = recordKinds.schedule
    this.put({ kind, key, expected: 'any', value: asJson(value), state, due })
  }

  remove(kind: string, key: string): void {
    this.put({ kind, key, expected: 'any' })
  }

  /**
   * What an emission asks for, as records keep it: events are validated, encoded and named now, so
   * that what is wrong with them is the handler's failure.
   */
  async targetOf(
    emission: Emission,
    commandId: string,
    chain: Chain,
    causationId: string,
  ): Promise<StoredTarget> {
    const { target } = emission
    if (target.kind !== 'events') return target
    const { stream } = target
    const { events } = await prepareEvents(this.runtime, stream, target.events, {
      metadata: metadataOf(chain, causationId),
      idAt: (index) => uuidV5(commandId, stream, index),
    })
    for (const event of events) encodeEvent(stream, event)
    return { kind: 'append', stream, events }
  }

  /** Writes everything. */
  async flush(): Promise<void> {
    await this.#dropKnownCommands()
    for (const slot of this.#slots.values()) {
      const { instance, received, key, recordKey, revision } = slot
      if (received.length > 0) await this.#appendReceived(key, received)
      if (!slot.changed || instance === undefined) continue
      instance.updatedAt = this.now
      this.put({
        kind: recordKinds.process,
        key: recordKey,
        expected: revision,
        value: asJson(instance),
        state: listedState(instance),
      })
    }
    if (this.#changes.size === 0) return
    await this.tx.records.write([...this.#changes.values()])
  }

  /** A command that is there already came from the same cause before: once is enough. */
  async #dropKnownCommands(): Promise<void> {
    if (this.#created.size === 0) return
    const keys = [...this.#created].map((name) => name.slice(recordKinds.command.length + 1))
    const known = await this.tx.records.get(recordKinds.command, keys)
    for (const record of known) {
      if (record === undefined) continue
      const { instance: key } = recordValue<CommandValue>(record)
      this.#changes.delete(`${record.kind}\n${record.key}`)
      const instance = key === null ? undefined : this.#slots.get(key)?.instance
      if (instance === undefined || record.state === 'pending') continue
      const id = record.key.slice(this.process.length + 1)
      instance.queue = instance.queue.filter((queued) => queued !== id)
      const next = `${recordKinds.command}\n${commandKey(this.process, instance.queue[0] ?? '')}`
      const change = this.#changes.get(next)
      if (change !== undefined) this.#changes.set(next, { ...change, due: this.now })
    }
  }

  async #appendReceived(key: string, events: readonly NewEvent[]): Promise<void> {
    const stream = historyStream(this.process, key)
    const outcome = await this.tx.append({
      entries: [{ stream, expectedVersion: 'any', events }],
    })
    if (!outcome.ok) throw refusalError(outcome)
  }
}

function asJson(value: object): NonNullable<RecordChange['value']> {
  return JSON.parse(JSON.stringify(value))
}
