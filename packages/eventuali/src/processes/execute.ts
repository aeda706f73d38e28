import {
  aggregateRepository,
  type CommandRuntime,
  classRepository,
  type ExecuteOptions,
  refusalError,
} from '../commands/index.ts'
import { isEventualiError, isRetryable } from '../kernel/index.ts'
import {
  type AggregateDefinition,
  DefinitionError,
  type EventInput,
  isAggregateClass,
  type Json,
} from '../model/index.ts'
import type { CallOptions, EventStore } from '../ports/index.ts'
import type { CommandValue, StoredTarget } from './instance.ts'
import type { CommandTarget } from './process-context.ts'
import { commandMetadata } from './workspace.ts'

/**
 * What came of a command. `refused`: the domain's answer. `waiting`: storage did not help, which
 * is nobody's fault. `retry`: an error that may pass. `failed`: one that will not.
 */
export type CommandOutcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'refused'; readonly reason: string; readonly details: Json }
  | { readonly kind: 'waiting' | 'retry' | 'failed'; readonly error: unknown }

/** Runs a command of one aggregate by name. */
interface Runner {
  execute(id: string, command: string, input: unknown, options: ExecuteOptions): Promise<unknown>
}

function runnerFor(store: EventStore, runtime: CommandRuntime, target: CommandTarget): Runner {
  if (isAggregateClass(target)) {
    return classRepository(store, runtime, target) as unknown as Runner
  }
  const definition = target as unknown as AggregateDefinition<unknown, unknown, EventInput>
  return aggregateRepository(store, runtime, definition) as unknown as Runner
}

/** Codes of errors that say nothing of the command: the store went away, or is not ready for it. */
const storageCodes = new Set(['OUTCOME_UNKNOWN', 'STORE_CLOSED', 'PROJECTION_MISSING'])

function outcomeOf(error: unknown, signal: AbortSignal | undefined): CommandOutcome {
  if (isEventualiError(error, 'DOMAIN_REJECTED')) {
    const { reason, details } = error as unknown as { reason: string; details: unknown }
    return { kind: 'refused', reason, details: JSON.parse(JSON.stringify(details ?? null)) }
  }
  if (signal?.aborted === true || isRetryable(error)) return { kind: 'waiting', error }
  if (!isEventualiError(error)) return { kind: 'retry', error }
  return { kind: storageCodes.has(error.code) ? 'waiting' : 'failed', error }
}

/** Runs the commands that records keep. The same id again has no second effect. */
export class CommandExecutor {
  readonly #store: EventStore
  readonly #runtime: CommandRuntime
  readonly #targets: ReadonlyMap<string, CommandTarget>
  readonly #runners = new Map<string, Runner>()

  constructor(
    store: EventStore,
    runtime: CommandRuntime,
    targets: ReadonlyMap<string, CommandTarget>,
  ) {
    this.#store = store
    this.#runtime = runtime
    this.#targets = targets
  }

  /** Never rejects. */
  async execute(id: string, value: CommandValue, options: CallOptions): Promise<CommandOutcome> {
    try {
      await this.#run(id, value, options)
      return { kind: 'done' }
    } catch (error) {
      return outcomeOf(error, options.signal)
    }
  }

  async #run(id: string, value: CommandValue, options: CallOptions): Promise<void> {
    const { target } = value
    if (target.kind === 'append') return this.#append(target, options)
    const metadata = commandMetadata(value)
    const runner = this.#runner(target.aggregate)
    await runner.execute(target.id, target.command, target.input, {
      ...options,
      ...{ commandId: id, metadata },
    })
  }

  async #append(
    { stream, events }: Extract<StoredTarget, { readonly kind: 'append' }>,
    options: CallOptions,
  ): Promise<void> {
    const entry = { stream, expectedVersion: 'any', events } as const
    const outcome = await this.#store.append({ entries: [entry] }, options)
    if (!outcome.ok) throw refusalError(outcome)
  }

  #runner(name: string): Runner {
    const known = this.#runners.get(name)
    if (known !== undefined) return known
    const target = this.#targets.get(name)
    if (target === undefined) {
      throw new DefinitionError(`nobody here knows the aggregate ${name}; hand its definition in`)
    }
    const runner = runnerFor(this.#store, this.#runtime, target)
    this.#runners.set(name, runner)
    return runner
  }
}
