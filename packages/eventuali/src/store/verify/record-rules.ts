import type { StoredRecord } from '../../ports/index.ts'
import type { Finding } from './report.ts'

/** Where a record claims to be in the log. */
export interface Claim {
  /** What the position is: `its position`, `a position of generation 2`, … */
  readonly what: string
  readonly position: unknown
}

/** What a record says of the log. */
export interface Claims {
  /** Names it in the report, with what to do. */
  readonly subject: Omit<Finding, 'kind' | 'reason'>
  readonly claims: readonly Claim[]
  /** The log that it belongs to, where a mismatch is a problem. */
  readonly incarnation?: unknown
  /** What is wrong with the record in itself. */
  readonly faults?: readonly string[]
}

/** A kind of record with a position; undefined for one that belongs to another log. */
export interface RecordRule {
  readonly kind: string
  read(record: StoredRecord, incarnation: string): Claims | undefined
}

type Loose = Readonly<Record<string, unknown>>

/** What a record holds, as far as it is an object. */
export function looseValue({ value }: { readonly value?: unknown }): Loose {
  return typeof value === 'object' && value !== null ? (value as Loose) : {}
}

const its = (position: unknown): readonly Claim[] => [{ what: 'its position', position }]

/** The projection that a durable consumer's name speaks of, if it does. */
export function projectionOf(subscription: string): string | undefined {
  return /^projection:(.*)\/g\d+$/s.exec(subscription)?.[1]
}

function projectionClaims(record: StoredRecord): Claims {
  const { generations, live, previous, effectsFrom } = looseValue(record)
  const all = Object.entries(looseValue({ value: generations }))
  const claims: Claim[] = all.map(([number, value]) => ({
    what: `the position of generation ${number}`,
    position: looseValue({ value }).position,
  }))
  if (effectsFrom !== null) claims.push({ what: 'where its effects begin', position: effectsFrom })
  const isThere = (number: unknown) => all.some(([key]) => key === String(number))
  const faults = [
    ...(live === null || isThere(live) ? [] : [`its live generation ${live} is not there`]),
    ...(previous === null || isThere(previous)
      ? []
      : [`its earlier generation ${previous} is not there`]),
  ]
  const name = JSON.stringify(record.key)
  const advice = `rebuild it: store.projections.rebuild(${name})`
  return { subject: { projection: record.key, advice }, claims, faults }
}

/** All kinds of records that hold a position, but for partitions and kept states. */
export const recordRules: readonly RecordRule[] = [
  {
    kind: 'letter',
    read: (record) => {
      const { position, subscription, stream } = looseValue(record)
      const subject = {
        subscription: String(subscription),
        stream: String(stream),
        key: record.key,
        advice: 'discard it: store.deadLetters.discard(key)',
      }
      return { subject, claims: its(position) }
    },
  },
  { kind: 'projection', read: projectionClaims },
  {
    kind: 'projection-build',
    read: (record) => {
      const projection = record.key.replace(/\/g\d+$/, '')
      const advice = `cancel it: store.projections.dropOld(${JSON.stringify(projection)})`
      return { subject: { projection, advice }, claims: its(looseValue(record).position) }
    },
  },
  {
    kind: 'process',
    read: (record) => ({
      subject: {
        key: `process ${record.key}`,
        advice: 'look at the process: it has handled events that the log does not have',
      },
      claims: its(looseValue(record).position),
    }),
  },
  {
    kind: 'replay',
    read: (record, own) => {
      const { incarnation, position } = looseValue(record)
      // A replay kept here may have gone through another log.
      if (incarnation !== own) return undefined
      const advice = 'begin the replay anew under another name'
      return { subject: { key: `replay ${record.key}`, advice }, claims: its(position) }
    },
  },
  {
    kind: 'recoding',
    read: (record) => ({
      subject: { key: `recoding ${record.key}`, advice: 'recode again from the beginning' },
      claims: its(looseValue(record).position),
    }),
  },
  {
    kind: 'schema-counted',
    read: (record, own) => {
      const { incarnation, position } = looseValue(record)
      // Counts of another log are begun anew by themselves.
      if (incarnation !== own) return undefined
      return { subject: { key: 'the counts of schemas' }, claims: its(position) }
    },
  },
  {
    kind: 'schema-count',
    read: (record, own) => {
      if (!record.key.startsWith(`${own}/`)) return undefined
      const { first, last, type } = looseValue(record)
      const claims = [
        { what: 'its first position', position: first },
        { what: 'its last position', position: last },
      ]
      return { subject: { key: `the count of schema ${String(type)}` }, claims }
    },
  },
]
