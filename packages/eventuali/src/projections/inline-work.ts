import type { Clock } from '../kernel/index.ts'
import {
  InlineProjectionError,
  ProjectionOrderError,
  ProjectionTimeoutError,
  type RecordedEvent,
} from '../model/index.ts'
import type {
  AppendedEntry,
  AppendOutcome,
  AppendRequest,
  NewEvent,
  StoreTransaction,
} from '../ports/index.ts'
import type { AnyProjection } from './define.ts'
import { liveOf, readAllRegistered } from './registry.ts'
import { isStorageTrouble, isWanted, ProjectionRun } from './run.ts'

function recorded(
  { id, type, data, metadata, time, schemaVersion, tags }: NewEvent,
  entry: AppendedEntry,
  version: number,
  position: number,
): RecordedEvent {
  return {
    ...{ id, stream: entry.stream, version, position, type, schemaVersion, tags },
    // As a reader of the log gets them: what JSON carries, and objects of their own.
    data: JSON.parse(JSON.stringify(data)),
    metadata: JSON.parse(JSON.stringify(metadata)),
    time: new Date(time),
    recordedAt: new Date(entry.recordedAt),
  }
}

/** The events that an append has stored, in log order; none when it was a repetition. */
export function storedEvents(
  request: AppendRequest,
  outcome: AppendOutcome,
): readonly RecordedEvent[] {
  if (!outcome.ok) return []
  const stored = outcome.entries.flatMap((entry, index) => {
    const events = request.entries[index]?.events ?? []
    if (entry.duplicate !== undefined) return []
    const before = entry.version - events.length
    return events.map((event, at) =>
      recorded(event, entry, before + at + 1, entry.positions[at] ?? 0),
    )
  })
  return stored.sort((a, b) => a.position - b.position)
}

function namedError(projection: string, error: unknown): unknown {
  if (error instanceof ProjectionOrderError || error instanceof ProjectionTimeoutError) return error
  return isStorageTrouble(error) ? error : new InlineProjectionError(projection, error)
}

/** What inline projections do in one transaction, for one append or for several. */
export class InlineWork {
  readonly #runs: readonly ProjectionRun[]

  private constructor(runs: readonly ProjectionRun[]) {
    this.#runs = runs
  }

  /**
   * Finds the generations to write to, after an append of this transaction: a switch of
   * generations holds appends back, so that none comes in between.
   */
  static async begin(
    tx: StoreTransaction,
    projections: readonly AnyProjection[],
    options: {
      readonly clock: Clock
      readonly qualifier: string
      /** Told of those that are inline no more. */
      readonly onGone: (name: string) => void
    },
  ): Promise<InlineWork> {
    const registered = await readAllRegistered(
      tx.records,
      projections.map(({ name }) => name),
    )
    const runs = projections.flatMap((projection, index) => {
      const live = liveOf(registered[index])
      if (live?.mode === 'inline' && live.version === projection.version) {
        const { clock, qualifier } = options
        return [
          new ProjectionRun(projection, live.generation, tx, { clock, qualifier, inline: true }),
        ]
      }
      options.onGone(projection.name)
      return []
    })
    return new InlineWork(runs)
  }

  /** Locks the documents of all events that will be handled: before the first handler runs. */
  async take(events: readonly RecordedEvent[]): Promise<void> {
    for (const run of this.#runs) {
      try {
        await run.take(events.filter((event) => isWanted(run.projection, event)))
      } catch (error) {
        throw namedError(run.projection.name, error)
      }
    }
  }

  /** Runs the handlers of one append's events. */
  async handle(events: readonly RecordedEvent[]): Promise<void> {
    for (const run of this.#runs) {
      const wanted = events.filter((event) => isWanted(run.projection, event))
      if (wanted.length === 0) continue
      try {
        await run.handle(wanted)
      } catch (error) {
        throw namedError(run.projection.name, error)
      }
    }
  }

  /** Writes what the handlers have left. */
  async end(): Promise<void> {
    for (const run of this.#runs) await run.end()
  }
}
