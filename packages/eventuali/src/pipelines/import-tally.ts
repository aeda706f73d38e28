import type { Clock, Random } from '../kernel/index.ts'
import { ImportLineError } from '../model/index.ts'
import type { ImportItem, SkippedLine } from './import-lines.ts'
import { type ImportTarget, isContentError, storeItems, unstorableItems } from './store-batch.ts'

/** Skipped lines that a result tells of; the others are counted. */
const skippedKeptMax = 1000

/** Stores what an import has read, and counts it: the same for lines and for other formats. */
export class ImportTally {
  readonly skipped: SkippedLine[] = []
  skippedCount = 0
  events = 0
  duplicates = 0
  readonly #target: ImportTarget
  readonly #sources: { readonly clock: Clock; readonly random: Random }
  readonly #skipInvalid: boolean

  constructor(
    target: ImportTarget,
    sources: { readonly clock: Clock; readonly random: Random },
    skipInvalid: boolean,
  ) {
    this.#target = target
    this.#sources = sources
    this.#skipInvalid = skipInvalid
  }

  /** Stores a batch; what no store takes of it is skipped, and the rest stored. */
  async store(items: readonly ImportItem[]): Promise<void> {
    try {
      const counts = await storeItems(this.#target, items, this.#sources)
      this.events += counts.events
      this.duplicates += counts.duplicates
    } catch (error) {
      if (!isContentError(error)) throw error
      const bad = unstorableItems(items)
      if (bad.length === 0) throw error
      this.skip(bad)
      const badLines = new Set(bad.map(({ line }) => line))
      const rest = items.filter(({ line }) => !badLines.has(line))
      if (rest.length > 0) await this.store(rest)
    }
  }

  /** Counts lines that are no events. Throws ImportLineError unless they may be left out. */
  skip(lines: readonly SkippedLine[]): void {
    const [first] = lines
    if (!this.#skipInvalid && first !== undefined) {
      throw new ImportLineError(first.line, first.reason)
    }
    this.skippedCount += lines.length
    this.skipped.push(...lines.slice(0, skippedKeptMax - this.skipped.length))
  }
}
