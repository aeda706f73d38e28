import { isEventualiError } from '../../kernel/index.ts'
import type { VerifyContext } from './report.ts'

const FAULTY_COUNT_MAX = 100_000

/** What the adapter finds below the events; gives the positions that it has told of. */
export async function verifyStorage({
  port,
  call,
  findings,
  step,
}: VerifyContext): Promise<ReadonlySet<number>> {
  const faulty = new Set<number>()
  step({ check: 'storage', done: 0, total: undefined })
  for await (const { kind = 'storage', ...fault } of port.faults(call)) {
    findings.add({ kind, ...fault })
    if (fault.position !== undefined && faulty.size < FAULTY_COUNT_MAX) faulty.add(fault.position)
  }
  const { amcheck, data_checksums: pages } = await port.settings()
  if (amcheck !== undefined && amcheck !== 'on') {
    findings.leave(`the indexes of the database: amcheck is ${amcheck}; CREATE EXTENSION amcheck`)
  }
  if (pages === 'off') {
    findings.leave('pages of the database: data_checksums is off; see pg_checksums')
  }
  return faulty
}

/** Whether a read failed because of what is stored, and not of the way to it. */
export function isBroken(error: unknown): error is Error {
  const codes = ['STORAGE_FAILED', 'EVENT_CORRUPT']
  return error instanceof SyntaxError || codes.some((code) => isEventualiError(error, code))
}

/** A part of the store that cannot be read at all is a problem like others, not the end. */
export async function guarded<T>(
  { findings }: VerifyContext,
  what: string,
  fallback: T,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!isBroken(error)) throw error
    findings.add({ kind: 'storage', reason: `${what} cannot be read: ${error.message}` })
    return fallback
  }
}
