import type { Io } from './io.ts'

const ENTER = '\u001b[?1049h\u001b[?25l'
const LEAVE = '\u001b[?25h\u001b[?1049l'
// Terminals that know it show the frame at once; the others take no notice.
const BEGIN = '\u001b[?2026h\u001b[H'
const END = '\u001b[J\u001b[?2026l'
const CLEAR_LINE = '\u001b[K'

/** A terminal's other screen: what was there comes back at the end, however the program ends. */
export class FullScreen {
  readonly #stream: Io['stdout']
  #entered = false
  #onResize: () => void = () => {}

  constructor(stream: Io['stdout']) {
    this.#stream = stream
  }

  get columns(): number {
    return Math.max(20, this.#stream.columns ?? 80)
  }

  get rows(): number {
    return Math.max(2, this.#stream.rows ?? 24)
  }

  enter(onResize: () => void): void {
    this.#entered = true
    this.#stream.write(ENTER)
    this.#onResize = onResize
    this.#stream.on('resize', onResize)
    process.once('exit', this.leave)
  }

  /** Draws over what is there, line by line: nothing is blank in between. */
  draw(lines: readonly string[]): void {
    if (!this.#entered) return
    this.#stream.write(`${BEGIN}${lines.map((line) => `${line}${CLEAR_LINE}\n`).join('')}${END}`)
  }

  readonly leave = (): void => {
    if (!this.#entered) return
    this.#entered = false
    this.#stream.off('resize', this.#onResize)
    process.off('exit', this.leave)
    this.#stream.write(LEAVE)
  }
}
