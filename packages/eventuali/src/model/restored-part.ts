import { type StoredRow, textOfRow } from './codec.ts'
import { InvalidArgumentError } from './errors.ts'
import { systemEventTypes } from './event.ts'
import type { StreamState } from './stream.ts'

/** A row with what a copy of the log in another store needs beside it. */
export interface KeptRow extends StoredRow {
  /** Whether the caller gave the id. */
  readonly idGiven: boolean
  /**
   * Of a `$truncated` event: whether its stream was archived. Of every other event the type tells,
   * and what a truncation removes may be the one that told. Taken from what follows in the stream:
   * that somebody unarchived what was not archived cannot be seen.
   */
  readonly archived?: boolean | undefined
}

/** A stream's head while a log is put back. */
export interface RestoredHead {
  readonly version: number
  readonly firstVersion: number
  readonly state: StreamState
}

/**
 * What becomes of streams when the next rows of a log are put back: those that were truncated or
 * deleted later lose what they have by then, as they did in the first place.
 */
export class RestoredPart {
  /** Heads of all streams that the rows touch, after them. */
  readonly heads: Map<string, RestoredHead> = new Map()
  readonly #known: ReadonlyMap<string, RestoredHead>
  readonly #rows: KeptRow[] = []
  #position: number

  /** `known`: heads in the store, of the streams that the rows touch; `after`: the newest there. */
  constructor(known: ReadonlyMap<string, RestoredHead>, after: number) {
    this.#known = known
    this.#position = after
  }

  /** The rows that are left, in log order. */
  get rows(): readonly KeptRow[] {
    return this.#rows.filter(({ stream, version }) => {
      const head = this.heads.get(stream)
      return head === undefined || version >= head.firstVersion
    })
  }

  /** Streams that lose rows which are in the store already, with the first version that stays. */
  get reduced(): readonly (readonly [stream: string, before: number])[] {
    return [...this.heads].flatMap(([stream, { firstVersion }]) => {
      const known = this.#known.get(stream)
      const isCut = known !== undefined && firstVersion > known.firstVersion
      return isCut ? [[stream, firstVersion] as const] : []
    })
  }

  /** Throws InvalidArgumentError for a row that cannot follow. */
  add(row: KeptRow): void {
    const { stream, version, position } = row
    if (!Number.isSafeInteger(position) || position <= this.#position) {
      throw new InvalidArgumentError(
        'rows',
        `have position ${position} after ${this.#position}, where it cannot be put back`,
      )
    }
    const head = this.heads.get(stream) ?? this.#known.get(stream)
    if (!Number.isSafeInteger(version) || version < 1 || version <= (head?.version ?? 0)) {
      const what = `have version ${version} of ${JSON.stringify(stream)} after ${head?.version ?? 0}`
      throw new InvalidArgumentError('rows', what)
    }
    this.#position = position
    this.#rows.push(row)
    const before = removedBelow(row, head)
    this.heads.set(stream, {
      version,
      firstVersion: head === undefined ? version : Math.max(head.firstVersion, before),
      state: stateAfter(row),
    })
  }
}

/**
 * The first version that a stream keeps with this event, 0 for all of them; `head` is the version
 * that it had.
 */
export function removedBelow(
  row: KeptRow,
  head: Pick<RestoredHead, 'version'> | undefined,
): number {
  const { type, version } = row
  if (type === systemEventTypes.deleted) return version
  // What lies between was removed before it could be copied, and with it all that is below.
  if (head !== undefined && version !== head.version + 1) return version
  if (type !== systemEventTypes.truncated) return 0
  const data = JSON.parse(textOfRow(row)) as { readonly before?: unknown } | null
  const before = data?.before
  return typeof before === 'number' ? Math.min(before, version) : 0
}

/** An archived stream takes no event but those that change its state, or cut it. */
function stateAfter({ type, archived }: KeptRow): StreamState {
  if (type === systemEventTypes.deleted) return 'deleted'
  if (type === systemEventTypes.archived) return 'archived'
  return type === systemEventTypes.truncated && archived === true ? 'archived' : 'active'
}
