import type { StoredRecord } from '../../ports/index.ts'
import { partitionKeysOf, recordKinds } from '../../subscriptions/index.ts'
import { type Claims, looseValue, projectionOf, recordRules } from './record-rules.ts'
import type { VerifyContext } from './report.ts'
import { guarded } from './storage.ts'

const PAGE_COUNT = 500
/** A subscription whose partitions are changed while it is looked at is read again so often. */
const ATTEMPT_COUNT_MAX = 5

/** The end of the log, asked for again where a record seems to be ahead of it. */
class LogEnd {
  readonly #context: VerifyContext
  #newest = 0

  constructor(context: VerifyContext) {
    this.#context = context
  }

  /** The position, when the log does not reach it. */
  async isAhead(position: number): Promise<boolean> {
    if (position <= this.#newest) return false
    // Read after the record: whatever the record has seen is in the log by now.
    this.#newest = (await this.#context.port.positions(this.#context.call)).newest
    return position > this.#newest
  }

  get newest(): number {
    return this.#newest
  }
}

/** Every record that holds a position: none is ahead of the log, or belongs to another one. */
export async function verifyCheckpoints(context: VerifyContext): Promise<number> {
  const end = new LogEnd(context)
  let done = 0
  const count = (records: number) => {
    done += records
    context.step({ check: 'checkpoints', done, total: undefined })
  }
  const { incarnation } = context.port
  for (const { kind, read } of recordRules) {
    await guarded(context, `a record of kind ${kind}`, undefined, async () => {
      for await (const page of recordsOf(context, kind)) {
        for (const record of page) {
          const claims = read(record, incarnation)
          if (claims !== undefined) await check(context, end, claims)
        }
        count(page.length)
      }
    })
  }
  await guarded(context, 'a record of a subscription', undefined, async () => {
    for await (const page of recordsOf(context, recordKinds.subscription)) {
      for (const record of page) count(await checkSubscription(context, end, record))
    }
  })
  return done
}

/** Records of a kind, in pages. */
export async function* recordsOf(
  { port, call }: VerifyContext,
  kind: string,
  prefix?: string,
): AsyncGenerator<readonly StoredRecord[], void, void> {
  for (let after: string | undefined; ; ) {
    const page = await port.records.list({ kind, prefix, after, limit: PAGE_COUNT }, call)
    if (page.length > 0) yield page
    if (page.length < PAGE_COUNT) return
    after = page.at(-1)?.key
  }
}

async function check(
  { port, findings }: VerifyContext,
  end: LogEnd,
  { subject, claims, incarnation, faults = [] }: Claims,
): Promise<void> {
  for (const reason of faults) findings.add({ kind: 'checkpoint', ...subject, reason })
  if (incarnation !== undefined && incarnation !== port.incarnation) {
    const reason = `it belongs to the log ${String(incarnation)}, this one is ${port.incarnation}`
    findings.add({ kind: 'incarnation', ...subject, reason })
    return
  }
  for (const { what, position } of claims) {
    if (!Number.isSafeInteger(position) || (position as number) < 0) {
      const reason = `${what} is ${JSON.stringify(position) ?? 'missing'}, which is no position`
      findings.add({ kind: 'checkpoint', ...subject, reason })
    } else if (await end.isAhead(position as number)) {
      const reason = `${what} is ahead of the log, whose newest event is at ${end.newest}`
      findings.add({ kind: 'checkpoint', ...subject, position: position as number, reason })
    }
  }
}

/** A durable subscription with its partitions; gives the number of records. */
async function checkSubscription(
  context: VerifyContext,
  end: LogEnd,
  found: StoredRecord,
): Promise<number> {
  const { port, call, findings } = context
  const name = found.key
  const quoted = JSON.stringify(name)
  const projection = projectionOf(name)
  const advice =
    projection === undefined
      ? `reset it: store.subscriptions.reset(${quoted}, position)`
      : `rebuild it: store.projections.rebuild(${JSON.stringify(projection)})`
  const subject = { subscription: name, projection, advice }
  let record = found
  for (let attempt = 1; ; attempt++) {
    const { generation, partitions } = looseValue(record)
    const keys = partitionKeysOf(name, generation, partitions)
    if (keys === undefined) {
      const reason = `it has ${JSON.stringify(partitions) ?? 'no'} partitions of generation ${JSON.stringify(generation) ?? 'none'}`
      findings.add({ kind: 'checkpoint', ...subject, reason })
      return 1
    }
    const rows = await port.records.get(recordKinds.partition, keys, call)
    const [now] = await port.records.get(recordKinds.subscription, [name], call)
    if (now === undefined) return 1
    // A change of the count between the reads leaves none of the partitions that were asked for.
    if (looseValue(now).generation !== generation && attempt < ATTEMPT_COUNT_MAX) {
      record = now
      continue
    }
    for (const [number, row] of rows.entries()) {
      const claims = partitionClaims(number, row)
      await check(context, end, { subject, ...claims })
    }
    await check(context, end, { subject, claims: earlierClaims(record) })
    return 1 + keys.length
  }
}

function partitionClaims(number: number, row: StoredRecord | undefined): Omit<Claims, 'subject'> {
  if (row === undefined) {
    return { claims: [], faults: [`the record of its partition ${number} is missing`] }
  }
  const { position, incarnation = null, stopped } = looseValue(row)
  const claims = [{ what: `the checkpoint of its partition ${number}`, position }]
  if (typeof stopped === 'object' && stopped !== null) {
    const at = (stopped as { readonly position?: unknown }).position
    claims.push({ what: `where its partition ${number} has stopped`, position: at })
  }
  return { claims, incarnation }
}

function earlierClaims(record: StoredRecord): Claims['claims'] {
  const { earlier } = looseValue(record)
  if (!Array.isArray(earlier)) return []
  return earlier.flatMap((value: unknown) => {
    const { positions } = looseValue({ value })
    // What is no list of positions is told of as one that is none.
    const all: readonly unknown[] = Array.isArray(positions) ? positions : [positions]
    return all.map((position) => ({ what: 'a checkpoint of its earlier partitions', position }))
  })
}
