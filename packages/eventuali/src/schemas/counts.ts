import { isEventualiError } from '../kernel/index.ts'
import { isSystemType, type Json } from '../model/index.ts'
import type { CallOptions, EventStore, RecordReads } from '../ports/index.ts'

/** How often a type and version was seen in the log. */
export interface SchemaCount {
  readonly type: string
  readonly version: number
  /** Positions of the first and the last one. */
  readonly first: number
  readonly last: number
  /** Events that were counted; those that were removed later are among them. */
  readonly count: number
}

/** Counts up to a position. */
export interface SchemaCounts {
  readonly position: number
  readonly counts: readonly SchemaCount[]
}

const COUNT = 'schema-count'
const COUNTED = 'schema-counted'
const CHECKPOINT = 'log'
const LIST_PAGE_COUNT = 500
/** Events between two saves. */
const SAVE_COUNT = 100_000
const keyOf = ({ type, version }: { readonly type: string; readonly version: number }) =>
  `${version}/${type}`
/** Counts of another log, from before a restore, are not ours. */
const prefixOf = ({ incarnation }: EventStore) => `${incarnation}/`

interface Checkpoint {
  readonly incarnation: string
  readonly position: number
}

class Tally {
  readonly #counts = new Map<string, SchemaCount>()
  /** What has changed since the last save. */
  readonly #changed = new Set<string>()

  constructor(counts: readonly SchemaCount[]) {
    for (const one of counts) this.#counts.set(keyOf(one), one)
  }

  add(type: string, version: number, position: number): void {
    const key = keyOf({ type, version })
    const { first = position, count = 0 } = this.#counts.get(key) ?? {}
    this.#counts.set(key, { type, version, first, last: position, count: count + 1 })
    this.#changed.add(key)
  }

  takeChanged(): readonly string[] {
    const keys = [...this.#changed]
    this.#changed.clear()
    return keys
  }

  get(key: string): SchemaCount | undefined {
    return this.#counts.get(key)
  }

  all(): readonly SchemaCount[] {
    return [...this.#counts.values()]
  }
}

/** What was counted and saved for this log. */
async function saved(port: EventStore, options: CallOptions) {
  const reads: RecordReads = port.records
  const [record] = await reads.get(COUNTED, [CHECKPOINT], options)
  const checkpoint = record?.value as Checkpoint | undefined
  const isOurs = checkpoint?.incarnation === port.incarnation
  const revision = record?.revision ?? 0
  if (!isOurs) return { position: 0, revision, counts: [] as SchemaCount[] }
  const counts: SchemaCount[] = []
  for (let after: string | undefined; ; ) {
    const query = { kind: COUNT, prefix: prefixOf(port), after, limit: LIST_PAGE_COUNT }
    const page = await reads.list(query, options)
    for (const { value } of page) counts.push(value as unknown as SchemaCount)
    after = page.at(-1)?.key
    if (page.length < LIST_PAGE_COUNT) break
  }
  return { position: checkpoint.position, revision, counts }
}

/** Options of counting. */
export interface CountOptions extends CallOptions {
  /** Called with the position that has been reached and the one to reach. */
  readonly onProgress?: ((position: number, upTo: number) => void) | undefined
}

/**
 * Brings the counts up to the safe position: reads what has come since the last time, and saves
 * what it found unless the store is open for reading only.
 */
export async function countSchemas(port: EventStore, options: CountOptions): Promise<SchemaCounts> {
  const { signal, onProgress } = options
  const { safe } = await port.positions(options)
  const before = await saved(port, options)
  const tally = new Tally(before.counts)
  let { position, revision } = before
  let isSaving = true
  let since = 0
  const save = async (upTo: number) => {
    since = 0
    if (!isSaving) return
    const next = await saveCounts(port, tally, { revision, position: upTo }, options)
    // Another program counts too, or nothing can be written: the result is as good without.
    if (next === undefined) isSaving = false
    else revision = next
  }
  const query = {
    after: position,
    upTo: safe,
    direction: 'forward',
    includeArchived: true,
  } as const
  for await (const page of port.readLog(query, { signal })) {
    for (const { type, schemaVersion, position: at } of page) {
      if (!isSystemType(type)) tally.add(type, schemaVersion, at)
      position = at
    }
    since += page.length
    onProgress?.(position, safe)
    if (since >= SAVE_COUNT) await save(position)
  }
  if (safe > before.position) await save(safe)
  return { position: Math.max(safe, before.position), counts: tally.all() }
}

/** The new revision of the checkpoint; undefined when it cannot be saved by this program. */
async function saveCounts(
  port: EventStore,
  tally: Tally,
  { revision, position }: { readonly revision: number; readonly position: number },
  options: CallOptions,
): Promise<number | undefined> {
  const changed = tally.takeChanged()
  const value = { incarnation: port.incarnation, position }
  const checkpoint = { kind: COUNTED, key: CHECKPOINT, expected: revision, value }
  const counts = changed.map((key) => {
    const count = tally.get(key) as unknown as Json
    return { kind: COUNT, key: `${prefixOf(port)}${key}`, expected: 'any' as const, value: count }
  })
  try {
    return await port.transaction(async (tx) => {
      const [next] = await tx.records.write([checkpoint, ...counts], options)
      return next
    }, options)
  } catch (error) {
    const passing = ['STORE_READ_ONLY', 'RECORD_CONFLICT']
    if (passing.some((code) => isEventualiError(error, code))) return undefined
    throw error
  }
}
