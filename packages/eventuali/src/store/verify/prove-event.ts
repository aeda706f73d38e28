import { InvalidArgumentError, type RecordedEvent, rowIsIntact } from '../../model/index.ts'
import type { CallOptions, EventStore } from '../../ports/index.ts'
import { isBroken } from './storage.ts'

/** One promise of the log, looked at for one event. */
export interface ProofCheck {
  /**
   * `log`: the log has it at this position; `checksum`: the row is what was written; `stream`: its
   * stream has it at its version, with no hole beside it; `order`: its neighbours in the stream are
   * on their sides of it in the log; `safe`: nothing can appear below it any more.
   */
  readonly check: 'log' | 'checksum' | 'stream' | 'order' | 'safe'
  /** Undefined where this store, or this way to it, cannot tell. */
  readonly ok: boolean | undefined
  /** What was found, as a sentence. */
  readonly says: string
}

/** What `proveEvent` found. */
export interface EventProof {
  /** No check has failed. */
  readonly ok: boolean
  /** The event; undefined when there is none, or it cannot be read. */
  readonly event: RecordedEvent | undefined
  readonly checks: readonly ProofCheck[]
}

/** What pages hold; a text with the reason when some of it cannot be read. */
async function eventsOf(
  pages: AsyncIterable<readonly RecordedEvent[]>,
): Promise<readonly RecordedEvent[] | string> {
  const events: RecordedEvent[] = []
  try {
    for await (const page of pages) events.push(...page)
    return events
  } catch (error) {
    if (isBroken(error)) return error.message
    throw error
  }
}

async function checksumCheck(
  port: EventStore,
  position: number,
  options: CallOptions,
): Promise<ProofCheck> {
  const check = 'checksum'
  if (!port.capabilities.backup) {
    return { check, ok: undefined, says: 'rows cannot be seen from here; ask beside the store' }
  }
  return port.view(async (view) => {
    for await (const rows of view.rows({ after: position - 1, upTo: position }, options)) {
      const row = rows.find((one) => one.position === position)
      if (row === undefined) continue
      if (row.checksum === undefined) {
        return { check, ok: undefined, says: 'in memory there is none: nothing lies between' }
      }
      const ok = rowIsIntact(row)
      return { check, ok, says: ok ? 'the row is what was written' : 'the row was changed' }
    }
    return { check, ok: undefined, says: 'there is no row to compare' }
  }, options)
}

function streamChecks(
  event: RecordedEvent,
  head: Head,
  beside: readonly RecordedEvent[],
): readonly ProofCheck[] {
  const { version, position, stream } = event
  const at = (number: number) => beside.find((one) => one.version === number)
  const [before, itself, behind] = [at(version - 1), at(version), at(version + 1)]
  const isFirst = version === head.firstVersion
  const isLast = version === head.version
  const hasNeighbours = (isFirst || before !== undefined) && (isLast || behind !== undefined)
  const isSame = itself !== undefined && itself.position === position && itself.id === event.id
  const isWithin = version >= head.firstVersion && version <= head.version
  const isBetween =
    (before === undefined || before.position < position) &&
    (behind === undefined || behind.position > position)
  const place = `version ${version} of ${head.firstVersion} to ${head.version} in ${stream}`
  const positions = [before?.position, position, behind?.position].filter(
    (one) => one !== undefined,
  )
  return [
    {
      check: 'stream' as const,
      ok: isSame && isWithin && hasNeighbours,
      says: !isSame
        ? `the stream has another event, or none, at version ${version}`
        : hasNeighbours && isWithin
          ? place
          : `${place}, with a hole beside it`,
    },
    { check: 'order' as const, ok: isBetween, says: `positions ${positions.join(', ')}` },
  ]
}

/** The event in its stream, beside those before and behind it. */
async function placeChecks(
  port: EventStore,
  event: RecordedEvent,
  options: CallOptions,
): Promise<readonly ProofCheck[]> {
  const { stream, version } = event
  const bounds = { from: Math.max(1, version - 1), to: version + 1, direction: 'forward' as const }
  const head = await port.stream(stream, options)
  const beside = await eventsOf(port.readStream({ stream, ...bounds }, options))
  if (typeof beside === 'string') {
    return [{ check: 'stream', ok: false, says: `beside it in ${stream}: ${beside}` }]
  }
  return streamChecks(event, head ?? { version: 0, firstVersion: 1 }, beside)
}

interface Head {
  readonly version: number
  readonly firstVersion: number
}

/**
 * Proves the promises of the log for a single event: that it is there, unchanged, in its place of
 * the stream and of the log. Reads four events, whatever the size of the log; `store.verify` proves
 * all of it. Throws InvalidArgumentError for what is no position.
 *
 * @example
 * ```ts
 * import { openStore, proveEvent } from 'eventuali'
 *
 * await using store = await openStore('memory:')
 * const { position } = await store.append('order-1', { type: 'OrderPlaced', data: { total: 30 } })
 * const { ok, checks } = await proveEvent(store, position)
 * console.log(ok, checks.map(({ check }) => check))
 * ```
 */
export async function proveEvent(
  { port }: { readonly port: EventStore },
  position: number,
  options: CallOptions = {},
): Promise<EventProof> {
  if (!Number.isSafeInteger(position) || position < 1) {
    throw new InvalidArgumentError('position', 'must be one of an event, 1 or more')
  }
  const range = { after: position - 1, upTo: position, direction: 'forward' as const }
  const found = await eventsOf(port.readLog({ ...range, includeArchived: true }, options))
  const event = typeof found === 'string' ? undefined : found[0]
  const none = 'there is none: never given, rolled back, or removed'
  const says = event === undefined ? none : `${event.type} is there`
  const checks: ProofCheck[] = [
    { check: 'log', ok: event !== undefined, says: typeof found === 'string' ? found : says },
    await checksumCheck(port, position, options),
  ]
  if (event !== undefined) {
    checks.push(...(await placeChecks(port, event, options)))
    const { safe } = await port.positions(options)
    const isSafe = position <= safe
    const words = isSafe ? 'nothing can appear below it' : 'something may still appear below it'
    checks.push({ check: 'safe', ok: isSafe ? true : undefined, says: `${words}; safe to ${safe}` })
  }
  return { ok: checks.every(({ ok }) => ok !== false), event, checks }
}
