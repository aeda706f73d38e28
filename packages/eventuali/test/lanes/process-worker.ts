import { setTimeout as wait } from 'node:timers/promises'
import { inspect } from 'node:util'
import {
  defineOutbox,
  openStore,
  type Store,
  systemClock,
  systemRandom,
  uuidV7Source,
} from '../../src/index.ts'
import type { EventStore, StoreTransaction } from '../../src/ports/index.ts'
import { openAdapter } from '../../src/store/adapters.ts'
import { wrapStore } from '../../src/testing/index.ts'
import { programInput, runProgram, tell, writeLine } from '../harness/program.ts'
import { Fulfilment } from './process-orders.ts'

/** A process that runs processes and an outbox until it has killed itself, or nothing is left. */
export interface ProcessWorkerInput {
  readonly url: string
  readonly leaseTtlMs: number
  /** Dies at this call, the time it comes up for the `count`-th time. */
  readonly failpoint: Failpoint | undefined
  readonly count: number
  /** Planted bug: what a process emits has another id with every try. */
  readonly mutant?: 'no-ids' | undefined
}

/** A call of the store or of the outbox's receiver, and whether it is still ahead or done. */
export interface Failpoint {
  readonly call: string
  readonly when: 'before' | 'after'
}

const REST_MS_MAX = 60_000
const input = programInput<ProcessWorkerInput>()
const ids = uuidV7Source(systemClock, systemRandom)
let seen = 0

function dieAt(call: string, when: 'before' | 'after'): void {
  const { failpoint, count } = input
  if (call !== failpoint?.call || when !== failpoint.when) return
  if (++seen === count) process.kill(process.pid, 'SIGKILL')
}

async function around<T>(call: string, run: () => Promise<T>): Promise<T> {
  dieAt(call, 'before')
  const result = await run()
  dieAt(call, 'after')
  return result
}

/** The store, with a program that dies in it. */
function deadly(store: EventStore): EventStore {
  return wrapStore(store, {
    readSide: around,
    positions: (next, options) => around('positions', () => next.positions(options)),
    transaction: (next, work, options) =>
      around('transaction', () =>
        next.transaction((tx: StoreTransaction) => around('work', () => work(tx)), options),
      ),
    append: (next, request, options) =>
      around('append', () => {
        if (input.mutant !== 'no-ids') return next.append(request, options)
        const entries = request.entries.map((entry) => ({
          ...entry,
          events: entry.events.map((event) => ({ ...event, id: ids.next(), idGiven: false })),
        }))
        return next.append({ ...request, entries }, options)
      }),
  })
}

/** Leaves a line for each delivery, which survives a SIGKILL. */
const mails = defineOutbox({
  name: 'mails',
  from: { types: ['Placed'] },
  after: 0,
  maxBatch: 4,
  deliver: (messages) => {
    dieAt('deliver', 'before')
    for (const { id, event } of messages) writeLine(`${id} ${event.id}`)
    dieAt('deliver', 'after')
  },
})

/** Resolves once no process runs any more. */
async function rest(store: Store, newest: number): Promise<void> {
  await store.processes.reached(newest, { timeoutMs: REST_MS_MAX })
  const end = performance.now() + REST_MS_MAX
  for (;;) {
    const running = await store.processes.list({ name: 'fulfilment', status: 'running', limit: 1 })
    const [first] = running
    if (first === undefined) return
    if (performance.now() > end) {
      const details = await store.processes.get('fulfilment', first.key)
      const health = inspect(store.processes.health(), { depth: 4 })
      throw new Error(`goes on for ever: ${health} ${JSON.stringify(details)}`)
    }
    await wait(5)
  }
}

runProgram(async () => {
  const sources = { clock: systemClock, random: systemRandom, ids }
  // A killed program loses nothing that it wrote; without syncs a busy disk cannot end its lease.
  const adapter = await openAdapter(input.url, { profile: 'relaxed' }, sources)
  const { leaseTtlMs } = input
  const store = await openStore(deadly(adapter), { processes: [Fulfilment], leaseTtlMs })
  const { newest } = await store.positions()
  const relay = await store.relay(mails)
  await store.processes.start()
  await relay.reached(newest, { timeoutMs: REST_MS_MAX }).catch((cause: unknown) => {
    const { state, reason } = relay
    const where = JSON.stringify({ state, reason, partitions: relay.partitions() })
    throw new Error(`the outbox stands still: ${where}`, { cause })
  })
  await rest(store, newest)
  // Commands that were emitted by the last step of a process.
  await store.processes.settle()
  await store.close()
  tell('report', {})
})
