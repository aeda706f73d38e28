import type { EventStore, StoreManifest } from '../../ports/index.ts'
import { type EventStoreContext, type EventStoreSubject, runStoreCase } from './context.ts'
import { type Contract, skipReason } from './contract.ts'

/** What vitest and node:test have in common. */
export interface TestRunner {
  readonly describe: (name: string, body: () => void) => unknown
  readonly it: {
    (name: string, options: { timeout: number }, body: () => Promise<void>): unknown
    skip(name: string, body: () => Promise<void>): unknown
  }
}

/** Which store to run a contract on. */
export interface BindOptions {
  /** Says which cases may be skipped, and why. */
  readonly manifest: Pick<StoreManifest, 'name' | 'capabilities' | 'denied'>
  /** Makes a store for one case. */
  readonly make: () => Promise<EventStoreSubject>
  /** Runs the contract on a decorated store. */
  readonly wrap?: (store: EventStore) => EventStore
  /** Stands beside the adapter's name in the report. */
  readonly label?: string
  /** Milliseconds that one case may take. */
  readonly timeoutMs?: number
}

/**
 * Makes one test of each case of the contract. A case is skipped only through a capability that
 * the manifest denies, with its reason in the test's name.
 *
 * @example
 * ```ts
 * import { describe, it } from 'vitest' // or from 'node:test'
 * import { bindVitest, eventStoreContract, openMemoryStore } from 'eventuali/testing'
 *
 * const denied = 'It lives in memory.'
 * bindVitest(eventStoreContract, {
 *   describe,
 *   it,
 *   manifest: {
 *     name: 'mine',
 *     capabilities: {
 *       ...{ durable: false, within: false, sql: false, shared: false, fork: false },
 *       backup: true,
 *     },
 *     denied: { durable: denied, within: denied, sql: denied, shared: denied, fork: denied },
 *   },
 *   make: async () => ({ store: await openMemoryStore(), dispose: async () => {} }),
 * })
 * ```
 */
export function bindVitest(
  contract: Contract<EventStoreContext>,
  options: BindOptions & TestRunner,
): void {
  const { describe, it, manifest, make, wrap, timeoutMs = 60_000 } = options
  const label = options.label === undefined ? '' : ` (${options.label})`
  describe(`${contract.port} contract: ${manifest.name}${label}`, () => {
    for (const contractCase of contract.cases) {
      const run = () => runStoreCase(contractCase, make, wrap)
      const reason = skipReason(contractCase, manifest)
      if (reason === undefined) it(contractCase.name, { timeout: timeoutMs }, run)
      else it.skip(`${contractCase.name} [needs ${reason}]`, run)
    }
  })
}
