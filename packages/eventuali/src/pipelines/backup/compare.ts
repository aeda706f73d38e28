import { type KeptRow, RestoreDiffersError, removedBelow } from '../../model/index.ts'
import type { CallOptions, StoreView } from '../../ports/index.ts'

const fields = [
  ...([
    'stream',
    'version',
    'type',
    'id',
    'idGiven',
    'time',
    'recordedAt',
    'schemaVersion',
  ] as const),
  ...(['tagsText', 'metadata'] as const),
]

/**
 * Holds the rows of a backup against those of the store, in the order of the log, field by field.
 * What is in the backup alone must have been removed by an event that comes later in it. Throws
 * RestoreDiffersError.
 */
export async function compareLog(
  rows: AsyncIterable<KeptRow>,
  view: StoreView,
  call: CallOptions,
): Promise<void> {
  const upTo = Number.MAX_SAFE_INTEGER
  const there = oneByOne(view.rows({ after: 0, upTo }, call))
  const missing = new Missing()
  try {
    let found = await there.next()
    for await (const row of rows) {
      const { position } = row
      if (found.done !== true && found.value.position < position) throw unexpected(found.value)
      const isThere = found.done !== true && found.value.position === position
      missing.pass(row, isThere)
      if (found.done === true || !isThere) continue
      assertSame(row, found.value)
      found = await there.next()
    }
    if (found.done !== true) throw unexpected(found.value)
    missing.assertNone()
  } finally {
    await there.return(undefined)
  }
}

/** Rows that the store has not, as long as no later event says that they were removed. */
class Missing {
  /** By stream: the highest of them, and the last version that was passed. */
  readonly #streams = new Map<string, { highest: KeptRow; version: number }>()

  pass(row: KeptRow, isThere: boolean): void {
    const { stream, version } = row
    const open = this.#streams.get(stream)
    if (open !== undefined && removedBelow(row, open) > open.highest.version) {
      this.#streams.delete(stream)
    } else if (open !== undefined) open.version = version
    if (!isThere) this.#streams.set(stream, { highest: row, version })
  }

  assertNone(): void {
    const [first] = this.#streams.values()
    if (first === undefined) return
    throw new RestoreDiffersError(first.highest.position, 'the event is not in the store')
  }
}

function unexpected({ position }: KeptRow): RestoreDiffersError {
  return new RestoreDiffersError(position, 'the store holds an event that the backup has not')
}

async function* oneByOne(
  pages: AsyncIterable<readonly KeptRow[]>,
): AsyncGenerator<KeptRow, undefined, void> {
  for await (const page of pages) yield* page
  return undefined
}

function assertSame(wanted: KeptRow, found: KeptRow): void {
  for (const field of fields) {
    if (wanted[field] === found[field]) continue
    throw new RestoreDiffersError(wanted.position, `its ${field} is another one`)
  }
  const { checksum } = wanted
  // A store in memory keeps none.
  const isKept = checksum !== undefined && found.checksum !== undefined
  if (isKept && checksum !== found.checksum) {
    throw new RestoreDiffersError(wanted.position, 'its checksum is another one')
  }
  if (isSameData(wanted.data, found.data)) return
  throw new RestoreDiffersError(wanted.position, 'its data is stored otherwise')
}

function isSameData(a: string | Uint8Array, b: string | Uint8Array): boolean {
  if (typeof a === 'string' || typeof b === 'string') return a === b
  return Buffer.compare(a, b) === 0
}
