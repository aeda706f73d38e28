import { isDeepStrictEqual } from 'node:util'
import type { Json } from '../model/index.ts'
import type { ModelReads, ModelRow } from '../ports/index.ts'
import type { Generation } from './registry.ts'

const PAGE_ROW_COUNT = 1000
/** Rows shown of each kind. */
const SHOWN_COUNT_MAX = 100
/** Rows without a partner that are remembered; beyond it the comparison gives up. */
const UNMATCHED_COUNT_MAX = 200_000

/** A row in which two generations differ. */
export interface RowDifference {
  /** Name of the collection or table. */
  readonly target: string
  readonly key: string
  /** Undefined where only the new generation has the row. */
  readonly old: Json | undefined
  /** Undefined where only the old generation has the row. */
  readonly new: Json | undefined
}

/** What two generations of a projection have in common and what not. */
export interface CompareReport {
  /** Numbers of the generations, and the log positions that they have seen. */
  readonly old: { readonly generation: number; readonly version: number; readonly position: number }
  readonly new: { readonly generation: number; readonly version: number; readonly position: number }
  /** Whether both have seen the same events, so that a difference is one of code or of data. */
  readonly samePosition: boolean
  /** Whether there is no difference. */
  readonly equal: boolean
  /** Numbers of rows. */
  readonly same: number
  readonly onlyOld: number
  readonly onlyNew: number
  readonly different: number
  /** The first 100 differences of each kind. */
  readonly rows: readonly RowDifference[]
  /** Targets that only one of the two generations has. */
  readonly uncompared: readonly string[]
  /** False when there were more differences than memory for them. */
  readonly complete: boolean
}

interface Tally {
  same: number
  onlyOld: number
  onlyNew: number
  different: number
  complete: boolean
  readonly rows: RowDifference[]
}

async function* rowsOf(models: ModelReads, table: string): AsyncGenerator<ModelRow> {
  let after: string | undefined
  for (;;) {
    const rows = await models.rows(table, { after, limit: PAGE_ROW_COUNT })
    yield* rows
    if (rows.length < PAGE_ROW_COUNT) return
    after = rows.at(-1)?.key
  }
}

function show(tally: Tally, count: number, row: RowDifference): void {
  if (count <= SHOWN_COUNT_MAX) tally.rows.push(row)
}

/**
 * Walks both tables side by side. Rows without a partner wait for it, so that nothing depends on
 * the order in which a database gives keys.
 */
async function compareTable(
  models: ModelReads,
  target: string,
  tables: { readonly old: string; readonly new: string },
  tally: Tally,
  unmatchedCountMax: number,
): Promise<void> {
  const sides = {
    old: { rows: rowsOf(models, tables.old), waiting: new Map<string, Json>(), isOver: false },
    new: { rows: rowsOf(models, tables.new), waiting: new Map<string, Json>(), isOver: false },
  }
  const step = async (mine: 'old' | 'new', other: 'old' | 'new'): Promise<void> => {
    const side = sides[mine]
    if (side.isOver) return
    const next = await side.rows.next()
    if (next.done === true) {
      side.isOver = true
      return
    }
    const { key, value } = next.value
    const partner = sides[other].waiting.get(key)
    if (partner === undefined) {
      side.waiting.set(key, value)
      return
    }
    sides[other].waiting.delete(key)
    if (isDeepStrictEqual(value, partner)) tally.same += 1
    else {
      tally.different += 1
      const both = mine === 'new' ? { old: partner, new: value } : { old: value, new: partner }
      show(tally, tally.different, { target, key, ...both })
    }
  }
  while (!sides.old.isOver || !sides.new.isOver) {
    await step('old', 'new')
    await step('new', 'old')
    if (sides.old.waiting.size + sides.new.waiting.size > unmatchedCountMax) {
      tally.complete = false
      break
    }
  }
  for (const [key, value] of sides.old.waiting) {
    show(tally, ++tally.onlyOld, { target, key, old: value, new: undefined })
  }
  for (const [key, value] of sides.new.waiting) {
    show(tally, ++tally.onlyNew, { target, key, old: undefined, new: value })
  }
}

/** One of the two that are compared. */
export interface ComparedGeneration extends Pick<Generation, 'version' | 'tables'> {
  readonly generation: number
  readonly position: number
}

/** Compares all tables that both generations have, row by row. */
export async function compareGenerations(
  models: ModelReads,
  before: ComparedGeneration,
  after: ComparedGeneration,
  samePosition: boolean,
  unmatchedCountMax: number = UNMATCHED_COUNT_MAX,
): Promise<CompareReport> {
  const tally: Tally = { same: 0, onlyOld: 0, onlyNew: 0, different: 0, complete: true, rows: [] }
  const targets = new Set([...Object.keys(before.tables), ...Object.keys(after.tables)])
  const uncompared: string[] = []
  for (const target of targets) {
    const tables = { old: before.tables[target], new: after.tables[target] }
    if (tables.old === undefined || tables.new === undefined) uncompared.push(target)
    else {
      const both = { old: tables.old, new: tables.new }
      await compareTable(models, target, both, tally, unmatchedCountMax)
    }
  }
  const side = ({ generation, version, position }: ComparedGeneration) => ({
    ...{ generation, version, position },
  })
  const { onlyOld, onlyNew, different, complete } = tally
  return {
    old: side(before),
    new: side(after),
    samePosition,
    equal: onlyOld + onlyNew + different === 0 && complete,
    ...tally,
    uncompared,
  }
}
