import { openStore } from '../../src/index.ts'
import { programInput, runProgram, tell } from '../harness/program.ts'
import { sale, saleEvents, shops } from '../harness/verify-definitions.ts'

/** A program that fills a store and verifies it, with little memory. */
export interface HealthyInput {
  readonly url: string
  readonly eventCount: number
  /** A planted bug: it keeps what it reads. */
  readonly keeps: boolean
}

export interface HealthyReport {
  readonly problems: readonly unknown[]
  readonly events: number
  readonly streams: number
  readonly compared: number
  readonly rows: number
  readonly fillSeconds: number
  readonly verifySeconds: number
  readonly residentMiB: number
}

const input = programInput<HealthyInput>()
const perAppend = 1000
const perStream = 20
const keptCount = 200

function eventAt(n: number) {
  const data = { shop: `shop-${n % 500}`, cents: n % 9973, note: `line ${n} of a receipt` }
  return { ...saleEvents.Sold(data), tags: n % 10 === 0 ? [`day:${n % 365}`] : [] }
}

runProgram(async () => {
  const { url, eventCount, keeps } = input
  const store = await openStore(url, {
    ...{ profile: 'relaxed', events: [saleEvents], snapshots: { every: 10 }, projections: [shops] },
  })
  const startedAt = performance.now()
  // A tenth of them in one long stream, the others in many short ones.
  const longCount = Math.floor(eventCount / 10)
  for (let n = 0; n < longCount; n += perAppend) {
    const count = Math.min(perAppend, longCount - n)
    await store.append(
      'sale-long',
      Array.from({ length: count }, (_, i) => eventAt(n + i)),
    )
  }
  for (let n = longCount; n < eventCount; n += perAppend) {
    const entries = []
    for (let at = n; at < Math.min(eventCount, n + perAppend); at += perStream) {
      const events = Array.from({ length: Math.min(perStream, eventCount - at) }, (_, i) =>
        eventAt(at + i),
      )
      entries.push({ stream: `sale-${at}`, events })
    }
    await store.appendAll(entries)
  }
  for (let n = 0; n < keptCount; n++) {
    await store.snapshots.take(sale, `${longCount + n * perStream}`)
  }
  await store.projections.start()
  const { newest } = await store.positions()
  await store.projected('shops', newest, { timeoutMs: 600_000 })
  await store.close()
  const filledAt = performance.now()
  const again = await openStore(url, { profile: 'relaxed' })
  const kept: unknown[] = []
  if (keeps) {
    for await (const event of again.readAll()) kept.push(event, JSON.stringify([event, event]))
  }
  const report = await again.verify({ projections: [shops], aggregates: [sale], seed: 1 })
  const result: HealthyReport = {
    problems: report.problems,
    events: report.events,
    streams: report.streams,
    compared: report.snapshots.compared,
    rows: report.projections[0]?.same ?? 0,
    fillSeconds: (filledAt - startedAt) / 1000,
    verifySeconds: (performance.now() - filledAt) / 1000,
    residentMiB: Math.round(process.resourceUsage().maxRSS / 1024) + 0 * kept.length,
  }
  tell('report', result)
  await again.close()
})
