import type { Clock, Deadline } from '../../kernel/index.ts'
import type { LogPositions, PositionBlocker } from '../../ports/index.ts'
import { type Connections, type Row, type Statement, statement } from './connections.ts'

/** Rows looked at for a first gap, before a lock listing is the cheaper way. */
const SCAN_COUNT_MAX = 2000
const STORE_EVERY_MS = 2000

/** A transaction that may still write events. */
interface Holder {
  /** Every position it draws, or has drawn, is above this one. */
  readonly from: number
  readonly description: string
}

/**
 * Keeps the safe position of this process: no event at or below it will ever appear any more.
 *
 * Positions come from a sequence, so that 6 may be visible while 5 is still open, or was rolled
 * back. What is present without a gap is safe. A gap is closed by proof: whoever drew a position
 * up to H did so before H was seen, and held a RowExclusive lock on the table at that time; when
 * no holder of such a lock is left that may have drawn it, it can no longer appear. A holder that
 * was not in an earlier listing draws only above what was seen before that listing.
 */
export class SafePosition {
  readonly #connections: Connections
  readonly #clock: Clock
  readonly #replica: boolean
  /** Whoever only reads keeps it to himself. */
  readonly #isPublished: boolean
  readonly #scan: Statement
  readonly #holders: Statement
  readonly #stored: Statement
  readonly #published: Statement
  readonly #store: Statement
  #safe = 0
  #newest = 0
  /** Highest position seen before the last listing. */
  #listedUpTo = 0
  #held: ReadonlyMap<string, Holder> = new Map()
  #gap: { readonly position: number; readonly sinceMs: number } | undefined
  #storedPosition = 0
  #storedAtMs: number
  #running: Promise<LogPositions> | undefined
  #next: Promise<LogPositions> | undefined

  constructor(
    connections: Connections,
    clock: Clock,
    schema: string,
    { replica, readOnly }: { readonly replica: boolean; readonly readOnly: string | undefined },
  ) {
    this.#connections = connections
    this.#clock = clock
    this.#replica = replica
    this.#isPublished = readOnly === undefined
    this.#storedAtMs = clock.monotonic()
    this.#scan = statement(
      `SELECT coalesce((SELECT position FROM ${schema}.events ORDER BY position DESC LIMIT 1), 0),
         coalesce((SELECT max(position) FROM (
           SELECT position, position - row_number() OVER (ORDER BY position) AS run
           FROM (SELECT position FROM ${schema}.events WHERE position > $1::bigint
                 ORDER BY position LIMIT ${SCAN_COUNT_MAX}) t
         ) r WHERE run = $1::bigint), $1::bigint)`,
    )
    this.#holders = statement(
      `SELECT l.virtualtransaction, l.pid, coalesce(a.application_name, ''), coalesce(a.state, ''),
              coalesce(p.gid, '')
       FROM pg_locks l
       LEFT JOIN pg_stat_activity a ON a.pid = l.pid
       LEFT JOIN pg_locks x ON l.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid'
         AND x.virtualtransaction = l.virtualtransaction AND x.mode = 'ExclusiveLock'
       LEFT JOIN pg_prepared_xacts p ON p.transaction = x.transactionid
       WHERE l.locktype = 'relation' AND l.relation = '${schema}.events'::regclass AND l.granted
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
         AND l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')`,
    )
    this.#stored = statement(`SELECT position FROM ${schema}.safe_position`)
    // One snapshot: it holds the position only behind all commits that came before it.
    this.#published = statement(
      `SELECT (SELECT position FROM ${schema}.safe_position),
         coalesce((SELECT position FROM ${schema}.events ORDER BY position DESC LIMIT 1), 0)`,
    )
    // On disk here, so that it goes out to the replicas at once, without waiting for any of them.
    this.#store = statement(
      `UPDATE ${schema}.safe_position SET position = $1::bigint WHERE position < $1::bigint
         AND set_config('synchronous_commit', 'local', true) = 'local'`,
    )
  }

  /** Begins where an earlier process had got to. */
  async start(deadline: Deadline): Promise<void> {
    const [row] = await this.#connections.read(this.#stored, [], deadline)
    this.#safe = Number(row?.[0] ?? 0)
    this.#storedPosition = this.#safe
    this.#listedUpTo = this.#safe
  }

  /** A log was put back up to there by a transaction that is committed. */
  reached(position: number): void {
    this.#safe = Math.max(this.#safe, position)
  }

  /** A look that begins after the call; callers that come meanwhile share the next one. */
  read(deadline: Deadline): Promise<LogPositions> {
    if (this.#running === undefined) return this.#begin(deadline)
    this.#next ??= this.#running.then(
      () => this.#begin(deadline),
      () => this.#begin(deadline),
    )
    return this.#next
  }

  #begin(deadline: Deadline): Promise<LogPositions> {
    this.#next = undefined
    const run = this.#look(deadline).finally(() => {
      if (this.#running === run) this.#running = undefined
    })
    this.#running = run
    return run
  }

  async #look(deadline: Deadline): Promise<LogPositions> {
    if (this.#replica) return this.#lookOnReplica(deadline)
    let { newest, contiguous } = await this.#scanFrom(this.#safe, deadline)
    if (contiguous < newest) {
      const barrier = await this.#list(newest, deadline)
      // A fresh snapshot, taken after the listing, has all that can still be at or below it.
      for (let from = Math.max(this.#safe, barrier); ; from = contiguous) {
        ;({ newest, contiguous } = await this.#scanFrom(from, deadline))
        if (contiguous - from < SCAN_COUNT_MAX) break
      }
    }
    this.#safe = Math.max(this.#safe, contiguous)
    this.#newest = Math.max(this.#newest, newest, this.#safe)
    this.#keep()
    const blocker = this.#blocker()
    return { safe: this.#safe, newest: this.#newest, ...(blocker === undefined ? {} : { blocker }) }
  }

  /** Locks of the primary are not seen here; its published position is. */
  async #lookOnReplica(deadline: Deadline): Promise<LogPositions> {
    const [row] = await this.#connections.read(this.#published, [], deadline, 'subscriptions')
    const newest = Number(row?.[1])
    this.#safe = Math.max(this.#safe, Math.min(Number(row?.[0] ?? 0), newest))
    this.#newest = Math.max(this.#newest, newest)
    return { safe: this.#safe, newest: this.#newest }
  }

  async #scanFrom(
    from: number,
    deadline: Deadline,
  ): Promise<{ newest: number; contiguous: number }> {
    const [row] = await this.#connections.read(this.#scan, [from], deadline, 'subscriptions')
    return { newest: Number(row?.[0]), contiguous: Number(row?.[1]) }
  }

  /** Lists who may still write, and returns the position up to which nobody can. */
  async #list(seen: number, deadline: Deadline): Promise<number> {
    const rows = await this.#connections.read(this.#holders, [], deadline, 'subscriptions')
    const held = new Map<string, Holder>()
    const earliest = leastFrom(this.#held.values(), this.#listedUpTo)
    for (const row of rows) {
      const id = row[0] as string
      // What is prepared loses its pid and, over a restart, its name: a new one may be any of those
      // that were there.
      const prepared = row[1] === null
      const unseenFrom = prepared ? earliest : this.#listedUpTo
      const from = this.#held.get(id)?.from ?? unseenFrom
      held.set(id, { from, description: describe(row) })
    }
    this.#held = held
    this.#listedUpTo = seen
    return leastFrom(held.values(), seen)
  }

  #blocker(): PositionBlocker | undefined {
    const position = this.#safe + 1
    if (this.#safe >= this.#newest) {
      this.#gap = undefined
      return undefined
    }
    const nowMs = this.#clock.monotonic()
    if (this.#gap?.position !== position) this.#gap = { position, sinceMs: nowMs }
    const holders = [...this.#held.values()]
      .filter((h) => h.from < position)
      .map((h) => h.description)
    return { position, holders, sinceMs: nowMs - this.#gap.sinceMs }
  }

  /** Published now and then, so that old gaps are never proved again; not worth waiting for. */
  #keep(): void {
    const nowMs = this.#clock.monotonic()
    if (this.#safe <= this.#storedPosition || nowMs - this.#storedAtMs < STORE_EVERY_MS) return
    this.#storedAtMs = nowMs
    void this.save()
  }

  /** Publishes the safe position: on a replica it comes after every event up to there. */
  async save(): Promise<void> {
    if (!this.#isPublished || this.#safe <= this.#storedPosition) return
    const position = this.#safe
    const end = this.#clock.monotonic() + 5000
    const deadline = { leftMs: () => end - this.#clock.monotonic(), signal: undefined }
    try {
      await this.#connections.read(this.#store, [position], deadline, 'subscriptions')
      this.#storedPosition = Math.max(this.#storedPosition, position)
    } catch {
      // The next look tries again; nothing depends on it but the time of a first proof.
    }
  }
}

function leastFrom(holders: Iterable<Holder>, least: number): number {
  let result = least
  for (const { from } of holders) result = Math.min(result, from)
  return result
}

function describe(row: Row): string {
  const [, pid, application, state, gid] = row
  if (typeof pid !== 'string') return `prepared transaction ${JSON.stringify(gid)}`
  return `backend ${pid} (${application === '' ? 'no application name' : application}, ${state})`
}
