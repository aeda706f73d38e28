import { isEventualiError } from '../kernel/index.ts'
import { isSameState } from '../model/index.ts'
import type { AnyAggregate, CallOptions, EventStore, RecordReads } from '../ports/index.ts'
import { type Entry, isNewest, readEntry, SNAPSHOT, textOf } from './entry.ts'
import { fingerprintOf } from './fingerprint.ts'

/** The kind of the records that say which fingerprints are not to be believed. */
const RETIRED = 'snapshot-retired'
/** Streams whose newest states are refolded before states of a definition are used. */
const PROBE_STREAM_COUNT = 20
const PROBE_PAGE_COUNT = 200
/** A fingerprint is retired once in this time: two programs must not do it in turns for ever. */
const RETIRE_INTERVAL_MS = 600_000
/** A probe that failed for other reasons is made again after this time. */
const PROBE_AGAIN_MS = 10_000
const ROUND_COUNT_MAX = 3
const TIMEOUT_MS = 30_000

interface Retired {
  readonly generation: number
  readonly at: number
  readonly stream: string
}

/** The state of a stream at a version, folded from its events. */
export type Refold = (
  definition: AnyAggregate,
  stream: string,
  version: number,
) => Promise<{ readonly state: unknown; readonly version: number }>

/** A state as the definition says that it is kept. */
export function encoded({ snapshot }: AnyAggregate, state: unknown): unknown {
  return snapshot === false || snapshot?.encode === undefined ? state : snapshot.encode(state)
}

/** The state that a kept one stands for. */
export function decoded({ snapshot }: AnyAggregate, stored: unknown): unknown {
  return snapshot === false || snapshot?.decode === undefined ? stored : snapshot.decode(stored)
}

/** What is left of a kept state once it has been read and would be kept again. */
function keptAgain(definition: AnyAggregate, json: string): unknown {
  const state = decoded(definition, JSON.parse(json))
  return JSON.parse(JSON.stringify(encoded(definition, state)))
}

/** Whether a state comes back as it was kept. Throws what `encode` and `decode` throw. */
export function comesBack(definition: AnyAggregate, json: string): boolean {
  const { snapshot } = definition
  if (snapshot === false || snapshot?.decode === undefined) return true
  return isSameState(JSON.parse(json), keptAgain(definition, json))
}

/** How a comparison of a kept state with its events ended. */
export type Check = 'same' | 'different' | 'unreadable' | 'impossible'

/** Compares a kept state with a refold. */
export async function checkEntry(
  definition: AnyAggregate,
  entry: Entry,
  refold: Refold,
): Promise<Check> {
  let kept: unknown
  try {
    kept = keptAgain(definition, textOf(entry))
  } catch {
    return 'unreadable'
  }
  try {
    const { state, version } = await refold(definition, entry.stream, entry.version)
    if (version !== entry.version) return 'different'
    return isSameState(kept, JSON.parse(JSON.stringify(encoded(definition, state))))
      ? 'same'
      : 'different'
  } catch (error) {
    // The events are gone, and the kept state is all there is.
    if (isEventualiError(error, 'STREAM_TRUNCATED')) return 'impossible'
    throw error
  }
}

function keyOfRetired({ name }: AnyAggregate, base: string): string {
  return `${name}\n${base}`
}

function fingerprintIn(base: string, generation: number): string {
  return generation === 0 ? base : `${base}.${generation}`
}

/** The fingerprint of the states that loads of a definition use, once they trust them. */
export async function usableFingerprint(
  records: RecordReads,
  definition: AnyAggregate,
  options?: CallOptions,
): Promise<string> {
  const base = fingerprintOf(definition)
  const [record] = await records.get(RETIRED, [keyOfRetired(definition, base)], options)
  const { generation = 0 } = (record?.value ?? {}) as Partial<Retired>
  return fingerprintIn(base, generation)
}

/** What trust is founded on. */
export interface TrustParts {
  readonly port: EventStore
  readonly refold: Refold
  readonly now: () => number
  /** Told why states are not used; `retired`: they will not be used by others either. */
  readonly onProblem: (problem: unknown, retired: boolean) => void
}

/**
 * Whether the kept states of one definition may be used by this program. At first nothing is
 * known, and nothing is used; a probe in the background refolds the newest states of some streams
 * and retires the fingerprint when they are not what this code makes of the events.
 */
export class Trust {
  readonly definition: AnyAggregate
  readonly #base: string
  readonly #port: EventStore
  readonly #refold: Refold
  readonly #now: () => number
  #fingerprint: string | undefined
  #again = Number.NEGATIVE_INFINITY
  #probing: Promise<void> | undefined
  readonly #onProblem: TrustParts['onProblem']

  constructor(definition: AnyAggregate, parts: TrustParts) {
    this.definition = definition
    this.#base = fingerprintOf(definition)
    this.#port = parts.port
    this.#refold = parts.refold
    this.#now = parts.now
    this.#onProblem = parts.onProblem
  }

  /** The fingerprint of states that may be used and written; undefined while there is none. */
  get fingerprint(): string | undefined {
    return this.#fingerprint
  }

  /** Begins to find out, unless it is known or was tried just now. */
  ask(): Promise<void> {
    if (this.#fingerprint !== undefined) return Promise.resolve()
    if (this.#probing !== undefined) return this.#probing
    if (this.#now() < this.#again) return Promise.resolve()
    this.#probing = this.#probe()
      .catch((error: unknown) => {
        this.#onProblem(error, false)
        this.#again = this.#now() + PROBE_AGAIN_MS
      })
      .finally(() => {
        this.#probing = undefined
      })
    return this.#probing
  }

  /** States of this fingerprint are not what the code makes of the events. */
  async retire(stream: string): Promise<void> {
    this.#fingerprint = undefined
    const problem = new Error(
      `the kept state of ${JSON.stringify(stream)} is not what its events give`,
    )
    const { generation, revision, at } = await this.#retired()
    const since = this.#now() - at
    if (since < RETIRE_INTERVAL_MS) {
      this.#onProblem(problem, false)
      this.#again = this.#now() + RETIRE_INTERVAL_MS - since
      return
    }
    const value = { generation: generation + 1, at: this.#now(), stream }
    const change = { kind: RETIRED, key: this.#key, expected: revision, value }
    await this.#port.transaction((tx) => tx.records.write([change]), { timeoutMs: TIMEOUT_MS })
    this.#onProblem(problem, true)
  }

  get #key(): string {
    return keyOfRetired(this.definition, this.#base)
  }

  async #retired(): Promise<Retired & { readonly revision: number }> {
    const [record] = await this.#port.records.get(RETIRED, [this.#key])
    const none = { generation: 0, at: Number.NEGATIVE_INFINITY, stream: '' }
    const value = (record?.value as unknown as Retired | undefined) ?? none
    return { ...value, revision: record?.revision ?? 0 }
  }

  async #probe(): Promise<void> {
    for (let round = 0; round < ROUND_COUNT_MAX; round++) {
      const { generation } = await this.#retired()
      const fingerprint = fingerprintIn(this.#base, generation)
      const wrong = await this.#firstWrong(fingerprint)
      if (wrong === undefined) {
        this.#fingerprint = fingerprint
        return
      }
      await this.retire(wrong)
      if (this.#now() < this.#again) return
    }
    this.#again = this.#now() + PROBE_AGAIN_MS
  }

  /** A stream whose newest state of the fingerprint is not what its events give. */
  async #firstWrong(fingerprint: string): Promise<string | undefined> {
    const { name } = this.definition
    let count = 0
    const page = { kind: SNAPSHOT, prefix: `${name}-`, state: fingerprint, limit: PROBE_PAGE_COUNT }
    const records = await this.#port.records.list(page)
    for (const record of records.filter(isNewest)) {
      if (count === PROBE_STREAM_COUNT) break
      const entry = readEntry(record)
      if (entry === undefined) continue
      const check = await checkEntry(this.definition, entry, this.#refold)
      if (check === 'different') return entry.stream
      if (check === 'same') count++
    }
    return undefined
  }
}
