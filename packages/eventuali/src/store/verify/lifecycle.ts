import { type RecordedEvent, type StreamInfo, systemEventTypes } from '../../model/index.ts'

/**
 * What a stream's system events say of its state, beside what its head says. A stream that was
 * truncated or forked may have lost the event that tells: then nothing is said.
 */
export class Lifecycle {
  #archived: boolean | undefined
  #firstAtLeast = 1
  #lastType = ''
  #isWhole = true

  see(event: RecordedEvent): void {
    const { type, version, data } = event
    this.#lastType = type
    if (type === systemEventTypes.archived) this.#archived = true
    if (type === systemEventTypes.unarchived) this.#archived = false
    if (type === systemEventTypes.truncated) {
      const before = (data as { readonly before?: unknown } | null)?.before
      if (typeof before !== 'number') return
      this.#firstAtLeast = Math.max(this.#firstAtLeast, Math.min(before, version))
    }
  }

  /** An event could not be read: it may have been one that tells. */
  miss(): void {
    this.#isWhole = false
  }

  /** What does not fit the head. */
  *faults({ state, firstVersion }: StreamInfo): Iterable<string> {
    if (!this.#isWhole) return
    const isGone = this.#lastType === systemEventTypes.deleted
    if (isGone !== (state === 'deleted')) {
      yield isGone
        ? `its head says ${state}, its last event that it was deleted`
        : 'its head says deleted, its last event is no deletion'
    } else if (state !== 'deleted') {
      const archived = this.#archived ?? (firstVersion === 1 ? false : undefined)
      if (archived !== undefined && archived !== (state === 'archived')) {
        yield `its head says ${state}, its events that it is ${archived ? 'archived' : 'active'}`
      }
    }
    if (firstVersion < this.#firstAtLeast) {
      yield `its head keeps versions from ${firstVersion} on, it was truncated below ${this.#firstAtLeast}`
    }
  }
}
