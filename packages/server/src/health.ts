import { memoryUsage } from 'node:process'
import { isEventualiError } from 'eventuali'
import type { Gauge } from './metrics.ts'
import type { ServerParts } from './parts.ts'

/** How one thing is. */
export interface HealthCheck {
  readonly name: string
  readonly ok: boolean
  /** What was found, or what is wrong and what to do. */
  readonly detail: string
}

const CHECK_TIMEOUT_MS = 5000
const SUBSCRIPTIONS_MAX = 100

function words(error: unknown): string {
  return isEventualiError(error) ? `${error.code}: ${error.message}` : 'it failed, see the log'
}

async function check(name: string, look: () => Promise<string>): Promise<HealthCheck> {
  try {
    return { name, ok: true, detail: await look() }
  } catch (error) {
    return { name, ok: false, detail: words(error) }
  }
}

/** Whether requests can be served: the store answers, and the server is not closing. */
export async function readiness({ store, closing }: ServerParts): Promise<HealthCheck> {
  if (closing.aborted) return { name: 'server', ok: false, detail: 'it is closing' }
  return check('store', async () => {
    const { newest } = await store.positions({ timeoutMs: CHECK_TIMEOUT_MS })
    return `the newest event is at ${newest}`
  })
}

/** Everything that a person in charge would look at. */
export async function details(parts: ServerParts): Promise<{
  readonly ok: boolean
  readonly adapter: string
  readonly incarnation: string
  readonly uptimeSeconds: number
  readonly checks: readonly HealthCheck[]
}> {
  const { store, clock, metrics } = parts
  const checks = await Promise.all([
    readiness(parts),
    check('settings', async () => {
      const settings = await store.port.settings()
      return Object.entries(settings)
        .map(([name, value]) => `${name}=${value}`)
        .join(', ')
    }),
    check('safe position', async () => {
      const { safe, newest, blocker } = await store.positions({ timeoutMs: CHECK_TIMEOUT_MS })
      if (blocker === undefined) return `${newest - safe} behind the newest`
      const held = `held at ${blocker.position} for ${Math.round(blocker.sinceMs)} ms`
      return `${held} by ${blocker.holders.join(', ')}`
    }),
    check('dead letters', async () => {
      const found = await store.deadLetters.list({ limit: 100 })
      return found.length === 100 ? '100 or more' : `${found.length}`
    }),
    check('subscriptions', async () => {
      const lags = await lagsOf(parts)
      return lags.map(({ name, lag }) => `${name}: ${lag} behind`).join(', ') || 'none'
    }),
  ])
  return {
    ok: checks.every(({ ok }) => ok),
    adapter: store.adapter,
    incarnation: store.incarnation,
    uptimeSeconds: Math.round((clock.now() - metrics.startedMs) / 1000),
    checks,
  }
}

async function lagsOf({
  store,
}: ServerParts): Promise<readonly { readonly name: string; readonly lag: number }[]> {
  const { safe } = await store.positions({ timeoutMs: CHECK_TIMEOUT_MS })
  const names = (await store.subscriptions.names()).slice(0, SUBSCRIPTIONS_MAX)
  const found = await Promise.all(names.map((name) => store.subscriptions.status(name)))
  return found.flatMap((one) =>
    one === undefined ? [] : [{ name: one.name, lag: Math.max(0, safe - one.position) }],
  )
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
      {
        ...{ name: 'eventuali_subscription_lag', type: 'gauge' },
        help: 'Positions between a durable subscription and the safe position.',
        values: (await lagsOf(parts)).map(({ name, lag }) => ({
          labels: { subscription: name },
          value: lag,
        })),
      },
    )
  } catch {
    found.push(gauge('store_up', 'Whether the store answers.', 0))
  }
  return [...found, ...poolGauges(parts)]
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
