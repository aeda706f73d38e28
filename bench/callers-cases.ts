import type { Store } from 'eventuali'
import { withCallers } from './base-log.ts'
import type { Appender } from './latency-facts.ts'
import { openLoopBench } from './latency-facts.ts'
import type { BenchCase, Contender, OpenCase } from './paired.ts'
import type { FactBench } from './read-side-cases.ts'
import { type BenchEvent, longStream, Workload } from './workload.ts'

/** The raw driver, on SQLite or PostgreSQL. */
export interface RawAppender {
  append(
    entries: readonly (readonly [stream: string, events: readonly BenchEvent[]])[],
  ): Promise<void> | void
  close(): Promise<void> | void
}

/** The two sides, each on a log of its own. */
export interface Sides {
  store(): Promise<Store>
  raw(): Promise<RawAppender>
}

async function closeBoth(store: Store, raw: RawAppender): Promise<void> {
  await raw.close()
  await store.close()
}

function callersCase(name: string, sides: Sides, callers: number, isHot: boolean): BenchCase {
  const open = async (): Promise<OpenCase> => {
    const store = await sides.store()
    const raw = await sides.raw()
    const [a, b] = [new Workload(9), new Workload(9)]
    const streamOf = (work: Workload) => (isHot ? longStream : work.stream())
    const contenders: Contender[] = [
      {
        ...{ name: 'store', what: 'the store', eventsPerCall: 1, callsMin: 4 * callers },
        run: (calls) => withCallers(callers, calls, () => store.append(streamOf(a), a.event())),
      },
      {
        name: 'raw',
        what: `its statements in a plain loop, ${callers} requests in a transaction`,
        ...{ eventsPerCall: 1, callsMin: 4 * callers },
        run: async (calls) => {
          for (let done = 0; done < calls; done += callers) {
            const count = Math.min(callers, calls - done)
            await raw.append(Array.from({ length: count }, () => [streamOf(b), [b.event()]]))
          }
        },
      },
    ]
    const ratios = [{ of: 'store', to: 'raw' }]
    return { contenders, ratios, close: () => closeBoth(store, raw) }
  }
  return { name: `${name} ${callers} callers${isHot ? ', one stream' : ''}`, open }
}

/** Many callers: over many streams and all at one. */
export function manyCallersCases(name: string, sides: Sides): readonly BenchCase[] {
  return [
    callersCase(name, sides, 256, false),
    callersCase(name, sides, 32, true),
    callersCase(name, sides, 256, true),
  ]
}

/** How long an append takes when they arrive at a rate of their own. */
export function openLoopFacts(name: string, sides: Sides, quick: boolean): FactBench {
  const open = async () => {
    const store = await sides.store()
    const raw = await sides.raw()
    const [a, b] = [new Workload(10), new Workload(10)]
    const appenders: Appender[] = [
      { name: 'store', callers: 256, append: () => store.append(a.stream(), a.event()) },
      {
        ...{ name: 'raw, one commit each', callers: 1 },
        append: async () => raw.append([[b.stream(), [b.event()]]]),
      },
    ]
    return { appenders, close: () => closeBoth(store, raw) }
  }
  return openLoopBench(name, open, quick)
}
