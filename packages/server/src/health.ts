import { memoryUsage } from 'node:process'
import { type CacheStats, checkHealth, consumerLag, type HealthReport } from 'eventuali'
import type { Gauge } from './metrics.ts'
import type { ServerParts } from './parts.ts'

const CHECK_TIMEOUT_MS = 5000
const SUBSCRIPTIONS_MAX = 100
const LETTERS_MAX = 1000

/** Whether requests can be served: the store answers, and the server is not closing. */
export async function readiness({ store, closing }: ServerParts): Promise<boolean> {
  if (closing.aborted) return false
  try {
    await store.positions({ timeoutMs: CHECK_TIMEOUT_MS })
    return true
  } catch {
    return false
  }
}

/** What `checkHealth` finds, as the command `health` tells it; nothing is written. */
export async function details(parts: ServerParts): Promise<
  HealthReport & {
    readonly ok: boolean
    readonly uptimeSeconds: number
  }
> {
  const { store, clock, metrics, closing } = parts
  const report = await checkHealth(store, { write: false, timeoutMs: CHECK_TIMEOUT_MS })
  const uptimeSeconds = Math.round((clock.now() - metrics.startedMs) / 1000)
  return { ok: report.status !== 'failed' && !closing.aborted, uptimeSeconds, ...report }
}

/** What of each durable subscription is measured; more than so many are left out. */
async function subscriptionGauges({ store }: ServerParts): Promise<readonly Gauge[]> {
  const call = { timeoutMs: CHECK_TIMEOUT_MS }
  const names = (await store.subscriptions.names()).slice(0, SUBSCRIPTIONS_MAX)
  const lags = await consumerLag(store, { names, ...call })
  const letters = await Promise.all(
    names.map(async (subscription) => {
      const found = await store.deadLetters.list({ subscription, limit: LETTERS_MAX })
      return [subscription, found.length] as const
    }),
  )
  const of = (name: string, help: string, values: (readonly [string, number])[]): Gauge => ({
    ...{ name: `eventuali_${name}`, help, type: 'gauge' },
    values: values.map(([subscription, value]) => ({ labels: { subscription }, value })),
  })
  return [
    of(
      'subscription_lag',
      'Positions between a durable subscription and the safe position.',
      lags.map(({ name, lag }) => [name, lag]),
    ),
    of(
      'subscription_behind_seconds',
      'Age of the first event that a durable subscription has not done.',
      lags.map(({ name, behindMs }) => [name, behindMs / 1000]),
    ),
    of(
      'subscription_stopped',
      'Partitions of a durable subscription that have stopped and need somebody.',
      lags.map(({ name, stopped }) => [name, stopped.length]),
    ),
    of(
      'dead_letters',
      `Dead letters that wait for somebody; counted up to ${LETTERS_MAX}.`,
      letters,
    ),
  ]
}

/** What is measured when the page of metrics is asked for. */
export async function gauges(parts: ServerParts): Promise<readonly Gauge[]> {
  const { store, feeds, requests, transactions } = parts
  const { rss, heapUsed } = memoryUsage()
  const of = (name: string, help: string, value: number): Gauge => ({
    ...{ name, help, type: 'gauge' },
    values: [{ value }],
  })
  const gauge = (name: string, help: string, value: number) => of(`eventuali_${name}`, help, value)
  const found: Gauge[] = [
    of('process_resident_memory_bytes', 'Memory of the process.', rss),
    of('nodejs_heap_size_used_bytes', 'Memory that JavaScript holds.', heapUsed),
    gauge('feeds', 'Live feeds that are open.', feeds.taken),
    gauge('http_requests_in_flight', 'Requests that are being answered.', requests.taken),
    gauge('client_transactions', 'Transactions that clients have open.', transactions.openCount),
  ]
  try {
    const { safe, newest } = await store.positions({ timeoutMs: CHECK_TIMEOUT_MS })
    found.push(
      gauge('store_up', 'Whether the store answers.', 1),
      gauge('log_safe_position', 'Position below which nothing can appear any more.', safe),
      gauge('log_newest_position', 'Position of the newest event.', newest),
      ...(await subscriptionGauges(parts)),
    )
  } catch {
    found.push(gauge('store_up', 'Whether the store answers.', 0))
  }
  return [...found, ...poolGauges(parts), ...cacheGauges(parts)]
}

/** How well the caches of the store do, where it was opened with some. */
function cacheGauges({ store }: ServerParts): readonly Gauge[] {
  const caches = Object.entries(store.cacheStats)
  if (caches.length === 0) return []
  const of = (name: string, help: string, pick: (stats: CacheStats) => number): Gauge => ({
    ...{ name: `eventuali_cache_${name}`, help },
    type: name.endsWith('_total') ? 'counter' : 'gauge',
    values: caches.map(([cache, stats]) => ({ labels: { cache }, value: pick(stats) })),
  })
  return [
    of(
      'hits_total',
      'Loads, commands or reads that found something in memory.',
      ({ hits }) => hits,
    ),
    of('misses_total', 'Those that found nothing in memory.', ({ misses }) => misses),
    of('evicted_total', 'What had to go for others.', ({ evicted }) => evicted),
    of('entries', 'States, streams or heads in memory.', ({ entries }) => entries),
    of('bytes', 'What they take, about.', ({ bytes }) => bytes),
  ]
}

function poolGauges({ store }: ServerParts): readonly Gauge[] {
  const statistics = store.port.pool?.()
  if (statistics === undefined) return []
  const lanes = Object.entries(statistics)
  const of = (name: string, help: string, pick: (lane: (typeof lanes)[0][1]) => number): Gauge => ({
    ...{ name: `eventuali_pool_${name}`, help },
    type: name.endsWith('_total') ? 'counter' : 'gauge',
    values: lanes.map(([lane, found]) => ({ labels: { lane }, value: pick(found) })),
  })
  return [
    of('size', 'Connections at most.', ({ size }) => size),
    of('in_use', 'Connections in use.', ({ inUse }) => inUse),
    of('waiting', 'Calls that wait for a connection.', ({ waiting }) => waiting),
    of('timeouts_total', 'Calls that gave up waiting.', ({ timeouts }) => timeouts),
  ]
}
