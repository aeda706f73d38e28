import type { Clock, IdSource } from '../../kernel/index.ts'
import type { Json } from '../../model/index.ts'
import type { RecordChange, RecordReads } from '../../ports/index.ts'
import { recordKinds } from './values.ts'

/** What somebody did to the read side by hand. */
export interface AuditEntry {
  /** Who did it, in the caller's words; `unknown` when not said. */
  readonly actor: string
  /** `letter.discard`, `subscription.pause`, `projection.rebuild`, … */
  readonly action: string
  /** Name of what it was done to. */
  readonly subject: string
  readonly details?: { readonly [key: string]: Json }
}

/** An entry as the store holds it. */
export interface RecordedAudit extends Required<AuditEntry> {
  readonly id: string
  /** When, by the clock of the program that did it. */
  readonly at: Date
}

/** The record of an entry, to write in the transaction of what it tells of. */
export function auditChange(
  runtime: { readonly clock: Clock; readonly ids: IdSource },
  { actor, action, subject, details = {} }: AuditEntry,
): RecordChange {
  return {
    kind: recordKinds.audit,
    key: runtime.ids.next(),
    expected: 0,
    value: { at: runtime.clock.now(), actor, action, subject, details },
  }
}

/** Entries, the oldest first; `after` is the id of the last one of the page before. */
export async function listAudit(
  records: RecordReads,
  page: { readonly after?: string | undefined; readonly limit: number },
): Promise<readonly RecordedAudit[]> {
  const found = await records.list({ kind: recordKinds.audit, ...page })
  return found.map(({ key, value }) => {
    const { at, ...entry } = value as unknown as Omit<RecordedAudit, 'id' | 'at'> & { at: number }
    return { ...entry, id: key, at: new Date(at) }
  })
}
