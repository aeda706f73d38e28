import assert from 'node:assert/strict'
import type { EventInput } from '../../model/index.ts'
import {
  type CommandTarget,
  type DeadlineSchemas,
  type Duration,
  durationMs,
  type ProcessDefinition,
  type ProcessDetails,
  type ProcessStatus,
  Rehearsal,
  type RehearsedWork,
  type ScheduledAction,
} from '../../processes/index.ts'
import { openMemoryStore } from '../../stores/memory/index.ts'

/** What a specification of a process may say of its surroundings. */
export interface GivenProcessOptions {
  /** The time at which it begins; 2000-01-01 when left out. */
  readonly now?: Date
  /** The stream of the events until `in` names another one; `given-1` when left out. */
  readonly stream?: string
}

type Act = (rehearsal: Rehearsal, scene: Scene) => Promise<void>

interface Scene {
  key: string | undefined
  /** Where the work of the last `when` begins. */
  from: number
}

/** A process with its past. All that begins with `then` returns a promise; await it. */
export interface GivenProcess<S, E extends EventInput> {
  /** Later events are of this stream. */
  in(stream: string): GivenProcess<S, E>
  /** What has happened. The commands that it led to succeeded, unless `refusing` says otherwise. */
  events(...events: readonly E[]): GivenProcess<S, E>
  /** Commands of this label or name are refused from here on. */
  refusing(command: string, reason: string): GivenProcess<S, E>
  /** What happens now. */
  when(...events: readonly E[]): GivenProcess<S, E>
  /** Time passes; deadlines come in their order. */
  whenTimePasses(duration: Duration): GivenProcess<S, E>
  /** Exactly these commands and events were asked for since the last `when…`, in this order. */
  thenCommands(expected: readonly ScheduledAction[]): Promise<void>
  /** Nothing was asked for since the last `when…`. */
  thenNothing(): Promise<void>
  /** The state of the process that the last event belongs to. */
  thenState(expected: S | ((state: S) => void)): Promise<void>
  thenStatus(expected: ProcessStatus): Promise<void>
  /** Exactly these deadlines are set: names with their moments. */
  thenDeadlines(expected: Readonly<Record<string, Date>>): Promise<void>
}

const defaultNow = new Date('2000-01-01T00:00:00Z')

function comparableWork({ target }: RehearsedWork): unknown {
  if (target.kind === 'command') return target
  const events = target.events.map(({ type, data }) => ({ type, data }))
  return { kind: 'append', stream: target.stream, events }
}

function comparableAction(action: ScheduledAction): unknown {
  if (action.kind === 'command') return action.stored
  const { events } = action
  const list = (Array.isArray(events) ? events : [events]) as readonly EventInput[]
  const plain = list.map(({ type, data }) => ({ type, data }))
  return { kind: 'append', stream: action.stream, events: plain }
}

class Specification<S, E extends EventInput> implements GivenProcess<S, E> {
  readonly #definition: ProcessDefinition
  readonly #now: Date
  readonly #stream: string
  readonly #acts: readonly Act[]

  constructor(definition: ProcessDefinition, now: Date, stream: string, acts: readonly Act[]) {
    this.#definition = definition
    this.#now = now
    this.#stream = stream
    this.#acts = acts
  }

  in(stream: string): GivenProcess<S, E> {
    return new Specification(this.#definition, this.#now, stream, this.#acts)
  }

  events(...events: readonly E[]): GivenProcess<S, E> {
    const stream = this.#stream
    return this.#and(async (rehearsal, scene) => {
      for (const event of events) scene.key = (await rehearsal.event(stream, event)) ?? scene.key
    })
  }

  refusing(command: string, reason: string): GivenProcess<S, E> {
    return this.#and(async (rehearsal) => {
      rehearsal.refusals.set(command, reason)
    })
  }

  when(...events: readonly E[]): GivenProcess<S, E> {
    return this.#begin().events(...events)
  }

  whenTimePasses(duration: Duration): GivenProcess<S, E> {
    const ms = durationMs(duration)
    return this.#begin().#and((rehearsal) => rehearsal.pass(ms))
  }

  async thenCommands(expected: readonly ScheduledAction[]): Promise<void> {
    const { rehearsal, scene } = await this.#run()
    const actual = rehearsal.work.slice(scene.from).map(comparableWork)
    assert.deepEqual(actual, expected.map(comparableAction))
  }

  thenNothing(): Promise<void> {
    return this.thenCommands([])
  }

  async thenState(expected: S | ((state: S) => void)): Promise<void> {
    const { rehearsal, key } = await this.#found()
    const state = (await rehearsal.state(key)) as S
    if (typeof expected === 'function') (expected as (state: S) => void)(state)
    else assert.deepEqual(state, expected)
  }

  async thenStatus(expected: ProcessStatus): Promise<void> {
    const { process } = await this.#found()
    const why = process.reason === undefined ? '' : `: ${process.reason}`
    assert.equal(process.status, expected, `the process is ${process.status}${why}`)
  }

  async thenDeadlines(expected: Readonly<Record<string, Date>>): Promise<void> {
    const { process } = await this.#found()
    const actual = Object.fromEntries(process.schedules.map(({ name, dueAt }) => [name, dueAt]))
    assert.deepEqual(actual, expected)
  }

  #and(act: Act): Specification<S, E> {
    return new Specification(this.#definition, this.#now, this.#stream, [...this.#acts, act])
  }

  #begin(): Specification<S, E> {
    return this.#and(async (rehearsal, scene) => {
      scene.from = rehearsal.work.length
    })
  }

  async #run(): Promise<{ readonly rehearsal: Rehearsal; readonly scene: Scene }> {
    const rehearsal = new Rehearsal(await openMemoryStore(), this.#definition, this.#now)
    const scene: Scene = { key: undefined, from: 0 }
    for (const act of this.#acts) await act(rehearsal, scene)
    if (scene.key !== undefined) await assertNotBroken(rehearsal, scene.key)
    return { rehearsal, scene }
  }

  async #found(): Promise<{
    readonly rehearsal: Rehearsal
    readonly key: string
    readonly process: ProcessDetails
  }> {
    const { rehearsal, scene } = await this.#run()
    const process = scene.key === undefined ? undefined : await rehearsal.process(scene.key)
    if (scene.key === undefined || process === undefined) {
      assert.fail('no process was begun; does correlate give a key, and does an event start it?')
    }
    return { rehearsal, key: scene.key, process }
  }
}

/** A handler that throws is shown as what it is, not as a difference in commands. */
async function assertNotBroken(rehearsal: Rehearsal, key: string): Promise<void> {
  const stuck = (await rehearsal.process(key))?.stuck
  if (stuck === undefined || stuck === null || stuck.cause.kind === 'command') return
  const error = new Error(`a handler failed: ${stuck.error.message}`)
  if (stuck.error.stack !== null) error.stack = stuck.error.stack
  throw error
}

/**
 * Begins a specification of a process: events happen, time passes, then commands are expected. It
 * runs on the same engine as in a store, in memory; commands are written down, not run.
 *
 * @example
 * ```ts
 * import { appendTo, defineEvents, defineProcess, type } from 'eventuali'
 * import { givenProcess } from 'eventuali/testing'
 *
 * const events = defineEvents({ Placed: type<null>(), Paid: type<null>(), Lapsed: type<null>() })
 * const Payment = defineProcess({
 *   name: 'payment',
 *   events: [events],
 *   correlate: ({ stream }) => stream,
 *   initial: () => ({}),
 *   on: {
 *     Placed: (_state, _event, ctx) => ctx.after('30 minutes', 'overdue'),
 *     Paid: (_state, _event, ctx) => ctx.complete(),
 *   },
 *   deadlines: { overdue: type<null>() },
 *   onDeadline: {
 *     overdue: (_state, _deadline, ctx) => {
 *       ctx.append(ctx.key, events.Lapsed(null))
 *       ctx.complete()
 *     },
 *   },
 * })
 *
 * await givenProcess(Payment, { stream: 'order-1' })
 *   .events(events.Placed(null))
 *   .whenTimePasses('31 minutes')
 *   .thenCommands([appendTo('order-1', events.Lapsed(null))])
 * ```
 */
export function givenProcess<
  S,
  E extends EventInput,
  A extends CommandTarget,
  D extends DeadlineSchemas,
>(
  process: ProcessDefinition<S, E, A, D>,
  { now = defaultNow, stream = 'given-1' }: GivenProcessOptions = {},
): GivenProcess<S, E> {
  return new Specification<S, E>(process as unknown as ProcessDefinition, now, stream, [])
}
