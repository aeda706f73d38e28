import { DomainError } from './errors.ts'

/**
 * Refuses a command for a reason of the domain: throws DomainError, which callers recognise by
 * its code `DOMAIN_REJECTED`. Returns `never`, so that it fits anywhere an event does.
 *
 * @example
 * ```ts
 * import { reject } from 'eventuali'
 *
 * const withdraw = (balance: number, amount: number) =>
 *   amount <= balance ? balance - amount : reject('insufficient funds', { balance })
 * console.log(withdraw(10, 3)) // 7
 * ```
 */
export function reject(reason: string, details?: unknown): never {
  throw new DomainError(reason, details)
}
