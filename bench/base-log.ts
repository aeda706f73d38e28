import type { Store } from 'eventuali'
import { longStream, longStreamEventCount, streamCount, Workload } from './workload.ts'

const perAppendMax = 50

/** Fills a store with what a case finds: streams of several events each, and one long one. */
export async function fillBase(store: Store, eventCount: number): Promise<void> {
  const work = new Workload(1)
  const perStream = Math.max(1, Math.floor(eventCount / streamCount))
  // No transaction of more than some thousand events, however long the log.
  for (let done = 0; done < perStream; done += perAppendMax) {
    const count = Math.min(perAppendMax, perStream - done)
    for (let from = 0; from < streamCount; from += 100) {
      const entries = Array.from({ length: 100 }, (_, i) => ({
        stream: `order-${from + i}`,
        events: work.events(count),
      }))
      await store.appendAll(entries)
    }
  }
  await store.append(longStream, work.events(longStreamEventCount))
}

/** Runs `calls` calls from `callers` callers, each of them one after another. */
export async function withCallers(
  callers: number,
  calls: number,
  call: () => Promise<unknown>,
): Promise<void> {
  let left = calls
  const caller = async (): Promise<void> => {
    while (left > 0) {
      left--
      await call()
    }
  }
  await Promise.all(Array.from({ length: callers }, caller))
}
