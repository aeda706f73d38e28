import { writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { withCallers } from '../base-log.ts'
import type { BenchEvent } from '../workload.ts'
import type { OpenPeer, PeerStore } from './adapter.ts'
import { openCastoreMemory, openCastorePostgres } from './castore.ts'
import { openEmmettPostgres } from './emmett-postgres.ts'
import { openEmmettSqlite, openEmmettSqliteOne } from './emmett-sqlite.ts'
import { openEvtstore } from './evtstore.ts'
import { type Fill, type PeerAnswer, type PeerOrder, peerStreamCount } from './orders.ts'

// A process of its own: some of these libraries change how `pg` parses types in all of theirs.

const peers: Readonly<Record<string, OpenPeer>> = {
  'emmett-sqlite': openEmmettSqlite,
  'emmett-sqlite-one': openEmmettSqliteOne,
  'emmett-postgres': openEmmettPostgres,
  'castore-postgres': openCastorePostgres,
  'castore-memory': openCastoreMemory,
  evtstore: openEvtstore,
}

const [name = '', folder = ''] = process.argv.slice(2)
const require = createRequire(join(folder, 'package.json'))
const bring = async <T>(module: string): Promise<T> =>
  (await import(pathToFileURL(require.resolve(module)).href)) as T

let events: readonly BenchEvent[] = []
let nextEvent = 0
let nextStream = 0
let opened: PeerStore | undefined

function take(count: number): BenchEvent[] {
  return Array.from({ length: count }, () => events[nextEvent++ % events.length] as BenchEvent)
}

async function fill(store: PeerStore, { streams, perStream, loads }: Fill): Promise<number> {
  for (let i = 0; i < streams && perStream > 0; i++)
    await store.append(`order-${i}`, take(perStream))
  for (const count of loads) {
    for (let done = 0; done < count; done += 1000) {
      await store.append(`load-${count}`, take(Math.min(1000, count - done)))
    }
  }
  return 0
}

async function times(calls: number, count: number, call: () => Promise<number>): Promise<number> {
  for (let i = 0; i < calls; i++) {
    const seen = await call()
    if (seen !== count) throw new Error(`${seen} events instead of ${count}`)
  }
  return calls
}

async function obey(order: PeerOrder): Promise<number | string> {
  if (order.do === 'open') {
    const open = peers[name]
    if (open === undefined) throw new Error(`no peer "${name}"`)
    events = order.events
    opened = await open(bring, order.url)
    return 0
  }
  if (opened === undefined) throw new Error('not opened')
  const store = opened
  if (order.do === 'fill') return fill(store, order)
  if (order.do === 'settings') return store.settings()
  if (order.do === 'load')
    return times(order.calls, order.count, () => store.load(`load-${order.count}`))
  if (order.do === 'append') {
    const { size, callers, hot } = order
    // Round and round, so that no two callers are at the same stream unless they shall be.
    const stream = () => (hot ? 'order-hot' : `order-${nextStream++ % peerStreamCount}`)
    await withCallers(callers, order.calls, () => store.append(stream(), take(size)))
    return order.calls
  }
  const { scan, consume } = store
  if (order.do === 'scan' && scan !== undefined) return times(order.calls, order.count, scan)
  if (order.do === 'consume' && consume !== undefined)
    return times(order.calls, order.upTo, () => consume(order))
  throw new Error(`offers no "${order.do}"`)
}

function answer(line: PeerAnswer): void {
  writeSync(3, `${JSON.stringify(line)}\n`)
}

// What it lets fall unhandled is its failure too, told at once.
process.on('unhandledRejection', (error) => {
  answer({ error: String(error) })
  process.exit(1)
})
for await (const line of createInterface({ input: process.stdin })) {
  try {
    answer({ ok: await obey(JSON.parse(line) as PeerOrder) })
  } catch (error) {
    answer({ error: error instanceof Error ? error.message : String(error) })
  }
}
await opened?.close()
process.exit(0)
