import { QueueFullError } from '../../model/index.ts'

const WAITING_COUNT_MAX = 10_000

/** Lets so many calls run at a time; the others wait in their order, and not without a bound. */
export class CallLane {
  readonly #countMax: number
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(countMax: number) {
    this.#countMax = countMax
  }

  /** Runs `work` once it is its turn. An abort ends the wait with the signal's reason. */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.#running >= this.#countMax) await this.#turn(signal)
    else this.#running++
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#running--
      else next()
    }
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    if (this.#waiting.length >= WAITING_COUNT_MAX) {
      throw new QueueFullError('the server', WAITING_COUNT_MAX)
    }
    return new Promise((resolve, reject) => {
      const enter = () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }
      const onAbort = () => {
        const at = this.#waiting.indexOf(enter)
        if (at !== -1) this.#waiting.splice(at, 1)
        reject(signal?.reason)
      }
      this.#waiting.push(enter)
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }
}
