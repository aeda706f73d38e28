import type { Clock, Random } from '../kernel/index.ts'
import type { EventStore } from '../ports/index.ts'
import { Migration, type MigrationPlan } from './migration-plan.ts'
import { type PortOrStore, portOf } from './port-or-store.ts'
import { replayMapped } from './replay.ts'
import type { ReplayCounts, ReplayFrom, ReplayProgress } from './replay-options.ts'

/** Options of `migrateEvents`. */
export interface MigrationOptions extends MigrationPlan {
  /** Another store, or the same one when events go to other streams. */
  readonly into: PortOrStore<EventStore>
  /** The next run of the name takes what has come since; `migration` when left out. */
  readonly name?: string | undefined
  /** The last position, inclusive; the safe position at the start when left out. */
  readonly upTo?: number | undefined
  /** Events in a second, at most. */
  readonly ratePerSecond?: number | undefined
  /** Runs the plan and counts; nothing is written. */
  readonly dryRun?: boolean | undefined
  readonly onProgress?: ((progress: ReplayProgress) => void) | undefined
  /** Ends it after the batch in hand; the result says `stopped`. */
  readonly signal?: AbortSignal | undefined
  /** Milliseconds for one transaction; 30,000 when left out. */
  readonly timeoutMs?: number | undefined
  readonly clock?: Clock | undefined
  readonly random?: Random | undefined
}

/** What a migration did. */
export interface MigrationResult {
  /** Events of the source that this run read for it. */
  readonly read: number
  /** Events that were written (in a dry run: would be). */
  readonly written: number
  /** Everything of the source up to it is done. */
  readonly position: number
  readonly seconds: number
  readonly stopped?: boolean | undefined
  /** Of a dry run: by type and by category, as they would be written. */
  readonly counts?: ReplayCounts | undefined
  /** How to go over to the new store from here. */
  readonly cutOver: readonly string[]
}

/** What a migration reads of the log. */
export function migrationSource({ filter = {} }: MigrationPlan): {
  readonly from: ReplayFrom
  readonly filter: Pick<NonNullable<MigrationPlan['filter']>, 'categories' | 'types' | 'tags'>
} {
  const { streams, categories, types, tags } = filter
  const [stream, ...others] = streams ?? []
  return stream !== undefined && others.length === 0 && categories === undefined
    ? { from: { stream }, filter: { types, tags } }
    : { from: { position: 0 }, filter: { categories, types, tags } }
}

/**
 * Copies events into another store, or into other streams of the same one, and changes them on the
 * way: filters, renames, splits, drops, re-keys, redacts, re-encrypts, upcasts. Ids, times,
 * metadata and tags are kept unless the plan says otherwise; versions are counted anew. A log is
 * never rewritten in place.
 *
 * It may be broken off at any moment: the checkpoint is written with the events, in the target, and
 * the next run goes on behind it. `verifyMigration` compares both sides afterwards.
 *
 * Throws InvalidArgumentError (another plan has the name), MigrationInPlaceError,
 * MigrationCollisionError, MigrationPlanError, LogChangedError, RecordConflictError, UpcastError,
 * UpcasterMissingError, and what the stores throw.
 *
 * @example
 * ```ts
 * import { migrateEvents, openStore } from 'eventuali'
 *
 * await using store = await openStore('memory:')
 * await store.append('user-1', { type: 'Joined', data: { name: 'ada', email: 'a@b.c' } })
 * await using target = await openStore('memory:')
 * const { written } = await migrateEvents(store, {
 *   into: target,
 *   rename: { Joined: 'CustomerJoined' },
 *   stream: ({ stream }) => stream.replace('user-', 'customer-'),
 *   redact: { CustomerJoined: ['email'] },
 * })
 * console.log(written) // 1
 * ```
 */
export async function migrateEvents(
  source: PortOrStore<EventStore>,
  options: MigrationOptions,
): Promise<MigrationResult> {
  const { into, name = 'migration', dryRun, signal, ...rest } = options
  const { upTo, ratePerSecond, onProgress, timeoutMs, clock, random } = rest
  const isSame = portOf(source).incarnation === portOf(into).incarnation
  const migration = new Migration(options, isSame)
  const { events, position, seconds, stopped, counts } = await replayMapped(
    source,
    {
      ...migrationSource(options),
      ...{ upTo, ratePerSecond, onProgress, timeoutMs, clock, random, dryRun, signal },
      into: { store: into, versions: 'renumber' },
      resume: { name: `migrate:${name}` },
    },
    migration,
  )
  const outcome = { read: migration.seen, written: events, position, seconds }
  return {
    ...outcome,
    ...(stopped === undefined ? {} : { stopped }),
    ...(counts === undefined ? {} : { counts }),
    cutOver: cutOver(name, position, { isSame, dryRun: dryRun === true }),
  }
}

function cutOver(
  name: string,
  position: number,
  { isSame, dryRun }: { readonly isSame: boolean; readonly dryRun: boolean },
): readonly string[] {
  const target = isSame ? 'the new streams' : 'the new store'
  return [
    dryRun
      ? `Run it without the dry run: events up to position ${position} are to be copied.`
      : `Events up to position ${position} are copied. Run "${name}" again, as often as you like: each run takes what has come since.`,
    `Start the new programs' projections on ${target} and let them catch up; checkpoints and read models are not copied.`,
    'Stop everything that writes to the source. From here on nobody can append.',
    `Run "${name}" a last time, then verify it: counts, order and checksums of every stream.`,
    `Start the programs that write, on ${target}. Outboxes and processes begin at its end, so that nothing is sent twice.`,
    `Keep the source as it is, for going back: until a program has written to ${target} nothing is lost by starting the old programs again.`,
  ]
}
