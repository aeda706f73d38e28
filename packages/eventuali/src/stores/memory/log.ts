import type { StoredRow, StreamInfo, StreamState } from '../../model/index.ts'
import { categoryOf } from '../../model/index.ts'

/** One stored event: text, as in every other store, so that no caller holds a piece of the log. */
export interface MemoryRow extends StoredRow {
  readonly idGiven: boolean
  readonly tags: readonly string[]
}

/** A stream's head and its kept rows, dense from `firstVersion`. */
export interface MemoryStream {
  readonly name: string
  version: number
  firstVersion: number
  state: StreamState
  rows: MemoryRow[]
  /** Rows whose id the caller gave. */
  ids: Map<string, MemoryRow>
  /** The log that may change it; any other one clones it first. */
  readonly owner: MemoryLog
}

/**
 * All events of a memory store. A transaction works on a copy, and its commit puts the copy in the
 * place of the original, so there is nothing to undo.
 */
export class MemoryLog {
  /** In position order. */
  rows: MemoryRow[] = []
  lastPosition = 0
  #streams = new Map<string, MemoryStream>()
  /** Whether rows and streams are another log's still. */
  #shares = false

  /** Costs nothing until it is written to; the original must not change as long as it is used. */
  copy(): MemoryLog {
    const copy = new MemoryLog()
    copy.rows = this.rows
    copy.lastPosition = this.lastPosition
    copy.#streams = this.#streams
    copy.#shares = true
    return copy
  }

  stream(name: string): MemoryStream | undefined {
    return this.#streams.get(name)
  }

  names(): string[] {
    return [...this.#streams.keys()]
  }

  /** The stream, made when it is new, cloned when another log owns it. */
  writable(name: string): MemoryStream {
    const found = this.#streams.get(name)
    if (found?.owner === this) return found
    this.#unshare()
    const fresh: MemoryStream = {
      name,
      version: found?.version ?? 0,
      firstVersion: found?.firstVersion ?? 1,
      state: found?.state ?? 'active',
      rows: found?.rows.slice() ?? [],
      ids: new Map(found?.ids),
      owner: this,
    }
    this.#streams.set(name, fresh)
    return fresh
  }

  add(row: MemoryRow): void {
    this.#unshare()
    const stream = this.writable(row.stream)
    stream.version = row.version
    stream.rows.push(row)
    if (row.idGiven) stream.ids.set(row.id, row)
    this.rows.push(row)
    this.lastPosition = row.position
  }

  /** Removes the versions below `before`; the head keeps counting from where it was. */
  removeBelow(name: string, before: number): void {
    const stream = this.writable(name)
    const removed = stream.rows.filter((row) => row.version < before)
    if (removed.length > 0) {
      stream.rows = stream.rows.filter((row) => row.version >= before)
      for (const row of removed) if (row.idGiven) stream.ids.delete(row.id)
      const gone = new Set(removed)
      this.rows = this.rows.filter((row) => !gone.has(row))
    }
    stream.firstVersion = Math.max(stream.firstVersion, before)
  }

  /** Puts rows in the place of those at the same positions. */
  replace(changed: ReadonlyMap<number, MemoryRow>): void {
    if (changed.size === 0) return
    this.#unshare()
    const swap = (row: MemoryRow) => changed.get(row.position) ?? row
    this.rows = this.rows.map(swap)
    for (const name of new Set([...changed.values()].map((row) => row.stream))) {
      const stream = this.writable(name)
      stream.rows = stream.rows.map(swap)
      for (const row of stream.rows) if (row.idGiven) stream.ids.set(row.id, row)
    }
  }

  #unshare(): void {
    if (!this.#shares) return
    this.rows = this.rows.slice()
    this.#streams = new Map(this.#streams)
    this.#shares = false
  }

  /** Index of the first row with a position above `position`. */
  indexAfter(position: number): number {
    let low = 0
    let high = this.rows.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.rows[middle] as MemoryRow).position <= position) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** The public view of a stream's head. */
export function infoOf(stream: MemoryStream): StreamInfo {
  const first = stream.rows[0]
  const last = stream.rows.at(-1)
  return {
    stream: stream.name,
    category: categoryOf(stream.name),
    version: stream.version,
    firstVersion: stream.firstVersion,
    count: stream.rows.length,
    state: stream.state,
    firstTime: first === undefined ? undefined : new Date(first.time),
    lastTime: last === undefined ? undefined : new Date(last.time),
  }
}
