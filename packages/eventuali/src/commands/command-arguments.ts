import type {
  EventInput,
  EventMetadata,
  ExpectedVersion,
  RecordedEvent,
  RecordedFrom,
} from '../model/index.ts'
import type { CallOptions } from '../ports/index.ts'

/** Options of commands. */
export interface ExecuteOptions extends CallOptions {
  /** The same id again gives the first result and stores nothing. */
  readonly commandId?: string | undefined
  /** Version the caller has seen; with it, a conflict is not tried again. */
  readonly expectedVersion?: ExpectedVersion | undefined
  /** For all events of the command; wins over the context, an event's own wins over it. */
  readonly metadata?: EventMetadata | undefined
  /** Goes on after a deletion instead of failing. */
  readonly recreate?: boolean | undefined
  /** Tries after the first one, when others write to the same stream. */
  readonly retryCountMax?: number | undefined
}

/** What a command did. */
export interface ExecuteResult<E extends RecordedEvent = RecordedEvent> {
  readonly stream: string
  /** The stream's version after the command. */
  readonly version: number
  /** Position of the last event; undefined when the command gave none. */
  readonly position: number | undefined
  readonly events: readonly E[]
  /** True when the commandId was known: this is the first result, nothing new was stored. */
  readonly duplicate?: true
}

type CommandFunction = (state: never, ...rest: never) => unknown

type RestOf<F> = F extends (state: never, ...rest: infer Rest) => unknown ? Rest : never

type InputOf<Rest> = Rest extends readonly []
  ? undefined
  : Rest extends readonly [infer Input, ...unknown[]]
    ? Input
    : Rest extends readonly [(infer Input)?, ...unknown[]]
      ? Input | undefined
      : never

/** What stands behind a command's name: its input, where it has one, and options. */
export type CommandArguments<F> =
  undefined extends InputOf<RestOf<F>>
    ? [input?: InputOf<RestOf<F>>, options?: ExecuteOptions]
    : [input: InputOf<RestOf<F>>, options?: ExecuteOptions]

/** The commands of one aggregate as methods. */
export type BoundCommands<C, E extends EventInput> = {
  readonly [K in keyof C]: C[K] extends CommandFunction
    ? (...input: CommandArguments<C[K]>) => Promise<ExecuteResult<RecordedFrom<E>>>
    : never
}
