import { withCallers } from './base-log.ts'
import { openLoop, percentile } from './open-loop.ts'
import type { FactBench } from './read-side-cases.ts'
import type { Fact } from './report.ts'

/** Something that appends one event a call. */
export interface Appender {
  readonly name: string
  /** Callers that bring it to its capacity. */
  readonly callers: number
  append(): Promise<unknown>
}

const shares = [0.3, 0.6] as const
const parts = [
  ['p50', 0.5],
  ['p99', 0.99],
  ['p99.9', 0.999],
] as const

/** Calls a second when callers never wait. */
async function capacityOf({ callers, append }: Appender, forMs: number): Promise<number> {
  let calls = 4 * callers
  for (;;) {
    const startedAt = performance.now()
    await withCallers(callers, calls, append)
    const ms = performance.now() - startedAt
    if (ms >= forMs / 2) return (calls * 1000) / ms
    calls *= 2
  }
}

async function factsOf(name: string, appender: Appender, forMs: number): Promise<Fact[]> {
  // Once to warm up.
  await capacityOf(appender, forMs)
  const capacity = await capacityOf(appender, forMs)
  const title = `${name} open loop, ${appender.name}`
  const facts: Fact[] = [{ name: `${title}: capacity`, value: capacity, unit: 'appends/s' }]
  for (const share of shares) {
    const rate = capacity * share
    const count = Math.max(50, Math.round((rate * forMs) / 1000))
    const sorted = await openLoop(rate, count, appender.append)
    for (const [label, part] of parts) {
      const what = `${title} at ${share * 100} % of it, ${label}`
      facts.push({ name: what, value: percentile(sorted, part), unit: 'ms' })
    }
  }
  return facts
}

/** Latencies at fixed rates of arrivals, of each appender at shares of its own capacity. */
export function openLoopBench(
  name: string,
  open: () => Promise<{ readonly appenders: readonly Appender[]; close(): Promise<void> }>,
  quick: boolean,
): FactBench {
  const run = async (): Promise<readonly Fact[]> => {
    const { appenders, close } = await open()
    const facts: Fact[] = []
    for (const appender of appenders)
      facts.push(...(await factsOf(name, appender, quick ? 50 : 10_000)))
    await close()
    return facts
  }
  return { name: `${name} open loop`, run }
}
