import { openStore, type Store } from 'eventuali'
import { z } from 'zod'
import type { Found } from '../../../eventuali/test/harness/assault.ts'
import { type RunningServer, serve } from '../../src/index.ts'
import { events, Order, orders } from '../../src/server.test-support.ts'
import type { Exchanged } from './wire-exchange.ts'
import { type WireBug, withWireBug } from './wire-planted.ts'

/** A server that listens, and what it has complained of itself. */
export interface WireBed {
  readonly running: RunningServer
  readonly store: Store
  readonly port: number
  /** What of an answer is wrong: a failure of the server, or words that are nobody's business. */
  judge(answer: Exchanged | string): Found
  close(): Promise<void>
}

const problem = z.object({ code: z.string().regex(/^[A-Z_]+$/), status: z.number() })
/** Bounds that a caller may bring about by what it asks for. */
const ownFault = new Set([
  ...['CAPABILITY_MISSING', 'TIMEOUT', 'TRANSACTION_TIMEOUT', 'CONNECTIONS_FULL'],
])
const secrets = /node_modules|\.[tj]s:\d+|\n {4}at |\\n {4}at /

/** A shop over a store in memory, everybody its admin, models answered. */
export async function openWireBed(bug?: WireBug): Promise<WireBed> {
  const store: Store = await openStore('memory:', {
    ...{ events: [events], unknown: 'allow' as const, projections: [orders], snapshots: {} },
  })
  await store.projections.start()
  await store.aggregate(Order).execute('1', 'place', { customer: 'ada', total: 30 })
  const faults: unknown[] = []
  const running = await serve(store, {
    ...{ port: 0, aggregates: [Order], projections: [orders as never] },
    limits: { rate: false, transactionIdleMs: 50, timeoutMs: 5000, bodyBytesMax: 1024 * 1024 },
    mcp: {
      definitions: { events: [events], aggregates: [Order], projections: [orders as never] },
      writes: { streams: ['order-*'] },
    },
    onError: (error) => faults.push(error),
  })
  if (bug !== undefined) withWireBug(running.server, bug)
  const judge = (answer: Exchanged | string): Found => {
    const [fault] = faults.splice(0)
    if (fault !== undefined) return `the server failed: ${String((fault as Error).stack ?? fault)}`
    if (typeof answer === 'string') return answer
    const { status, mediaType, body } = answer
    if (status === undefined) return { refused: 'closed' }
    if (secrets.test(body)) return `an answer tells of the inside: ${body.slice(0, 300)}`
    if (status < 400) return undefined
    // Node's own, before anybody here sees the request.
    if (body === '' && [400, 408, 413, 417, 431].includes(status)) return { refused: `${status}` }
    // The SDK answers what is no message of the protocol by itself.
    if (mediaType === 'application/json' && status < 500) return { refused: `${status}` }
    const told = problem.safeParse(jsonOf(body)).data
    if (told === undefined) return `status ${status} without a problem: ${body.slice(0, 300)}`
    if (status < 500 || ownFault.has(told.code)) return { refused: told.code }
    return `status ${status}: ${body.slice(0, 300)}`
  }
  return {
    ...{ running, store, port: running.port, judge },
    close: async () => {
      await running.close()
      await store.close()
    },
  }
}

function jsonOf(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}
