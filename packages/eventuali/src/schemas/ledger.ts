import type { Clock } from '../kernel/index.ts'
import type { EventDefinition, Json } from '../model/index.ts'
import type { CallOptions, EventStore, StoredRecord } from '../ports/index.ts'
import { type JsonSchema, schemaHash, storedSchema } from './json-schema.ts'

/** A schema of a type and version, as a program registered it. */
export interface RegisteredSchema {
  readonly type: string
  readonly version: number
  /** Undefined where the definition's library could not say it. */
  readonly schema?: JsonSchema | undefined
  /** Equal for equal schemas; `-` where there is none. */
  readonly hash: string
  readonly registeredAt: Date
  /** How far the log went when it was registered. */
  readonly position: number
}

interface Entry {
  readonly version: number
  readonly hash: string
  readonly schema: JsonSchema | null
  readonly registeredAt: string
  readonly position: number
}

/** One record for each type, so that a program asks for all of its types at once. */
const SCHEMA = 'schema'
const LIST_PAGE_COUNT = 200
/** Schemas of one type that are kept; the oldest go. A schema made anew at each start has many. */
export const REGISTERED_COUNT_MAX = 200

function entriesOf(record: StoredRecord | undefined): readonly Entry[] {
  return (record?.value as { readonly entries?: readonly Entry[] } | undefined)?.entries ?? []
}

function registeredFrom(record: StoredRecord | undefined): readonly RegisteredSchema[] {
  return entriesOf(record).map(({ version, hash, schema, registeredAt, position }) => {
    const rest = { hash, registeredAt: new Date(registeredAt), position }
    return { type: record?.key ?? '', version, ...(schema === null ? {} : { schema }), ...rest }
  })
}

/** What is registered of these types, in the order in which it was. */
export async function registeredOf(
  port: EventStore,
  types: readonly string[],
  options?: CallOptions,
): Promise<readonly RegisteredSchema[]> {
  if (types.length === 0) return []
  const records = await port.records.get(SCHEMA, types, options)
  return records.flatMap(registeredFrom)
}

/** What is registered of all types, by type and in the order in which it was. */
export async function allRegistered(
  port: EventStore,
  options?: CallOptions,
): Promise<readonly RegisteredSchema[]> {
  const found: RegisteredSchema[] = []
  for (let after: string | undefined; ; ) {
    const page = await port.records.list({ kind: SCHEMA, after, limit: LIST_PAGE_COUNT }, options)
    for (const record of page) found.push(...registeredFrom(record))
    after = page.at(-1)?.key
    if (page.length < LIST_PAGE_COUNT) return found
  }
}

function isKnown({ schemaVersion }: EventDefinition, hash: string, entries: readonly Entry[]) {
  return entries.some((entry) => entry.version === schemaVersion && entry.hash === hash)
}

/**
 * Registers what is not there yet, and gives the number of it. Two programs that register at once
 * both succeed. Nothing is written when all of it is known.
 */
export async function register(
  port: EventStore,
  clock: Clock,
  definitions: readonly EventDefinition[],
  options: CallOptions,
): Promise<number> {
  const hashes = new Map(definitions.map((one) => [one, schemaHash(storedSchema(one))]))
  const unknown = async (records: readonly (StoredRecord | undefined)[]) =>
    definitions.filter(
      (one, at) => !isKnown(one, hashes.get(one) as string, entriesOf(records[at])),
    )
  const types = definitions.map(({ type }) => type)
  if (types.length === 0) return 0
  const missing = await unknown(await port.records.get(SCHEMA, types, options))
  if (missing.length === 0) return 0
  const registeredAt = new Date(clock.now()).toISOString()
  return port.transaction(async (tx) => {
    const keys = missing.map(({ type }) => type)
    const records = await tx.records.lock(SCHEMA, keys, options)
    const position = await tx.newestPosition(options)
    const changes = missing.flatMap((definition, at) => {
      const entries = entriesOf(records[at])
      const hash = hashes.get(definition) as string
      if (isKnown(definition, hash, entries)) return []
      const { type, schemaVersion: version } = definition
      const schema = storedSchema(definition) ?? null
      const all = [...entries, { version, hash, schema, registeredAt, position }]
      const value = { entries: all.slice(-REGISTERED_COUNT_MAX) } as unknown as Json
      return [{ kind: SCHEMA, key: type, expected: records[at]?.revision ?? 0, value }]
    })
    await tx.records.write(changes, options)
    return changes.length
  }, options)
}
