import type { Io, Output } from './io.ts'
import { cutTo, harmless, padTo, widthOf } from './text-width.ts'

/** A column of a table. */
export interface Column<Row> {
  readonly title: string
  readonly text: (row: Row) => string
  readonly align?: 'right'
}

// Widths are taken from these many rows; the rest streams through in the same widths.
const SAMPLE_COUNT = 200
const GAP = '  '

/**
 * Writes rows as an aligned table while they come. In a terminal lines are cut to its width; in a
 * pipe nothing is cut and nothing is coloured.
 */
export class Table<Row> {
  readonly #columns: readonly Column<Row>[]
  readonly #output: Output
  readonly #width: number
  readonly #bold: boolean
  #sample: string[][] = []
  #widths: readonly number[] | undefined

  constructor(columns: readonly Column<Row>[], output: Output, io: Io) {
    this.#columns = columns
    this.#output = output
    const isTerminal = io.stdout.isTTY === true
    this.#width = isTerminal ? Math.max(20, io.stdout.columns ?? 80) : Number.POSITIVE_INFINITY
    this.#bold = isTerminal && (io.env.NO_COLOR ?? '') === '' && io.env.TERM !== 'dumb'
  }

  async add(rows: Iterable<Row>): Promise<void> {
    let text = ''
    for (const row of rows) {
      const cells = this.#columns.map((column) => harmless(column.text(row)))
      if (this.#widths !== undefined) text += this.#line(cells)
      else if (this.#sample.push(cells) === SAMPLE_COUNT) text += this.#begin()
    }
    if (text !== '') await this.#output.write(text)
  }

  /** Writes what is held back; an empty table is its head only. */
  async end(): Promise<void> {
    if (this.#widths === undefined) await this.#output.write(this.#begin())
  }

  #begin(): string {
    const titles = this.#columns.map(({ title }) => title)
    this.#widths = titles.map((title, i) =>
      this.#sample.reduce((most, cells) => Math.max(most, widthOf(cells[i] ?? '')), title.length),
    )
    const head = this.#line(titles)
    let text = this.#bold ? `\u001b[1m${head.trimEnd()}\u001b[22m\n` : head
    for (const cells of this.#sample) text += this.#line(cells)
    this.#sample = []
    return text
  }

  #line(cells: readonly string[]): string {
    const padded = cells.map((cell, i) => {
      const side = this.#columns[i]?.align === 'right' ? 'start' : 'end'
      return padTo(cell, this.#widths?.[i] ?? 0, side)
    })
    return `${cutTo(padded.join(GAP).trimEnd(), this.#width)}\n`
  }
}
