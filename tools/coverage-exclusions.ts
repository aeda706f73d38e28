/** A branch that no test takes, and why that is right. */
export interface Exclusion {
  readonly file: string
  /** Stands once in the file; the branches that begin on its lines are left out when not taken. */
  readonly code: string
  readonly reason: string
}

/** Several of one reason, by file below the library's sources. */
function because(
  reason: string,
  places: Readonly<Record<string, readonly string[]>>,
): readonly Exclusion[] {
  return Object.entries(places).flatMap(([path, codes]) =>
    codes.map((code) => ({ file: `packages/eventuali/src/${path}`, code, reason })),
  )
}

/**
 * Everything that `npm run coverage` leaves out. An entry whose branches are taken after all, or
 * whose code is gone, fails the run.
 */
export const exclusions: readonly Exclusion[] = [
  ...because('A loop over one list reads another of the same length: the element is there.', {
    'projections/inline-work.ts': [
      'request.entries[index]?.events ?? []',
      'entry.positions[at] ?? 0',
    ],
    'stores/postgres/outcomes.ts': ['atEntry[i] ?? 1'],
    'stores/postgres/settings.ts': ["[name, row?.[i] ?? '']"],
    'subscriptions/consumer/attempt.ts': ['revisions[0] ?? 0'],
    'subscriptions/consumer/ownership.ts': [
      'seen.partitions[partition] ?? []',
      'revisions[i] ?? 0',
    ],
    'subscriptions/consumer/saver.ts': ['revisions[i] ?? 0'],
  }),
  ...because('The statement always gives a row, and the row this column.', {
    'stores/postgres/append.ts': ['readVerdicts(row ?? []', 'readVerdicts(rows[0] ?? []'],
    'stores/postgres/event-rows.ts': ["row[12] ?? ''"],
    'stores/postgres/migrations.ts': ['Number(row?.[0] ?? 0)'],
    'stores/postgres/models.ts': ["row?.[0] ?? ''"],
    'stores/postgres/records.ts': ["(rows[0]?.[0] ?? '')"],
    'stores/postgres/safe-position.ts': ['this.#safe = Number(row?.[0] ?? 0)'],
    'stores/sqlite/faults.ts': ['lastPosition.get()?.[0] ?? -1'],
    'stores/sqlite/migrations.ts': ['prepare(value).get()?.[0] ?? 0'],
  }),
  ...because('The last of a page that is not empty, or a name from the map it was made for.', {
    'projections/build.ts': ['page.at(-1)?.position ?? ceiling'],
    'projections/run.ts': ["tables.get(name)?.name ?? ''"],
    'stores/postgres/append-plan.ts': ['all.get(key)?.requests ?? []'],
    'stores/postgres/recode.ts': ['rows.at(-1)?.[eventColumnCount] ?? after'],
    'subscriptions/feed.ts': ['events.at(-1)?.position ?? upTo'],
  }),
  ...because('A stream that is there holds at least the event that tells what was removed.', {
    'stores/memory/log.ts': [
      'firstTime: first === undefined ? undefined',
      'lastTime: last === undefined ? undefined',
    ],
    'stores/sqlite/rows.ts': [
      'firstTime: first === undefined ? undefined',
      'lastTime: last === undefined ? undefined',
    ],
    'stores/postgres/reads.ts': ['text == null ? undefined : new Date(Number(text))'],
  }),
  ...because('Checked before: what is left over is for the compiler.', {
    'stores/sqlite/append.ts': ['entry.ordinals ?? []'],
    'stores/sqlite/query.ts': ['plainSelect(item.typeIds ?? []', '(item) => item.typeIds ?? []'],
    'stores/postgres/document-dialect.ts': ['if (last === undefined)'],
    'stores/postgres/append-v2.ts': ['if (text.split(from).length !== 2)'],
    'stores/postgres/driver.ts': ['module.default ?? (module as Driver)'],
    'stores/sqlite/database.ts': ['levels[level] ?? String(level)'],
    'subscriptions/consumer/lane.ts': [
      'this.#advance(position ?? this.handled)',
      'if (first === undefined) return []',
    ],
    'subscriptions/durable-subscription.ts': ['handler ?? this.#handover?.take ?? (() => {})'],
  }),
  ...because('Only a time that was given runs out; without one the deadline never passes.', {
    'projections/projected.ts': ['timeoutMs ?? 0'],
    'stores/memory/turn.ts': ['timeoutMs ?? 0'],
    'subscriptions/caught-up.ts': ['timeoutMs ?? 0'],
    'subscriptions/consumer/consumer.ts': ['timeoutMs ?? 0'],
  }),
  ...because('The manifest of the memory store gives a sentence for each capability it denies.', {
    'stores/memory/models.ts': ["manifest.denied.sql ?? ''"],
    'stores/memory/store.ts': ["manifest.denied.within ?? ''", "manifest.denied.fork ?? ''"],
  }),
  ...because('Only what was in a group is put back, and a group is of requests.', {
    'stores/sql/group-commit.ts': ['this.#queueBytes += request?.bytes ?? 0'],
  }),
  ...because('A record of this kind that is listed by due time has one.', {
    'stores/memory/records.ts': ['(a.due ?? 0) - (b.due ?? 0)'],
  }),
  ...because('What runs in a transaction of its own is handed that transaction.', {
    'projections/follow.ts': ['if (tx === undefined) return'],
  }),
  ...because('Read under the lock that the one before it has seen it under.', {
    'projections/compare-now.ts': [
      'return (await readBuild(tx.records, name, generation))?.value.position ?? position',
    ],
    'subscriptions/ledger/dead-letters.ts': ["letter?.state ?? 'not there'"],
  }),
  ...because(
    'The workspace runs on Nodes that have it; the other arm is for those that have not.',
    {
      'stores/sqlite/better-driver.ts': ['if (nodeMajor < 22)'],
      'stores/sqlite/node-driver.ts': [
        "if (module === undefined || !('setReturnArrays' in module.StatementSync.prototype))",
        'loadNodeDriver() ?? driverOf',
      ],
      'stores/sqlite/database.ts': ['if (driver === undefined) throw new SqliteUnsafeError'],
      'model/compression.ts': [
        "if (typeof zlib.zstdCompressSync !== 'function')",
        "return typeof zlib.zstdCompressSync === 'function' ? 'zstd' : 'brotli'",
      ],
    },
  ),
  ...because('Needs a package that is installed here; the lane missing-codec runs without it.', {
    'model/compression.ts': ['if (module === undefined) throw new CodecMissingError'],
    'model/message-pack.ts': ['if (module === undefined) throw new CodecMissingError'],
  }),
  ...because('A replica takes part in no unit test: it needs a second server that follows.', {
    'stores/postgres/safe-position.ts': [
      'this.#safe = Math.max(this.#safe, Math.min(Number(row?.[0] ?? 0), newest))',
    ],
  }),
]
