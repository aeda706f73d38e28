import { crc32 } from 'node:zlib'
import type { VerifyProblem } from '../../src/index.ts'
import type { Campaign } from './campaign.ts'
import { shuffled } from './event-planters.ts'
import type { Bed, Planted, Planter, Row } from './planter.ts'
import { archivedShop } from './verify-bed.ts'

type Value = { [name: string]: unknown }

interface RecordRow {
  readonly kind: string
  readonly key: string
  readonly value: Value
}

async function recordsOf(bed: Bed, kind: string): Promise<readonly RecordRow[]> {
  const text = `SELECT kind, key, value FROM ${bed.names.records} WHERE kind = $1 ORDER BY key`
  return (await bed.sql(text, kind)).map(({ key, value }) => ({
    kind,
    key: String(key),
    value: (typeof value === 'string' ? JSON.parse(value) : value) as Value,
  }))
}

async function put(bed: Bed, { kind, key }: RecordRow, value: Value): Promise<void> {
  const text = `UPDATE ${bed.names.records} SET value = $3 WHERE kind = $1 AND key = $2`
  await bed.sql(text, kind, key, JSON.stringify(value))
}

async function newestOf(bed: Bed): Promise<number> {
  const [row] = await bed.sql(`SELECT max(position) AS newest FROM ${bed.names.events}`)
  return Number(row?.newest)
}

/** What the report calls the owner of a record. */
function nameOf({ kind, key, value }: RecordRow): (problem: VerifyProblem) => boolean {
  const unescaped = decodeURIComponent(key.split('/')[0] ?? '')
  if (kind === 'partition') return ({ subscription }) => subscription === unescaped
  if (kind === 'letter') return ({ subscription }) => subscription === value.subscription
  if (kind === 'projection') return ({ projection }) => projection === key
  if (kind === 'schema-counted') return (problem) => problem.key === 'the counts of schemas'
  if (kind === 'schema-count')
    return (problem) => problem.key?.endsWith(String(value.type)) === true
  return (problem) => problem.key === `${kind} ${key}`
}

/** Changes a record that nothing else of the round has touched. */
function changesRecord(
  kind: string,
  name: string,
  change: (value: Value, run: Campaign, newest: number) => Value | undefined,
  found: VerifyProblem['kind'] = 'checkpoint',
): Planter {
  return {
    name: `${kind}: ${name}`,
    refolds: false,
    plant: async (run, bed, taken) => {
      const newest = await newestOf(bed)
      for (const record of shuffled(run, await recordsOf(bed, kind))) {
        const subject = `record ${kind} ${kind === 'partition' ? record.key.split('/')[0] : record.key}`
        const value = taken.has(subject) ? undefined : change(record.value, run, newest)
        if (value === undefined) continue
        await put(bed, record, value)
        const isIts = nameOf(record)
        return {
          name: `${name} of ${kind} ${record.key}`,
          subjects: [subject],
          isFoundBy: (problem) => problem.kind === found && isIts(problem),
          // A read model that stands elsewhere than its checkpoint says is another one.
          mayCause: (problem) => isIts(problem) || problem.kind === 'read-model',
        }
      }
      return undefined
    },
  }
}

const ahead =
  (name = 'position') =>
  (value: Value, run: Campaign, newest: number) =>
    typeof value[name] === 'number'
      ? { ...value, [name]: newest + run.between(1, 1000) }
      : undefined

const positioned = [...['partition', 'letter', 'process', 'replay', 'schema-counted']]

/** Faults of checkpoints and what else has a position. */
export const recordPlanters: readonly Planter[] = [
  ...positioned.map((kind) => changesRecord(kind, 'ahead of the log', ahead())),
  changesRecord('schema-count', 'ahead of the log', ahead('last')),
  changesRecord('process', 'no position', (value, run) => ({
    ...value,
    position: run.pick(['7', null, -1, 1.5]),
  })),
  changesRecord('partition', 'no position', (value, run) => ({
    ...value,
    position: run.pick(['7', null, -1, 1.5]),
  })),
  changesRecord(
    'partition',
    'of another log',
    (value) => ({ ...value, incarnation: '01a20aec-cc16-73d4-990d-67fcf6cdd344' }),
    'incarnation',
  ),
  changesRecord('projection', 'a generation ahead of the log', (value, run, newest) => {
    const generations = value.generations as { readonly [key: string]: Value }
    const [[number, generation] = ['1', {}]] = Object.entries(generations)
    const moved = { ...generation, position: newest + run.between(1, 1000) }
    return { ...value, generations: { ...generations, [number]: moved } }
  }),
  changesRecord('projection', 'a live generation that is not there', (value, run) => ({
    ...value,
    live: run.between(7, 9),
  })),
  {
    name: 'partition: missing',
    refolds: false,
    plant: async (run, bed, taken) => {
      const [record] = shuffled(run, await recordsOf(bed, 'partition'))
      const subject = `record partition ${record?.key.split('/')[0]}`
      if (record === undefined || taken.has(subject)) return undefined
      const text = `DELETE FROM ${bed.names.records} WHERE kind = $1 AND key = $2`
      await bed.sql(text, 'partition', record.key)
      const isIts = nameOf(record)
      return {
        name: `missing partition ${record.key}`,
        subjects: [subject],
        isFoundBy: (problem) => problem.kind === 'checkpoint' && isIts(problem),
        mayCause: (problem) => isIts(problem) || problem.kind === 'read-model',
      }
    },
  },
]

function checksumFor(entry: Value): number {
  const { stream, version, position, takenAt, fingerprint, codec, body } = entry
  const head = JSON.stringify([stream, version, position, takenAt, fingerprint, codec])
  return crc32(String(body), crc32(head))
}

/** Changes a kept state; with a right checksum unless said otherwise. */
function changesState(
  name: string,
  change: (entry: Value, run: Campaign) => Value,
  isRight = true,
): Planter {
  return {
    name: `a kept state: ${name}`,
    refolds: false,
    plant: async (run, bed, taken) => {
      for (const record of shuffled(run, await recordsOf(bed, 'snapshot'))) {
        const stream = record.key.split('\n')[0] as string
        if (taken.has(stream)) continue
        const changed = change(record.value, run)
        const value = isRight ? { ...changed, checksum: checksumFor(changed) } : changed
        await put(bed, record, value)
        return {
          name: `the kept state of ${stream}: ${name}`,
          subjects: [stream],
          isFoundBy: (problem) => problem.kind === 'snapshot' && problem.stream === stream,
          mayCause: () => false,
        }
      }
      return undefined
    },
  }
}

const offByOne = (entry: Value): Value => {
  const state = JSON.parse(String(entry.body)) as { readonly cents: number }
  return { ...entry, body: JSON.stringify({ ...state, cents: state.cents + 1 }) }
}

/** Faults of kept states. */
export const statePlanters: readonly Planter[] = [
  changesState('off by one, with a right checksum', offByOne),
  changesState('off by one', offByOne, false),
  changesState('of a later version', (entry, run) => ({
    ...entry,
    version: Number(entry.version) + run.between(1, 9),
  })),
  changesState('of an earlier version', (entry) => ({
    ...entry,
    version: Number(entry.version) - 1,
  })),
  changesState('at another position', (entry, run) => ({
    ...entry,
    position: Number(entry.position) + run.between(1, 9),
  })),
  changesState('of another stream', (entry) => ({ ...entry, stream: 'sale-999' })),
  changesState('no state at all', (_entry, run) => run.pick([{}, { stream: 'x' }]), false),
]

/** The live tables: generation 1 of each projection in the bed. */
const models = [
  { projection: 'shops', table: 'shops__g1', key: 'key' },
  { projection: 'receipts', table: 'receipts__g1', key: 'key' },
] as const

function modelFault(projection: string, key: string, name: string): Planted {
  return {
    name: `${projection} ${key}: ${name}`,
    subjects: [`model ${projection} ${key}`],
    isFoundBy: (problem) =>
      problem.kind === 'read-model' && problem.projection === projection && problem.key === key,
    mayCause: () => false,
  }
}

async function pickRow(
  run: Campaign,
  bed: Bed,
  taken: ReadonlySet<string>,
  { projection, table }: { readonly projection: string; readonly table: string },
): Promise<Row | undefined> {
  const rows = await bed.sql(`SELECT * FROM ${bed.names.models}${table}`)
  const isFree = ({ key }: Row) => !taken.has(`model ${projection} ${String(key)}`)
  return shuffled(run, rows).find((row) => isFree(row) && row.key !== archivedShop)
}

/** Faults of read models. */
export const modelPlanters: readonly Planter[] = [
  ...models.flatMap((model): Planter[] => {
    const { projection, table } = model
    const target = (bed: Bed) => `${bed.names.models}${table}`
    return [
      {
        name: `${projection}: off by one`,
        refolds: true,
        plant: async (run, bed, taken) => {
          const row = await pickRow(run, bed, taken, model)
          if (row === undefined) return undefined
          const document = (typeof row.doc === 'string' ? JSON.parse(row.doc) : row.doc) as Value
          const doc = JSON.stringify({ ...document, cents: Number(document.cents) + 1 })
          await bed.sql(`UPDATE ${target(bed)} SET doc = $2 WHERE key = $1`, row.key, doc)
          return modelFault(projection, String(row.key), 'off by one')
        },
      },
      {
        name: `${projection}: a missing document`,
        refolds: true,
        plant: async (run, bed, taken) => {
          const row = await pickRow(run, bed, taken, model)
          if (row === undefined) return undefined
          await bed.sql(`DELETE FROM ${target(bed)} WHERE key = $1`, row.key)
          return modelFault(projection, String(row.key), 'missing')
        },
      },
      {
        name: `${projection}: an added document`,
        refolds: true,
        plant: async (run, bed) => {
          const key = `added-${run.between(1, 1e6)}`
          const text = `INSERT INTO ${target(bed)} (key, doc, position) VALUES ($1, $2, 1)`
          await bed.sql(text, key, '{"cents":1}')
          return modelFault(projection, key, 'added')
        },
      },
    ]
  }),
  {
    name: 'ledger: off by one',
    refolds: true,
    plant: async (run, bed, taken) => {
      const table = `${bed.names.models}ledger__g1`
      const rows = await bed.sql(`SELECT shop, nr FROM ${table}`)
      for (const { shop, nr } of shuffled(run, rows)) {
        const key = JSON.stringify([shop, Number(nr)])
        if (taken.has(`model ledger ${key}`)) continue
        await bed.sql(`UPDATE ${table} SET cents = cents + 1 WHERE shop = $1 AND nr = $2`, shop, nr)
        return modelFault('ledger', key, 'off by one')
      }
      return undefined
    },
  },
  {
    name: 'ledger: a missing row',
    refolds: true,
    plant: async (run, bed, taken) => {
      const table = `${bed.names.models}ledger__g1`
      const rows = await bed.sql(`SELECT shop, nr FROM ${table}`)
      for (const { shop, nr } of shuffled(run, rows)) {
        const key = JSON.stringify([shop, Number(nr)])
        if (taken.has(`model ledger ${key}`)) continue
        await bed.sql(`DELETE FROM ${table} WHERE shop = $1 AND nr = $2`, shop, nr)
        return modelFault('ledger', key, 'missing')
      }
      return undefined
    },
  },
  {
    name: 'a checkpoint that is ahead of its read model',
    refolds: true,
    plant: async (run, bed, taken) => {
      // The checkpoint is where the log ends, and one event before it was never handled.
      const model = { projection: 'shops', table: 'shops__g1' }
      const row = await pickRow(run, bed, taken, model)
      if (row === undefined) return undefined
      const document = (typeof row.doc === 'string' ? JSON.parse(row.doc) : row.doc) as Value
      const doc = JSON.stringify({ ...document, sales: Number(document.sales) - 1 })
      const text = `UPDATE ${bed.names.models}shops__g1 SET doc = $2 WHERE key = $1`
      await bed.sql(text, row.key, doc)
      return modelFault('shops', String(row.key), 'an event that was passed over')
    },
  },
]
