/**
 * What a read returns: iterate over it, or collect it. Nothing is read before that, each
 * iteration reads anew, and leaving a loop early stops the read.
 *
 * @example
 * ```ts
 * import { type EventSequence, openStore, type RecordedEvent } from 'eventuali'
 *
 * await using store = await openStore('memory:')
 * const events: EventSequence<RecordedEvent> = store.readStream('order-1')
 * for await (const event of events) console.log(event.type)
 * console.log(await events.toArray()) // read anew: []
 * ```
 */
export class EventSequence<E> implements AsyncIterable<E> {
  readonly #pages: () => AsyncIterable<readonly E[]>

  constructor(pages: () => AsyncIterable<readonly E[]>) {
    this.#pages = pages
  }

  /** The events in pages as the store reads them: the fastest way through a long log. */
  pages(): AsyncIterable<readonly E[]> {
    return this.#pages()
  }

  /** All events at once; for reads that fit in memory. */
  async toArray(): Promise<E[]> {
    let all: E[] | undefined
    for await (const page of this.#pages()) {
      if (all === undefined) all = page as E[]
      else for (const event of page) all.push(event)
    }
    return all ?? []
  }

  [Symbol.asyncIterator](): AsyncIterator<E> {
    const pages = this.#pages()[Symbol.asyncIterator]()
    let page: readonly E[] = []
    let next = 0
    const turnPage = async (): Promise<IteratorResult<E>> => {
      const result = await pages.next()
      if (result.done === true) return { done: true, value: undefined }
      page = result.value
      next = 1
      return { done: false, value: page[0] as E }
    }
    // By hand: an async generator would add a turn of the event loop to each event.
    return {
      next: () =>
        next < page.length
          ? Promise.resolve({ done: false, value: page[next++] as E })
          : turnPage(),
      return: async () => {
        await pages.return?.()
        return { done: true, value: undefined }
      },
    }
  }
}
