import type { LogPositions, PoolStatistics, StorageState } from '../../ports/index.ts'
import type { ReplicaStatus } from '../../replicas/index.ts'
import type { ConsumerLag } from './consumer-lag.ts'
import type { HealthCheck, HealthStatus, HealthThresholds } from './report.ts'

type Judged = Omit<HealthCheck, 'name'>

/** Below this share of the bytes that should be free, the next writes may fail. */
const FREE_SHARE_FAILED: number = 1 / 8
/** A server that is nearly full refuses the next program. */
const CONNECTIONS_SHARE_MAX = 0.9
const SHOWN_COUNT_MAX = 5

const healthy = (message: string): Judged => ({ status: 'healthy', message })
const judged = (status: HealthStatus, message: string): Judged => ({ status, message })

const number = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })
const count = (value: number): string => number.format(value)
const positionsText = (value: number): string =>
  `${count(value)} ${value === 1 ? 'position' : 'positions'}`

/** Bytes with the unit that suits them. */
function bytesText(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10))
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`
}

/** The first few, and how many more there are. */
function shown(items: readonly string[], total: number = items.length): string {
  const more = total - Math.min(items.length, SHOWN_COUNT_MAX)
  const first = items.slice(0, SHOWN_COUNT_MAX).join('; ')
  return more > 0 ? `${first}; and ${count(more)} more` : first
}

export function speedCheck(what: string, ms: number, { latencyMsMax }: HealthThresholds): Judged {
  const message = `${what} in ${ms.toFixed(1)} ms`
  if (ms <= latencyMsMax) return healthy(message)
  return judged('degraded', `${message}, more than ${count(latencyMsMax)}; look at disk and load`)
}

const shownSettings = [
  ...['journal_mode', 'synchronous', 'fsync', 'synchronous_commit', 'full_page_writes'],
]

export function durabilityCheck(
  settings: Readonly<Record<string, string>>,
  durable: boolean,
): Judged {
  if (!durable) return healthy('in memory: nothing survives the program, as asked for')
  // As the adapters read them back, whatever was asked for.
  const wanted = { journal_mode: 'wal', fsync: 'on', full_page_writes: 'on' }
  const faults = Object.entries(wanted).flatMap(([name, value]) => {
    const found = settings[name]
    return found === undefined || found === value ? [] : [`${name} is ${found}, not ${value}`]
  })
  const { synchronous, synchronous_commit: commit } = settings
  if (synchronous !== undefined && !['FULL', 'EXTRA'].includes(synchronous)) {
    faults.push(`synchronous is ${synchronous}, not FULL`)
  }
  if (commit === 'off') faults.push('synchronous_commit is off')
  if (faults.length === 0) {
    const read = shownSettings.flatMap((name) => {
      const value = settings[name]
      return value === undefined ? [] : [`${name} ${value}`]
    })
    return healthy(`an acknowledged append survives a power cut (${read.join(', ')})`)
  }
  return judged('degraded', `${faults.join(', ')}: a power cut may lose acknowledged appends`)
}

export function migrationsCheck(storage: StorageState | undefined): Judged | undefined {
  if (storage === undefined) return undefined
  const { schemaVersion, schemaVersionNewest } = storage
  if (schemaVersion === schemaVersionNewest) return healthy(`schema ${schemaVersion}, up to date`)
  const message = `schema ${schemaVersion} of ${schemaVersionNewest}; it needs a migration`
  return judged('degraded', message)
}

export function positionCheck(
  positions: LogPositions | undefined,
  { blockedMsMax }: HealthThresholds,
): Judged {
  const { safe = 0, newest = 0, blocker } = positions ?? {}
  if (blocker === undefined) return healthy(`position ${safe}, nothing holds it back`)
  const { position, holders, sinceMs } = blocker
  const message = `position ${position} has been open for ${count(sinceMs)} ms (${shown(holders)}); the log is readable up to ${safe} of ${newest}`
  if (sinceMs <= blockedMsMax) return healthy(message)
  return judged('degraded', `${message}; end that transaction`)
}

export function consumersCheck(
  consumers: readonly ConsumerLag[],
  { lagMax, behindMsMax }: HealthThresholds,
): Judged {
  const faults = consumers.flatMap((consumer) => {
    const { name, lag, behindMs, owned, paused, stopped, live, isForeign } = consumer
    if (isForeign) return [`${name} has its place in another log; reset it, or rebuild it`]
    if (stopped.length > 0) return [`${name} has stopped: ${stopped[0]}; resume it when mended`]
    if (!live || (lag <= lagMax && behindMs <= behindMsMax)) return []
    const why = paused !== undefined ? `: ${paused}` : owned === 0 ? ': no program runs it' : ''
    return [`${name} is ${positionsText(lag)} and ${count(behindMs / 1000)} s behind${why}`]
  })
  if (faults.length > 0) return judged('degraded', shown(faults))
  // A generation that is kept for the way back stands still: it follows nothing.
  const lags = consumers.flatMap(({ live, lag }) => (live ? [lag] : []))
  return healthy(
    lags.length === 0
      ? 'nothing follows the log'
      : `${count(lags.length)} ${lags.length === 1 ? 'follows' : 'follow'} the log, ${positionsText(Math.max(0, ...lags))} behind at most`,
  )
}

export function deadLettersCheck(
  bySubscription: Readonly<Record<string, number>>,
  total: number,
  { deadLettersMax }: HealthThresholds,
): Judged {
  if (total === 0) return healthy('none waits')
  const parts = Object.entries(bySubscription).map(([name, found]) => `${count(found)} of ${name}`)
  const message = `${count(total)} wait: ${shown(parts)}`
  if (total <= deadLettersMax) return healthy(message)
  return judged('degraded', `${message}; retry or discard them`)
}

export function processesCheck(stuck: readonly string[]): Judged {
  if (stuck.length === 0) return healthy('none is stuck')
  return judged('degraded', `stuck: ${shown(stuck)}; resume, skip or cancel them`)
}

export function diskCheck(
  storage: StorageState | undefined,
  { freeBytesMin }: HealthThresholds,
): Judged | undefined {
  if (storage === undefined) return undefined
  const { bytes, freeBytes } = storage
  const taken = `the store takes ${bytesText(bytes)}`
  if (freeBytes === undefined) return healthy(`${taken}; what is left is not to be seen from here`)
  const message = `${taken}, ${bytesText(freeBytes)} are left`
  if (freeBytes >= freeBytesMin) return healthy(message)
  const status = freeBytes < freeBytesMin * FREE_SHARE_FAILED ? 'failed' : 'degraded'
  return judged(status, `${message}, less than ${bytesText(freeBytesMin)}; make room`)
}

export function poolCheck(
  pool: PoolStatistics | undefined,
  storage: StorageState | undefined,
): Judged | undefined {
  const server = storage?.connections
  if (pool === undefined && server === undefined) return undefined
  const lanes = Object.entries(pool ?? {})
  const inUse = lanes.reduce((sum, [, lane]) => sum + lane.inUse, 0)
  const parts = [`${inUse} connections of this program in use`]
  if (server !== undefined) parts.push(`the server has ${server.used} of ${server.max}`)
  const faults = lanes.flatMap(([name, { waiting, size, timeouts }]) => [
    ...(waiting > 0 ? [`${waiting} wait for one of ${size} for ${name}`] : []),
    ...(timeouts > 0 ? [`${timeouts} gave up waiting for one for ${name}`] : []),
  ])
  if (server !== undefined && server.used > server.max * CONNECTIONS_SHARE_MAX) {
    faults.push('the server has hardly a connection left')
  }
  if (faults.length === 0) return healthy(parts.join(', '))
  return judged('degraded', [...parts, ...faults].join(', '))
}

export function replicasCheck(replicas: readonly ReplicaStatus[]): Judged | undefined {
  if (replicas.length === 0) return undefined
  const faults = replicas.flatMap(({ name, state, reason }) =>
    state === 'ready' ? [] : [`${name} is ${state}: ${reason ?? 'no reason known'}`],
  )
  if (faults.length === 0) return healthy(`${replicas.length} serve reads`)
  return judged('degraded', shown(faults))
}
