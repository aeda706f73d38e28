import { isEventualiError } from '../kernel/index.ts'
import type { EventStore, RecordChange, StoredRecord, StoreTransaction } from '../ports/index.ts'
import { rolledBack } from './contracts/index.ts'
import type { ChangePlan, FindPlan, RecordStep } from './read-side-arbitraries.ts'

/** Puts the documents into a new table and tells what each query finds, and how many. */
export async function runFinds(
  store: EventStore,
  { documents, indexes, queries }: FindPlan,
  table: string,
): Promise<readonly unknown[]> {
  await store.transaction(async (tx) => {
    await tx.models.create({ name: table, shape: { kind: 'documents', indexes } })
    await tx.models.put(
      table,
      documents.map((document, i) => ({ ...document, position: i + 1 })),
    )
  })
  const results: unknown[] = []
  for (const query of queries) {
    results.push({
      found: await store.models.find(table, query),
      count: await store.models.count(table, query.filters),
    })
  }
  results.push(await store.models.rows(table, { limit: 100 }))
  await store.transaction((tx) => tx.models.drop(table))
  return results
}

/** Runs steps on records of one kind and tells what came of each; `kind` must be new. */
export async function runRecords(
  store: EventStore,
  steps: readonly RecordStep[],
  kind: string,
): Promise<readonly unknown[]> {
  const show = ({ kind: _, ...record }: StoredRecord) => record
  const results: unknown[] = []
  for (const step of steps) {
    if (step.op === 'list') {
      results.push((await store.records.list({ kind, ...step.query })).map(show))
    } else {
      results.push(await write(store, kind, step))
    }
  }
  results.push((await store.records.list({ kind, limit: 100 })).map(show))
  return results
}

async function write(
  store: EventStore,
  kind: string,
  { changes, fails }: Extract<RecordStep, { op: 'write' }>,
): Promise<unknown> {
  let revisions: readonly number[] | undefined
  const work = async (tx: StoreTransaction) => {
    const before = await tx.records.lock(
      kind,
      changes.map(({ key }) => key),
    )
    revisions = await tx.records.write(
      changes.map((plan, i) => changeOf(kind, plan, before[i]?.revision ?? 0)),
    )
  }
  try {
    await (fails ? rolledBack(store, work) : store.transaction(work))
  } catch (error) {
    // A conflict inside `rolledBack` is told as one by its cause.
    if (isEventualiError(error, 'RECORD_CONFLICT')) return 'conflict'
    if (revisions === undefined && fails) return 'conflict'
    throw error
  }
  return revisions
}

function changeOf(kind: string, plan: ChangePlan, current: number): RecordChange {
  const { expected, ...rest } = plan
  const revisions = {
    any: 'any',
    none: 0,
    current,
    stale: Math.max(0, current - 1),
    ahead: current + 1,
  } as const
  return { kind, ...rest, expected: revisions[expected] }
}
