import { type Clock, systemClock } from '../../kernel/index.ts'
import { InvalidArgumentError } from '../../model/index.ts'
import type { LogPositions, StorageState } from '../../ports/index.ts'
import type { Store } from '../store.ts'
import { type ConsumerLag, consumerLag } from './consumer-lag.ts'
import {
  consumersCheck,
  deadLettersCheck,
  diskCheck,
  durabilityCheck,
  migrationsCheck,
  poolCheck,
  positionCheck,
  processesCheck,
  replicasCheck,
  speedCheck,
} from './judge.ts'
import {
  type HealthCheck,
  type HealthCheckName,
  type HealthOptions,
  type HealthReport,
  type HealthStatus,
  type HealthThresholds,
  thresholdsDefault,
} from './report.ts'

const CHECK_TIMEOUT_MS = 10_000
const PROBE = { kind: 'health', key: 'probe', expected: 'any' } as const
const PAGE_COUNT = 1000
/** So many dead letters and stuck processes are counted. */
const COUNT_MAX = 10_000

const grave: Readonly<Record<HealthStatus, number>> = { healthy: 0, degraded: 1, failed: 2 }

/** Throws InvalidArgumentError for thresholds that are none. */
function thresholdsOf(given: Partial<HealthThresholds> = {}): HealthThresholds {
  const thresholds = { ...thresholdsDefault }
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue
    if (!Object.hasOwn(thresholdsDefault, name) || !(value >= 0)) {
      throw new InvalidArgumentError(`thresholds.${name}`, 'must be a threshold, 0 or more')
    }
    Object.assign(thresholds, { [name]: value })
  }
  return thresholds
}

/** One look at a store; what one check finds is at hand for the report. */
class Examination {
  readonly checks: HealthCheck[] = []
  readonly #store: Store
  readonly #thresholds: HealthThresholds
  readonly #options: HealthOptions
  readonly #clock: Clock
  readonly #call: { readonly timeoutMs: number; readonly signal: AbortSignal | undefined }
  positions: LogPositions | undefined
  readMs: number | undefined
  writeMs: number | undefined
  settings: Readonly<Record<string, string>> = {}
  storage: StorageState | undefined
  consumers: readonly ConsumerLag[] = []
  deadLetters: Record<string, number> = {}

  constructor(store: Store, options: HealthOptions) {
    this.#store = store
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#thresholds = thresholdsOf(options.thresholds)
    this.#call = { timeoutMs: options.timeoutMs ?? CHECK_TIMEOUT_MS, signal: options.signal }
  }

  async run(): Promise<void> {
    await this.#check('read', () => this.#read())
    // Without an answer there is nothing more to ask, and each question would wait its time.
    if (this.positions === undefined) return
    if (this.#options.write !== false) await this.#check('write', () => this.#write())
    await this.#check('durability', () => this.#durability())
    await this.#check('migrations', () => this.#migrations())
    await this.#check('safe-position', async () => positionCheck(this.positions, this.#thresholds))
    await this.#check('consumers', () => this.#consumers())
    await this.#check('dead-letters', () => this.#deadLetters())
    await this.#check('processes', () => this.#processes())
    await this.#check('disk', async () => diskCheck(this.storage, this.#thresholds))
    const { port, replicas } = this.#store
    await this.#check('pool', async () => poolCheck(port.pool?.(), this.storage))
    await this.#check('replicas', async () => replicasCheck(replicas))
  }

  async #check(
    name: HealthCheckName,
    look: () => Promise<Omit<HealthCheck, 'name'> | undefined>,
  ): Promise<void> {
    const { signal } = this.#options
    signal?.throwIfAborted()
    try {
      const found = await look()
      if (found !== undefined) this.checks.push({ name, ...found })
    } catch (error) {
      signal?.throwIfAborted()
      const message = error instanceof Error ? error.message : String(error)
      this.checks.push({ name, status: 'failed', message })
    }
  }

  async #timed(work: () => Promise<unknown>): Promise<number> {
    const begun = this.#clock.monotonic()
    await work()
    return this.#clock.monotonic() - begun
  }

  async #read(): Promise<Omit<HealthCheck, 'name'>> {
    const { port } = this.#store
    let positions: LogPositions | undefined
    this.readMs = await this.#timed(async () => {
      positions = await port.positions(this.#call)
      const { newest: upTo } = positions
      const query = { upTo, limit: 1, pageSize: 1, direction: 'backward' } as const
      for await (const _ of port.readLog(query, this.#call)) break
    })
    this.positions = positions
    return speedCheck('the newest event was read', this.readMs, this.#thresholds)
  }

  async #write(): Promise<Omit<HealthCheck, 'name'>> {
    const { port } = this.#store
    const at = this.#clock.now()
    await port.transaction((tx) => tx.records.write([{ ...PROBE, value: { at } }]), this.#call)
    // The second one is measured: the first may have had to wait for a connection to open.
    this.writeMs = await this.#timed(() =>
      port.transaction((tx) => tx.records.write([PROBE]), this.#call),
    )
    return speedCheck('a record was committed and removed', this.writeMs, this.#thresholds)
  }

  async #durability(): Promise<Omit<HealthCheck, 'name'>> {
    const { port, capabilities } = this.#store
    this.settings = await port.settings()
    return durabilityCheck(this.settings, capabilities.durable)
  }

  async #migrations(): Promise<Omit<HealthCheck, 'name'> | undefined> {
    this.storage = await this.#store.port.storage?.(this.#call)
    return migrationsCheck(this.storage)
  }

  async #consumers(): Promise<Omit<HealthCheck, 'name'>> {
    this.consumers = await consumerLag(this.#store, { ...this.#call, clock: this.#clock })
    return consumersCheck(this.consumers, this.#thresholds)
  }

  async #deadLetters(): Promise<Omit<HealthCheck, 'name'>> {
    let count = 0
    const { records } = this.#store.port
    for (let after: string | undefined; count < COUNT_MAX; ) {
      const query = { kind: 'letter', state: 'parked', after, limit: PAGE_COUNT }
      const page = await records.list(query, this.#call)
      for (const { value } of page) {
        const { subscription } = value as { readonly subscription: string }
        this.deadLetters[subscription] = (this.deadLetters[subscription] ?? 0) + 1
      }
      count += page.length
      after = page.at(-1)?.key
      if (page.length < PAGE_COUNT) break
    }
    return deadLettersCheck(this.deadLetters, count, this.#thresholds)
  }

  async #processes(): Promise<Omit<HealthCheck, 'name'>> {
    const { records } = this.#store.port
    const query = { kind: 'process', state: 'stuck', limit: PAGE_COUNT }
    return processesCheck((await records.list(query, this.#call)).map(({ key }) => key))
  }
}

/**
 * Looks at a store as an operator would: whether it answers, reads and writes, how durable it is,
 * what waits, and what room is left. Leaves no event behind; what it writes it removes again.
 * Nothing that it finds is thrown; a store that cannot be opened is for the caller to report.
 *
 * Throws InvalidArgumentError for thresholds that are none, and the signal's reason.
 *
 * @example
 * ```ts
 * import { checkHealth, openStore } from 'eventuali'
 *
 * await using store = await openStore('sqlite::memory:')
 * const { status, checks } = await checkHealth(store, { thresholds: { lagMax: 500 } })
 * console.log(status, checks.filter((check) => check.status !== 'healthy'))
 * ```
 */
export async function checkHealth(
  store: Store,
  options: HealthOptions = {},
): Promise<HealthReport> {
  const at = new Date((options.clock ?? systemClock).now())
  const examination = new Examination(store, options)
  await examination.run()
  const { checks, positions, readMs, writeMs, settings, storage } = examination
  const { consumers, deadLetters } = examination
  const status = checks.reduce<HealthStatus>(
    (worst, check) => (grave[check.status] > grave[worst] ? check.status : worst),
    'healthy',
  )
  return {
    ...{ status, at, adapter: store.adapter, incarnation: store.incarnation, checks },
    positions: positions && { safe: positions.safe, newest: positions.newest },
    ...{ readMs, writeMs, settings, storage, consumers, deadLetters },
  }
}
