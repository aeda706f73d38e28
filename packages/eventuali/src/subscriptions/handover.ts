/** An event on its way into a loop. */
export interface Offer<E> {
  readonly event: E
  /** The loop has come back for more. */
  done(): void
}

/** Hands events from handlers to a loop, each as soon as the one before is done. */
export class Handover<E> {
  readonly #offers: Offer<E>[] = []
  #taken: ((offer: Offer<E> | undefined) => void) | undefined
  #ended = false

  /** The handler: resolves when the loop is done with the event, rejects when it never will be. */
  readonly take = (event: E, { signal }: { readonly signal: AbortSignal }): Promise<void> =>
    new Promise((resolve, reject) => {
      const onAbort = () => {
        const at = this.#offers.indexOf(offer)
        if (at !== -1) this.#offers.splice(at, 1)
        reject(signal.reason)
      }
      const done = () => {
        signal.removeEventListener('abort', onAbort)
        resolve()
      }
      const offer: Offer<E> = { event, done }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#offers.push(offer)
      this.#pass()
    })

  /** The next event, or undefined once it has ended. */
  next(): Promise<Offer<E> | undefined> {
    return new Promise((resolve) => {
      this.#taken = resolve
      this.#pass()
    })
  }

  end(): void {
    this.#ended = true
    this.#pass()
  }

  #pass(): void {
    const taken = this.#taken
    if (taken === undefined) return
    const offer = this.#ended ? undefined : this.#offers.shift()
    if (offer === undefined && !this.#ended) return
    this.#taken = undefined
    taken(offer)
  }
}
