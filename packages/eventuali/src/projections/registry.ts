import type { Json } from '../model/index.ts'
import type {
  CallOptions,
  RecordAccess,
  RecordChange,
  RecordReads,
  StoreTransaction,
} from '../ports/index.ts'
import { type AnyProjection, type ProjectionMode, tablesOf } from './define.ts'

const KIND = 'projection'

/** `standby`: was live, is kept (and kept current where its code runs) for a way back. */
export type GenerationStatus = 'building' | 'live' | 'standby'

/** One set of tables of a projection. */
export interface Generation {
  /** Of the definition that fills it. */
  readonly version: number
  readonly mode: ProjectionMode
  readonly status: GenerationStatus
  /** Physical names by target. */
  readonly tables: { readonly [target: string]: string }
  /** What it had seen when it was last built, frozen or handed to its consumer. */
  readonly position: number
}

/** What is registered of a projection. */
export interface Registered {
  readonly live: number | null
  /** The generation that was live before. */
  readonly previous: number | null
  /** Number of the next generation. */
  readonly next: number
  readonly paused: boolean
  /** Position after which effects run: where the first generation went live. */
  readonly effectsFrom: number | null
  readonly generations: { readonly [generation: string]: Generation }
}

/** What is registered, with the revision that a write expects. */
export interface RegisteredRow {
  readonly revision: number
  readonly value: Registered
}

const fresh: Registered = {
  ...{ live: null, previous: null, next: 1, paused: false, effectsFrom: null, generations: {} },
}

/** What is registered of a projection, if anything. */
export async function readRegistered(
  records: RecordReads,
  name: string,
  options?: CallOptions,
): Promise<RegisteredRow | undefined> {
  const [found] = await records.get(KIND, [name], options)
  if (found === undefined) return undefined
  return { revision: found.revision, value: found.value as unknown as Registered }
}

/** What is registered of several. */
export async function readAllRegistered(
  records: RecordReads,
  names: readonly string[],
): Promise<readonly (Registered | undefined)[]> {
  if (names.length === 0) return []
  const rows = await records.get(KIND, names)
  return rows.map((row) => row?.value as unknown as Registered | undefined)
}

/** The same, kept from changing until the transaction ends; a fresh one when there is none. */
export async function lockRegistered(records: RecordAccess, name: string): Promise<RegisteredRow> {
  const [found] = await records.lock(KIND, [name])
  if (found === undefined) return { revision: 0, value: fresh }
  return { revision: found.revision, value: found.value as unknown as Registered }
}

/**
 * Writes what is registered, and what goes with it. RecordConflictError when it was changed since
 * it was read.
 */
export async function writeRegistered(
  records: RecordAccess,
  name: string,
  row: RegisteredRow,
  ...beside: readonly RecordChange[]
): Promise<void> {
  const value = row.value as unknown as Json
  await records.write([{ kind: KIND, key: name, expected: row.revision, value }, ...beside])
}

/** The generation of a number. */
export function generationOf(value: Registered, generation: number): Generation | undefined {
  return value.generations[String(generation)]
}

/** The live generation with its number. */
export function liveOf(
  value: Registered | undefined,
): (Generation & { readonly generation: number }) | undefined {
  const live = value?.live ?? null
  if (value === undefined || live === null) return undefined
  const found = generationOf(value, live)
  return found === undefined ? undefined : { ...found, generation: live }
}

/** Registered values with one generation changed, or taken out. */
export function withGeneration(
  value: Registered,
  generation: number,
  change: Partial<Generation> | undefined,
): Registered {
  const generations: Record<string, Generation> = { ...value.generations }
  const was = generations[String(generation)]
  if (change === undefined) delete generations[String(generation)]
  else if (was !== undefined) generations[String(generation)] = { ...was, ...change }
  return { ...value, generations }
}

/** Makes the tables of a new generation and registers it as `building`. */
export async function addGeneration(
  tx: StoreTransaction,
  projection: AnyProjection,
  row: RegisteredRow,
): Promise<number> {
  const generation = row.value.next
  const tables: Record<string, string> = {}
  for (const [target, table] of tablesOf(projection, generation)) {
    await tx.models.create(table)
    tables[target] = table.name
  }
  const { version, mode } = projection
  const added: Generation = { version, mode, status: 'building', tables, position: 0 }
  const generations = { ...row.value.generations, [String(generation)]: added }
  const value = { ...row.value, next: generation + 1, generations }
  await writeRegistered(tx.records, projection.name, { ...row, value })
  return generation
}

/** Name of the durable consumer that fills a generation. */
export function consumerName(name: string, generation: number | ''): string {
  return `projection:${name}/g${generation}`
}
