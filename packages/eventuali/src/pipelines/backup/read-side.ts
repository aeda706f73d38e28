import type { Json } from '../../model/index.ts'
import type { RecordChange, StoredRecord } from '../../ports/index.ts'
import type { KeptRecord } from './lines.ts'

/**
 * Records that are made anew from the log, or that belong to programs that run: leases, kept
 * states, read models and how far they are built, counts, the progress of a job.
 */
const madeAnew: ReadonlySet<string> = new Set([
  ...['worker', 'snapshot', 'snapshot-retired', 'recoding', 'restore'],
  ...['projection', 'projection-build', 'projection-refold', 'schema-count', 'schema-counted'],
])
/** Their checkpoints go with the read models. */
const PROJECTION = 'projection:'
/** Their states belong to the position that they had, and cannot be taken back. */
const consumersWithState = [PROJECTION, 'process:', 'schedules']
/** What does not depend on where the log ends. */
const timeless: ReadonlySet<string> = new Set(['schema', 'audit'])

type Loose = { readonly [key: string]: Json }

function looseValue(value: Json): Loose {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Loose)
    : {}
}

/** The durable consumer that a record belongs to; undefined for other records. */
function consumerOf({ kind, key }: Pick<KeptRecord, 'kind' | 'key'>): string | undefined {
  if (kind === 'subscription') return key
  // Their keys begin with the name, in which slashes are spelled out.
  if (kind === 'partition' || kind === 'letter') {
    return key.slice(0, key.indexOf('/')).replaceAll('%2F', '/').replaceAll('%25', '%')
  }
  return undefined
}

/** Whether a backup holds a record. */
export function isKeptKind(record: Pick<StoredRecord, 'kind' | 'key'>): boolean {
  return !madeAnew.has(record.kind) && consumerOf(record)?.startsWith(PROJECTION) !== true
}

/** The position that a consumer of this log has handled; 0 for records that are no checkpoint. */
export function checkpointIn({ kind, value }: StoredRecord, incarnation: string): number {
  if (kind !== 'partition') return 0
  const { position, incarnation: own } = looseValue(value)
  return own === incarnation && typeof position === 'number' ? position : 0
}

/** Where a record is put back. */
export interface PutBack {
  /** Of the log that was backed up, and of the one that is made of it. */
  readonly before: string
  readonly now: string
  /** The position that the log ends at, where the records belong to a later one. */
  readonly cutAt: number | undefined
}

/** What is written for a record; undefined for one that has no meaning where the log ends. */
export function changeFor(record: KeptRecord, place: PutBack): RecordChange | undefined {
  const { kind, key, state, due } = record
  const value = place.cutAt === undefined ? record.value : cut(record, place.cutAt)
  if (value === undefined) return undefined
  return { kind, key, expected: 'any', value: ofThisLog(kind, value, place), state, due }
}

/** A record that names the log names the new one: it has the same events at the same positions. */
function ofThisLog(kind: string, value: Json, { before, now }: PutBack): Json {
  const loose = looseValue(value)
  const named = loose.incarnation === before ? { ...loose, incarnation: now } : value
  if (kind !== 'partition') return named
  const { epoch } = loose
  // Nobody holds it, and whoever held it is refused.
  return { ...looseValue(named), owner: null, epoch: typeof epoch === 'number' ? epoch + 1 : 1 }
}

/** The record of a consumer, rewound; the rest has handled events that are not there. */
function cut(record: KeptRecord, cutAt: number): Json | undefined {
  const { kind, value } = record
  if (timeless.has(kind)) return value
  const consumer = consumerOf(record)
  if (consumer === undefined || consumersWithState.some((name) => consumer.startsWith(name))) {
    return undefined
  }
  const loose = looseValue(value)
  const { position } = loose
  if (kind === 'subscription') return { ...loose, earlier: [] }
  const isAhead = typeof position !== 'number' || position > cutAt
  if (kind === 'letter') return isAhead ? undefined : value
  return isAhead ? { ...loose, position: cutAt, stopped: null } : value
}
