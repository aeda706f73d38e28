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
    const broken = ['STORAGE_FAILED', 'EVENT_CORRUPT']
    const isBroken = broken.some((code) => isEventualiError(error, code))
    if (!isBroken && !(error instanceof SyntaxError)) throw error
    findings.add({ kind: 'storage', reason: `${what} cannot be read: ${(error as Error).message}` })
    return fallback
  }
}
