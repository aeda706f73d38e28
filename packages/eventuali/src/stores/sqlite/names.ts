import { LruMap } from '../../kernel/index.ts'
import type { SqlStatement } from './driver.ts'

const STREAM_COUNT_MAX = 50_000
const TYPE_COUNT_MAX = 10_000

/** The statements that turn keys into names and back. */
export interface NameStatements {
  readonly typeName: SqlStatement
  readonly typeId: SqlStatement
  readonly streamName: SqlStatement
}

/**
 * Keys of streams and types with their names. A pair never changes once it is committed, so that
 * the store's own instance may keep it for ever, and must never be shown an uncommitted one.
 */
export class Names {
  readonly #typeNames = new Map<number, string>()
  readonly #typeIds = new Map<string, number>()
  // Looked up for each event that is read: a map that starts anew when it is full is cheaper.
  readonly #streamNames = new Map<number, string>()
  readonly #streamIds = new LruMap<string, number>(STREAM_COUNT_MAX)

  knownTypeId(name: string): number | undefined {
    return this.#typeIds.get(name)
  }

  knownStreamId(name: string): number | undefined {
    return this.#streamIds.get(name)
  }

  addType(id: number, name: string): void {
    if (this.#typeIds.size >= TYPE_COUNT_MAX) {
      this.#typeIds.clear()
      this.#typeNames.clear()
    }
    this.#typeIds.set(name, id)
    this.#typeNames.set(id, name)
  }

  addStream(id: number, name: string): void {
    this.#streamIds.set(name, id)
  }

  typeName(sql: NameStatements, id: number): string {
    let name = this.#typeNames.get(id)
    if (name === undefined) {
      name = String(sql.typeName.get(id)?.[0] ?? '')
      if (name !== '') this.addType(id, name)
    }
    return name
  }

  typeId(sql: NameStatements, name: string): number | undefined {
    const known = this.#typeIds.get(name)
    if (known !== undefined) return known
    const found = sql.typeId.get(name)?.[0]
    if (found === undefined) return undefined
    this.addType(Number(found), name)
    return Number(found)
  }

  streamName(sql: NameStatements, id: number): string {
    let name = this.#streamNames.get(id)
    if (name === undefined) {
      name = String(sql.streamName.get(id)?.[0] ?? '')
      if (this.#streamNames.size >= STREAM_COUNT_MAX) this.#streamNames.clear()
      if (name !== '') this.#streamNames.set(id, name)
    }
    return name
  }
}
