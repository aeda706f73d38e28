import { CapabilityError } from '../model/index.ts'
import type { EventStore, TuningAdvice } from '../ports/index.ts'
import type { BoundedCall } from './read-options.ts'

/** Options of `store.tune`. */
export interface TuneOptions extends BoundedCall {
  /**
   * Names of advice to carry out, or `all`: everything that concerns the store's own file or
   * tables. Nothing when left out.
   */
  readonly apply?: readonly string[] | 'all' | undefined
  /** Milliseconds for all of it; an hour when left out. */
  readonly timeoutMs?: number | undefined
}

const TUNE_TIMEOUT_MS: number = 60 * 60 * 1000

/** `store.tune`. */
export async function tuneStore(
  port: EventStore,
  options: TuneOptions,
): Promise<readonly TuningAdvice[]> {
  const { apply = [], signal, timeoutMs = TUNE_TIMEOUT_MS } = options
  if (port.tune === undefined) {
    throw new CapabilityError(port.adapter, 'tune', 'there is nothing to set in memory')
  }
  return port.tune({ apply }, { signal, timeoutMs })
}
