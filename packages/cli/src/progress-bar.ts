import type { Io } from './io.ts'
import { cutTo } from './text-width.ts'

const REDRAW_MS = 80
const BAR_WIDTH = 24

/** A line on standard error that shows how far a job is; nothing at all where no one looks. */
export class ProgressBar {
  readonly #stream: Io['stderr']
  readonly #active: boolean
  readonly #unicode: boolean
  #drawnMs = 0
  #drawn = false

  constructor(io: Io) {
    this.#stream = io.stderr
    this.#active = io.stderr.isTTY === true && io.env.TERM !== 'dumb'
    this.#unicode = /utf-?8/i.test(io.env.LC_ALL ?? io.env.LC_CTYPE ?? io.env.LANG ?? 'utf-8')
  }

  /** `share` from 0 to 1, or undefined where the end is not known. */
  show(share: number | undefined, text: string): void {
    const now = performance.now()
    if (!this.#active || (this.#drawn && now - this.#drawnMs < REDRAW_MS)) return
    this.#drawnMs = now
    this.#drawn = true
    const line = share === undefined ? text : `${this.#bar(share)} ${percent(share)}  ${text}`
    this.#stream.write(`\r${cutTo(line, (this.#stream.columns ?? 80) - 1)}\u001b[K`)
  }

  /** Takes the line away again. */
  clear(): void {
    if (this.#drawn) this.#stream.write('\r\u001b[K')
    this.#drawn = false
  }

  #bar(share: number): string {
    const filled = Math.round(Math.min(1, Math.max(0, share)) * BAR_WIDTH)
    const [full, empty] = this.#unicode ? ['█', '░'] : ['#', '-']
    return `${full}`.repeat(filled) + `${empty}`.repeat(BAR_WIDTH - filled)
  }
}

const percent = (share: number): string =>
  `${Math.floor(Math.min(1, Math.max(0, share)) * 100)} %`.padStart(5)
