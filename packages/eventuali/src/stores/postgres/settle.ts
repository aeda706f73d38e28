import { type Clock, type Deadline, sleep } from '../../kernel/index.ts'
import { OutcomeUnknownError, textOfRow } from '../../model/index.ts'
import {
  type Backend,
  type Connections,
  type Row,
  type Statement,
  statement,
} from './connections.ts'
import { dataOf, eventColumns, knowTypes, toEvent } from './event-rows.ts'
import { isConnectionLoss } from './failures.ts'
import type { KnownRow, KnownRows } from './outcomes.ts'
import type { PreparedAppend } from './requests.ts'
import type { TypeNames } from './type-names.ts'

/** How far back from a stream's end an event of a lost attempt may be. */
const TAIL_VERSIONS = 10_000
const GONE_POLL_MS = 10

/** Runs a statement, in a transaction or outside. */
export type Run = (sql: Statement, values: readonly unknown[]) => Promise<readonly Row[]>

/** Finds out what became of statements whose answer never came. */
export class Settling {
  readonly #connections: Connections
  readonly #clock: Clock
  readonly #types: TypeNames
  readonly #byIndex: Statement
  readonly #byTail: Statement
  readonly #end: Statement = statement(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE pid = $1::integer AND extract(epoch FROM backend_start)::text = $2`,
  )

  constructor(connections: Connections, clock: Clock, types: TypeNames, schema: string) {
    this.#connections = connections
    this.#clock = clock
    this.#types = types
    const select = `SELECT ${eventColumns}
      FROM unnest(string_to_array($1, E'\\x1f'), string_to_array($2, E'\\x1f')) AS u(name, id)
      JOIN ${schema}.streams s ON s.name = u.name
      JOIN ${schema}.events e ON e.stream = s.id AND e.id = u.id`
    this.#byIndex = statement(`${select} AND (e.flags & 3) <> 0`)
    this.#byTail = statement(`${select} AND e.version > s.version - ${TAIL_VERSIONS}`)
  }

  /** The rows of the requests' ids; `tail` finds those that are in no index, too. */
  async knownRows(
    requests: readonly PreparedAppend[],
    where: 'index' | 'tail',
    run: Run,
    deadline: Deadline,
  ): Promise<KnownRows> {
    const names: string[] = []
    const ids: string[] = []
    for (const { entries } of requests) {
      for (const { entry, events } of entries) {
        for (const { id, idGiven } of events) {
          if (where === 'index' && !idGiven && !this.#connections.pooled) continue
          names.push(entry.stream)
          ids.push(id)
        }
      }
    }
    const known = new Map<string, Map<string, KnownRow>>()
    const sql = where === 'index' ? this.#byIndex : this.#byTail
    const rows = await run(sql, [names.join('\u001f'), ids.join('\u001f')])
    await knowTypes(rows, this.#types, deadline)
    for (const row of rows) {
      const event = toEvent(row, this.#types)
      const stream = known.get(event.stream) ?? new Map<string, KnownRow>()
      const data = textOfRow({ position: event.position, data: dataOf(row) })
      stream.set(event.id, { event, data })
      known.set(event.stream, stream)
    }
    return known
  }

  /** Outside a transaction. */
  lookUp(
    requests: readonly PreparedAppend[],
    where: 'index' | 'tail',
    deadline: Deadline,
  ): Promise<KnownRows> {
    const run: Run = (sql, values) => this.#connections.read(sql, values, deadline, 'appends')
    return this.knownRows(requests, where, run, deadline)
  }

  /**
   * Ends the backend that was left alone with a statement, waits until it is gone, so that nothing
   * it did can still come to light, and looks for the rows. Throws OutcomeUnknownError when that
   * is not possible by the deadline.
   */
  async afterLoss(
    requests: readonly PreparedAppend[],
    backend: Backend,
    deadline: Deadline,
    cause: unknown,
  ): Promise<KnownRows> {
    try {
      await this.#endBackend(backend, deadline)
      return await this.lookUp(requests, 'tail', deadline)
    } catch (error) {
      if (deadline.leftMs() > 0 && !isConnectionLoss(error)) throw error
      throw new OutcomeUnknownError('the append', { cause })
    }
  }

  async #endBackend({ pid, startedAt }: Backend, deadline: Deadline): Promise<void> {
    for (;;) {
      const rows = await this.#connections.read(this.#end, [pid, startedAt], deadline, 'appends')
      if (rows.length === 0) return
      await sleep(this.#clock, GONE_POLL_MS)
    }
  }

  /** Frees what an abandoned backend holds, as well as can be done; nobody waits for it. */
  abandon(backend: Backend | undefined, deadline: Deadline): void {
    if (backend === undefined) return
    this.#endBackend(backend, deadline).catch(() => {})
  }
}
