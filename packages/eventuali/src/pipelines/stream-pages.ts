import { isSystemType, type RecordedEvent } from '../model/index.ts'
import type { CallOptions, EventStore } from '../ports/index.ts'

/** What an export that goes stream by stream needs of a store. */
export type StreamSource = Pick<EventStore, 'streams' | 'readStream' | 'readLog' | 'positions'>

/** Which streams, and how far. */
export interface StreamChoice {
  readonly categories: readonly string[] | undefined
  /** The safe position as it was at the beginning: what came later is left out. */
  readonly upTo: number
}

/** The names of the streams that have events, a category after the other. */
export async function* streamNames(
  store: StreamSource,
  { categories = [undefined as unknown as string] }: Pick<StreamChoice, 'categories'>,
  call: CallOptions,
): AsyncGenerator<{ readonly stream: string; readonly firstVersion: number }> {
  for (const category of categories) {
    for await (const page of store.streams({ category }, call)) {
      for (const info of page) if (info.state !== 'deleted' && info.count > 0) yield info
    }
  }
}

/** The users' events of one stream, a page at a time. */
export async function* streamPages(
  store: StreamSource,
  { stream, firstVersion }: { readonly stream: string; readonly firstVersion: number },
  upTo: number,
  call: CallOptions,
): AsyncGenerator<readonly RecordedEvent[]> {
  const pages = store.readStream({ stream, from: firstVersion, direction: 'forward' }, call)
  for await (const page of pages) {
    yield page.filter(({ type, position }) => position <= upTo && !isSystemType(type))
    if (page.some(({ position }) => position > upTo)) return
  }
}
