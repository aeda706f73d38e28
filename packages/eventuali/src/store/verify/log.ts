import { systemEventTypes } from '../../model/index.ts'
import { eventsOfLog } from './reads.ts'
import type { VerifyContext } from './report.ts'

/** The log in its own order: positions grow, and every event can be read. */
export async function verifyOrder(
  { port, call, findings, step }: VerifyContext,
  upTo: number,
  faulty: ReadonlySet<number>,
): Promise<number> {
  let last = 0
  let events = 0
  for await (const page of eventsOfLog(port, upTo, call)) {
    for (const event of page) {
      const { position } = event
      const stream = 'stream' in event ? event.stream : undefined
      if ('damaged' in event && !faulty.has(position)) {
        findings.add({ kind: 'checksum', position, reason: event.damaged })
      }
      if (position <= last) {
        findings.add({ kind: 'order', position, stream, reason: `comes after ${last} in the log` })
      }
      last = position
    }
    events += page.length
    step({ check: 'log', done: last, total: upTo }, events)
  }
  return events
}

/**
 * Compares the two ways of counting, unless rows were removed between them: what removes rows
 * leaves a system event above the bound.
 */
export async function compareCounts(
  { port, call, findings }: VerifyContext,
  upTo: number,
  counts: { readonly log: number; readonly streams: number },
): Promise<void> {
  if (counts.log === counts.streams) return
  const { newest } = await port.positions(call)
  const types = [systemEventTypes.truncated, systemEventTypes.deleted]
  const bounds = { after: upTo, upTo: newest, direction: 'forward', limit: 1 } as const
  for await (const [event] of port.readLog({ ...bounds, types, includeArchived: true }, call)) {
    const what = `the sums of events: rows were removed meanwhile, at position ${event?.position}`
    findings.leave(`${what}; verify again`)
    return
  }
  const { log, streams } = counts
  const reason = `the log has ${log} events, its streams have ${streams} together`
  findings.add({ kind: 'count', reason })
}
