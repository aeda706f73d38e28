import type { CallOptions } from '../../ports/index.ts'
import type { ReadAccess } from './reads.ts'
import type { Session } from './session.ts'

/** What a transaction lends to those who write in it. */
export interface WriteAccess extends ReadAccess {
  /**
   * Runs synchronous work under the write lock, from whatever moment the transaction has it.
   * `what` names it in errors.
   */
  write<T>(what: string, work: (session: Session) => T, options: CallOptions): Promise<T>
}
