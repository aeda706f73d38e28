import { compareText } from '../../kernel/index.ts'
import type { Json } from '../../model/index.ts'
import type { InlineProjection } from '../../ports/index.ts'
import { Layer } from './layer.ts'

/** A record as it is kept; its value as text, so that no caller holds a piece of the store. */
export interface MemoryRecord {
  readonly kind: string
  readonly key: string
  readonly revision: number
  readonly text: string
  readonly state: string | undefined
  readonly due: number | undefined
}

/** A document; `value` is the store's own, for finds. */
export interface MemoryDocument {
  readonly key: string
  readonly text: string
  readonly value: Json
  readonly position: number
}

/** Everything but the log: records, read models, and the list of inline projections. */
export class ReadSide {
  readonly #under: ReadSide | undefined
  readonly #records = new Map<string, Layer<MemoryRecord>>()
  readonly #documents = new Map<string, Layer<MemoryDocument>>()
  /** Names of the tables that are there. */
  readonly tables: Layer<true>
  /** Table of each view. */
  readonly views: Layer<string>
  readonly inline: Layer<InlineProjection>

  constructor(under?: ReadSide) {
    this.#under = under
    this.tables = new Layer(under?.tables)
    this.views = new Layer(under?.views)
    this.inline = new Layer(under?.inline)
  }

  records(kind: string): Layer<MemoryRecord> {
    return layerOf(this.#records, kind, () => this.#under?.records(kind))
  }

  /** All kinds of records that were ever written here, by code point. */
  recordKinds(): readonly string[] {
    return [...this.#records.keys()].sort(compareText)
  }

  documents(table: string): Layer<MemoryDocument> {
    return layerOf(this.#documents, table, () => this.#under?.documents(table))
  }

  /** Writes everything into the one below. */
  merge(): void {
    for (const layers of [this.#records, this.#documents]) {
      for (const layer of layers.values()) layer.merge()
    }
    for (const layer of [this.tables, this.views, this.inline]) layer.merge()
  }
}

function layerOf<V>(
  layers: Map<string, Layer<V>>,
  name: string,
  under: () => Layer<V> | undefined,
): Layer<V> {
  const found = layers.get(name)
  if (found !== undefined) return found
  const fresh = new Layer(under())
  layers.set(name, fresh)
  return fresh
}
