import { openStore } from '../../src/index.ts'
import { type Child, endChildren, startChild } from '../harness/child.ts'
import type { ClientsInput, ClientsReport } from './clients.ts'

/** What all of them do. */
export type ClientsJob = Omit<ClientsInput, 'clients' | 'timeoutMs'>

/** Four processes with four clients each; `meanwhile` runs while they do. */
export async function fourProcesses(
  job: ClientsJob,
  meanwhile?: () => Promise<void>,
): Promise<ClientsReport[]> {
  // The store is there before they meet, so that they meet in appending.
  await (await openStore(job.url)).close()
  const children: Child[] = [0, 1, 2, 3].map((n) => {
    const clients = [0, 1, 2, 3].map((m) => `p${n}c${m}`)
    const input: ClientsInput = { ...job, clients, timeoutMs: 30_000, seed: job.seed + 10 * n }
    return startChild(import.meta.url, './clients.ts', { input })
  })
  try {
    await Promise.all(children.map((child) => child.message('ready')))
    for (const child of children) child.send({})
    const reports = children.map((child) => child.message<ClientsReport>('report'))
    await Promise.all([Promise.all(reports), meanwhile?.()])
    return await Promise.all(reports)
  } finally {
    await endChildren(children)
  }
}

/** The largest of many: `Math.max(...)` of all appends of a fast disk overflows the stack. */
export function longest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), 0)
}

/** What is wrong with the log, seen beside what was acknowledged. */
export async function problems(url: string, reports: readonly ClientsReport[]): Promise<string[]> {
  const store = await openStore(url)
  try {
    const wrong = (await store.verify()).problems.map(({ reason }) => reason)
    const stored = new Map<string, number>()
    for await (const event of store.readAll({ upTo: 'newest' })) {
      const { mark, after } = event.data as { mark: string; after: number | null }
      stored.set(mark, (stored.get(mark) ?? 0) + 1)
      if (after !== null && event.version !== after + 1) {
        wrong.push(`${mark} saw version ${after} and became ${event.version}`)
      }
    }
    for (const mark of reports.flatMap((report) => report.acknowledged)) {
      if (!stored.has(mark)) wrong.push(`${mark} is lost`)
    }
    for (const [mark, count] of stored) if (count > 1) wrong.push(`${mark} is there ${count} times`)
    return wrong
  } finally {
    await store.close()
  }
}
