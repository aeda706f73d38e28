import type { StorageFault } from '../../ports/index.ts'
import type { Row } from './connections.ts'
import { sqlStateOf } from './failures.ts'

/** Runs one of the reads of a check. */
export type CheckRead = (sql: string, values: readonly unknown[]) => Promise<readonly Row[]>

/** Whether amcheck can be used: `on`, `not installed` or `not permitted`. */
export const amcheckState = `SELECT coalesce((
  SELECT CASE WHEN has_function_privilege(p.oid, 'EXECUTE') THEN 'on' ELSE 'not permitted' END
  FROM pg_extension x JOIN pg_depend d ON d.refobjid = x.oid AND d.deptype = 'e'
  JOIN pg_proc p ON p.oid = d.objid
  WHERE x.extname = 'amcheck' AND p.proname = 'bt_index_check' ORDER BY p.pronargs LIMIT 1
), 'not installed')`

const isThere = 'SELECT 1 FROM pg_class WHERE oid = $1::oid'

/** Every B-tree of the schema against its table, where amcheck is there; appends go on. */
export async function* indexFaults(read: CheckRead, schema: string): AsyncGenerator<StorageFault> {
  const [state] = await read(amcheckState, [])
  if (state?.[0] !== 'on') return
  const [place] = await read(
    `SELECT quote_ident(n.nspname) FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace
     WHERE x.extname = 'amcheck'`,
    [],
  )
  const indexes = await read(
    `SELECT c.oid, c.relname FROM pg_class c JOIN pg_am a ON a.oid = c.relam
     JOIN pg_index i ON i.indexrelid = c.oid
     WHERE c.relnamespace = $1::text::regnamespace AND a.amname = 'btree' AND i.indisvalid
     ORDER BY c.relname`,
    [schema],
  )
  for (const [oid, name] of indexes) {
    try {
      await read(`SELECT ${place?.[0]}.bt_index_check($1::oid, true)`, [oid])
    } catch (error) {
      const state = sqlStateOf(error)
      // Dropped meanwhile, with the read model that it belonged to: the server has no state of its
      // own for that, it says what it says of damage.
      if (state !== undefined && (await read(isThere, [oid])).length === 0) continue
      if (state?.startsWith('XX') !== true) throw error
      yield { kind: 'index', reason: `index ${name}: ${(error as Error).message}` }
    }
  }
}
