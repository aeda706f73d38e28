import type { Clock, IdSource, Random } from '../../kernel/index.ts'
import type { CallOptions, EventStore } from '../../ports/index.ts'
import type { CommandTarget } from '../../processes/index.ts'
import type { AnyProjection } from '../../projections/index.ts'

/** What kind of promise does not hold. Stable: docs/guide/verify.md lists them. */
export type VerifyProblemKind =
  | 'storage'
  | 'checksum'
  | 'index'
  | 'head'
  | 'order'
  | 'version'
  | 'id'
  | 'count'
  | 'name'
  | 'checkpoint'
  | 'incarnation'
  | 'snapshot'
  | 'read-model'

/** Something that does not hold, where it is, and what to do. */
export interface VerifyProblem {
  readonly kind: VerifyProblemKind
  readonly position?: number | undefined
  readonly stream?: string | undefined
  readonly subscription?: string | undefined
  readonly projection?: string | undefined
  /** Key of a document or row of a read model, or of another record of the read side. */
  readonly key?: string | undefined
  readonly reason: string
  /** What to do about it. */
  readonly advice: string
}

/** What was found in kept states of aggregates. */
export interface VerifiedSnapshots {
  /** Kept states, whose checksums and places were checked, all of them. */
  readonly kept: number
  /** States that were compared with a refold of their events. */
  readonly compared: number
  /** States of the sample that nothing can be said of: other code's, or their events are gone. */
  readonly passed: number
  /** What the sample was drawn with. */
  readonly seed: number
}

/** A read model that was compared with a refold. */
export interface VerifiedProjection {
  readonly projection: string
  /** Everything up to it was folded again. */
  readonly position: number
  /** Rows that are as the refold has them. */
  readonly same: number
}

/** The result of `store.verify()`. */
export interface VerifyReport {
  readonly ok: boolean
  readonly events: number
  readonly streams: number
  /** Checkpoints and other records with a position. */
  readonly checkpoints: number
  readonly snapshots: VerifiedSnapshots
  readonly projections: readonly VerifiedProjection[]
  /** The first ones found; see `problemCount` for how many there are. */
  readonly problems: readonly VerifyProblem[]
  readonly problemCount: number
  /** What could not be checked here, and why. */
  readonly unchecked: readonly string[]
}

/** How far a verification is. */
export interface VerifyStep {
  readonly check: 'storage' | 'log' | 'streams' | 'checkpoints' | 'snapshots' | 'read-models'
  /** Positions, streams, records or states done, and how many there are where that is known. */
  readonly done: number
  readonly total: number | undefined
}

/** Options of `store.verify`. */
export interface VerifyOptions extends CallOptions {
  /** Problems kept in the report; 1,000 when left out. The rest is counted. */
  readonly problemCountMax?: number | undefined
  /**
   * Projections whose read models are compared with a refold. It is made in tables of its own,
   * which are dropped afterwards, so that the store must not be open for reading only.
   */
  readonly projections?: readonly AnyProjection[] | undefined
  /** Aggregates whose kept states are compared with a refold of their events. */
  readonly aggregates?: readonly CommandTarget[] | undefined
  /** Kept states of each aggregate that are refolded, drawn at random; 1,000 when left out. */
  readonly snapshotSampleCount?: number | undefined
  /** What the sample is drawn with; of the store's own source of chance when left out. */
  readonly seed?: number | undefined
  /** Called now and again with the number of events read so far, and how far which check is. */
  readonly onProgress?: ((events: number, step: VerifyStep) => void) | undefined
}

/** What a verification takes time, chance and names from. */
export interface VerifySources {
  readonly clock: Clock
  readonly random: Random
  readonly ids: IdSource
}

/** What all checks work with. */
export interface VerifyContext {
  readonly port: EventStore
  /** Bound and signal of each call. */
  readonly call: CallOptions
  readonly findings: Findings
  /** Told between pages; ends the verification once it was aborted. */
  step(step: VerifyStep, events?: number): void
}

const restore = 'stop writing, keep a copy, and restore the rows from a backup or a replica'

const advices: Readonly<Record<VerifyProblemKind, string>> = {
  storage: 'stop writing, keep a copy of the database, and restore it from a backup',
  checksum: `it was changed after it was written: ${restore}`,
  index: 'rebuild the index (REINDEX), or copy the log into a new store with migrate-events',
  head: `it was changed by hand or the rows were: ${restore}`,
  order: `rows were moved or added by hand: ${restore}`,
  version: `rows were removed, moved or added by hand: ${restore}`,
  id: `a row was added or changed by hand: ${restore}`,
  count: `rows were removed or added by hand: ${restore}`,
  name: 'it was changed by hand: restore the row from a backup',
  checkpoint: 'the log was restored below it, or it was changed by hand: reset it',
  incarnation: 'the log is a restored or forked one: reset the checkpoint',
  snapshot: 'drop it, loads do without: store.snapshots.drop(stream)',
  'read-model': 'rebuild it: store.projections.rebuild(name)',
}

/** A problem on its way into the report; without an advice it gets that of its kind. */
export type Finding = Omit<VerifyProblem, 'advice'> & { readonly advice?: string | undefined }

const UNCHECKED_COUNT_MAX = 100

/** What was found so far, within bounds. */
export class Findings {
  readonly kept: VerifyProblem[] = []
  readonly unchecked: string[] = []
  count = 0
  readonly #countMax: number

  constructor(countMax: number) {
    this.#countMax = countMax
  }

  add(finding: Finding): void {
    this.count++
    if (this.kept.length >= this.#countMax) return
    this.kept.push({ ...finding, advice: finding.advice ?? advices[finding.kind] })
  }

  /** Something that nothing can be said of, with the reason. */
  leave(what: string): void {
    if (this.unchecked.length < UNCHECKED_COUNT_MAX) this.unchecked.push(what)
  }

  /** One of its own for a part of the work, with the same limit. */
  branch(): Findings {
    return new Findings(this.#countMax)
  }

  /** Takes over what a part has found, in the order of the calls. */
  join({ kept, count, unchecked }: Findings): void {
    this.kept.push(...kept.slice(0, this.#countMax - this.kept.length))
    this.count += count
    for (const what of unchecked) this.leave(what)
  }
}
