import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import pg from 'pg'

/** Cuts a script into its statements; semicolons in quotes and dollar quotes are none. */
export function statementsOf(script: string): string[] {
  const token = /'(?:[^']|'')*'|"[^"]*"|--[^\n]*|(\$\w*\$)[\s\S]*?\1|;|[^;'"$-]+|[\s\S]/g
  const statements: string[] = []
  let text = ''
  for (const [part] of script.matchAll(token)) {
    if (part !== ';') text += part
    else {
      if (text.trim() !== '') statements.push(text)
      text = ''
    }
  }
  if (text.trim() !== '') statements.push(text)
  return statements
}

/** Decides before each statement whether it may run. */
export interface StepGuard {
  /** Statements seen so far. */
  count: number
  before(text: string): void
}

/** Throws at statement number `failing` and at all that follow: a death is not cleaned up after. */
export function diesAt(failing: number): StepGuard {
  return {
    count: 0,
    before(text) {
      if (++this.count >= failing) throw new Error(`dead before ${text.trim().slice(0, 60)}`)
    },
  }
}

/**
 * A connection of `node:sqlite` that runs scripts statement by statement, each past the guard.
 * Planted bug: one that takes no notice of transactions.
 */
export function steppedConnection(
  inner: DatabaseSync,
  guard: StepGuard,
  ignoresTransactions = false,
): object {
  const isBound = (text: string) => /^\s*(BEGIN|COMMIT|ROLLBACK)/.test(text)
  return {
    get isTransaction() {
      return inner.isTransaction
    },
    location: () => inner.location(),
    close: () => inner.close(),
    exec(script: string) {
      for (const text of statementsOf(script)) {
        guard.before(text)
        if (!ignoresTransactions || !isBound(text)) inner.exec(text)
      }
    },
    prepare(text: string): StatementSync {
      const statement = inner.prepare(text)
      if (!/^\s*INSERT OR REPLACE INTO eventuali_meta/.test(text)) return statement
      const run = statement.run.bind(statement)
      const guarded = (...values: SQLInputValue[]) => {
        guard.before(text)
        return run(...values)
      }
      return Object.assign(statement, { run: guarded })
    },
  }
}

export interface SteppedPool {
  readonly pool: pg.Pool
  /** Statements seen so far. */
  readonly count: () => number
}

/**
 * A pool whose backends are terminated at statement number `dying`: before it, or while it runs.
 * Planted bug: no transactions.
 */
export function steppedPool(
  url: string,
  dying: number,
  options: {
    readonly during?: boolean
    /** Those that follow end theirs too. */
    readonly sticky?: boolean
    readonly ignoresTransactions?: boolean | undefined
  } = {},
): SteppedPool {
  const pool = new pg.Pool({ connectionString: url, max: 4 })
  pool.on('error', () => {})
  let count = 0
  const terminate = async (pid: number): Promise<void> => {
    const other = new pg.Client({ connectionString: url })
    await other.connect()
    await other.query('SELECT pg_terminate_backend($1, 5000)', [pid])
    await other.end()
  }
  pool.on('connect', (client) => {
    client.on('error', () => {})
    const inner = client.query.bind(client) as (query: unknown) => Promise<unknown>
    const one = async (query: unknown): Promise<unknown> => {
      const { processID } = client as unknown as { processID: number }
      const isDying = ++count === dying || (options.sticky === true && count > dying)
      if (isDying && options.during !== true) await terminate(processID)
      const running = inner(query)
      if (isDying && options.during === true) {
        await Promise.all([terminate(processID), running.catch(() => {})])
      }
      return running
    }
    const isBound = (query: unknown): boolean => {
      const text = typeof query === 'string' ? query : (query as { text: string }).text
      return options.ignoresTransactions === true && /^\s*(BEGIN|COMMIT)/.test(text)
    }
    const query = async (given: unknown): Promise<unknown> => {
      if (isBound(given)) return inner('SELECT 1')
      if (typeof given !== 'string') return one(given)
      let last: unknown
      for (const text of statementsOf(given)) last = await one(text)
      return last
    }
    Object.assign(client, { query })
  })
  return { pool, count: () => count }
}
