import { append, type CommandRuntime, defaultRetryPolicy } from '../commands/index.ts'
import { type Clock, seededRandom, uuidV7Source } from '../kernel/index.ts'
import type { EventInput, RecordedEvent } from '../model/index.ts'
import type { EventStore } from '../ports/index.ts'
import type { ProcessDefinition } from './define-process.ts'
import { definitionSets } from './definition-set.ts'
import { DueWork } from './due-work.ts'
import type { CommandOutcome } from './execute.ts'
import type { CommandValue, StoredTarget } from './instance.ts'
import { type ProcessDetails, ProcessOperations } from './operations.ts'
import { Steps } from './steps.ts'
import { Workspace } from './workspace.ts'

/** A command, or events to append, that a rehearsed process asked for. */
export interface RehearsedWork {
  readonly target: StoredTarget
  readonly label: string | undefined
}

/** One command tries more than this never: what a rehearsal emits is done at once or refused. */
const LOOK_COUNT_MAX = 1000

const limits = {
  ...{ batchCountMax: 100, concurrency: 1, timeoutMs: 30_000, keepDoneMs: 0 },
  retry: { retryCountMax: 0, firstDelayMs: 1, delayMaxMs: 1 },
}

/**
 * One process definition run by the very engine that stores use, on a store of its own, with a
 * clock that stands still and commands that are written down instead of run. For specifications.
 */
export class Rehearsal {
  /** All that was asked for, in order. */
  readonly work: RehearsedWork[] = []
  /** Reasons for which commands are refused, by label or name. */
  readonly refusals: Map<string, string> = new Map()
  readonly #store: EventStore
  readonly #definition: ProcessDefinition
  readonly #runtime: CommandRuntime
  readonly #steps: Steps
  readonly #due: DueWork
  #now: number

  constructor(store: EventStore, definition: ProcessDefinition, now: Date) {
    this.#store = store
    this.#definition = definition
    this.#now = now.getTime()
    const clock: Clock = {
      now: () => this.#now,
      monotonic: () => this.#now,
      timer: () => () => {},
    }
    const random = seededRandom(1)
    this.#runtime = {
      ...{ clock, random, ids: uuidV7Source(clock, random), retry: defaultRetryPolicy },
      ...{ registry: definition.registry, unknown: 'allow' },
    }
    const [set] = definitionSets([definition]).values()
    this.#steps = new Steps(set as NonNullable<typeof set>)
    this.#due = new DueWork({
      ...{ store, runtime: this.#runtime, process: definition.name, steps: this.#steps, limits },
      executor: { execute: async (_id, value) => this.#execute(value) },
    })
  }

  /** Lets an event happen; gives the key of its process, or undefined when it has none. */
  async event(stream: string, input: EventInput): Promise<string | undefined> {
    const { events } = await append(this.#store, this.#runtime, stream, input)
    // As the log has it: the data encoded.
    const event = await this.#stored(stream, events[0]?.version ?? 0)
    const { registry, types, correlate, name } = this.#definition
    if (!types.includes(event.type)) return undefined
    const key = correlate(registry.decode(event))
    if (key === undefined) return undefined
    await this.#store.transaction(async (tx) => {
      const ws = new Workspace(tx, name, this.#runtime)
      await ws.load([key])
      await this.#steps.event(ws, ws.slot(key), event, 0)
      await ws.flush()
    })
    await this.settle()
    return key
  }

  /** Lets time pass; what falls due meanwhile is done in its order, each at its own time. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms
    for (let look = 0; look < LOOK_COUNT_MAX; look++) {
      await this.settle()
      const { nextDue } = await this.#due.look(end - this.#now)
      if (nextDue === undefined || nextDue > end) break
      this.#now = nextDue
    }
    this.#now = end
    await this.settle()
  }

  /** What is known of a process. */
  process(key: string): Promise<ProcessDetails | undefined> {
    return new ProcessOperations(this.#store, this.#runtime).get(this.#definition.name, key)
  }

  /** The state of a process, folded where it is kept as events. */
  state(key: string): Promise<unknown> {
    return this.#store.transaction(async (tx) => {
      const ws = new Workspace(tx, this.#definition.name, this.#runtime)
      await ws.load([key])
      return this.#steps.state(ws, ws.slot(key))
    })
  }

  async settle(): Promise<void> {
    for (let look = 0; look < LOOK_COUNT_MAX; look++) {
      if (!(await this.#due.look(0)).worked) return
    }
  }

  async #stored(stream: string, version: number): Promise<RecordedEvent> {
    const query = { stream, from: version, limit: 1, direction: 'forward' } as const
    const [page] = await Array.fromAsync(this.#store.readStream(query))
    return page?.[0] as RecordedEvent
  }

  #execute({ target, label }: CommandValue): CommandOutcome {
    this.work.push({ target, label: label ?? undefined })
    const name = target.kind === 'command' ? target.command : target.stream
    const reason = this.refusals.get(label ?? '') ?? this.refusals.get(name)
    return reason === undefined ? { kind: 'done' } : { kind: 'refused', reason, details: null }
  }
}
