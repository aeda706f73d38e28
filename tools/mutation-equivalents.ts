/** A mutant that nobody can notice: the changed program gives the same, at most a little later. */
export interface Equivalent {
  readonly file: string
  readonly from: string
  readonly to: string
  readonly reason: string
}

const src = 'packages/eventuali/src'

/** By what is changed into what, for lines move. One that is killed after all does no harm. */
export const equivalents: readonly Equivalent[] = [
  {
    file: `${src}/stores/sql/group-commit.ts`,
    from: 'expired === 0',
    to: 'false',
    reason: 'Saves a filter that would keep everything.',
  },
  {
    file: `${src}/stores/memory/log.ts`,
    from: 'removed.length > 0',
    to: 'removed.length >= 0',
    reason: 'Saves filters that would remove nothing.',
  },
  {
    file: `${src}/stores/memory/read.ts`,
    from: 'log().stream(row.stream)?.state',
    to: 'log().stream(row.stream).state',
    reason: 'A row has a stream; the question mark is for the compiler.',
  },
  {
    file: `${src}/store/reads.ts`,
    from: 'runtime.registry.size === 0 && options.validate !== true',
    to: 'false',
    reason: 'Saves a pass that changes nothing where there are no definitions.',
  },
  {
    file: `${src}/store/reads.ts`,
    from: 'left <= 0',
    to: 'false',
    reason: 'What is read after the limit is cut to nothing; only the reading is saved.',
  },
  {
    file: `${src}/stores/sqlite/reads.ts`,
    from: 'known !== undefined',
    to: 'false',
    reason: 'A cache: without it the same id is looked up.',
  },
  {
    file: `${src}/stores/sqlite/reads.ts`,
    from: '!cut && rows.length < count',
    to: 'false',
    reason: 'Saves a last look that finds nothing.',
  },
  {
    file: `${src}/store/reads.ts`,
    from: 'page[0]?.version !== from',
    to: 'true',
    reason: 'Saves a look at the head where the first event tells that it is kept.',
  },
  {
    file: `${src}/store/reads.ts`,
    from: '!registry.evolves',
    to: 'false',
    reason: 'Saves a pass over the types; where nothing evolves, they are what they were.',
  },
  {
    file: `${src}/stores/sqlite/query.ts`,
    from: 'item.typeIds.length > 0',
    to: 'item.typeIds.length >= 0',
    reason: 'Saves a statement: an item without types that are stored matches nothing.',
  },
  {
    file: `${src}/stores/sqlite/reads.ts`,
    from: 'cursor.after < cursor.upTo',
    to: 'true',
    reason: 'Costs a turn of the event loop after the last page.',
  },
  {
    file: `${src}/stores/sqlite/reads.ts`,
    from: 'cursor.after >= cursor.upTo',
    to: 'false',
    reason: 'Saves a statement that would find nothing.',
  },
  {
    file: `${src}/stores/sqlite/reads.ts`,
    from: 'cursor.after >= cursor.upTo',
    to: 'cursor.after > cursor.upTo',
    reason: 'Saves a statement that would find nothing.',
  },
  {
    file: `${src}/subscriptions/consumer/event-queue.ts`,
    from: 'bytesLeft > 0',
    to: 'true',
    reason: 'The next turn finds no room for one more, and ends there.',
  },
  {
    file: `${src}/subscriptions/consumer/event-queue.ts`,
    from: 'room === 0',
    to: 'false',
    reason: 'Nothing is taken out of the chunk, and all of it is put back.',
  },
  {
    file: `${src}/subscriptions/consumer/lane.ts`,
    from: "again !== 'parked'",
    to: 'false',
    reason: 'What is asked for is found again at the next look at the records.',
  },
  {
    file: `${src}/subscriptions/consumer/letter-retry.ts`,
    from: "outcome.kind === 'trouble'",
    to: "outcome.kind !== 'trouble'",
    reason: 'What is asked for is found again at the next look at the records.',
  },
]
