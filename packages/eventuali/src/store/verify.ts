import { categoryOf, type StreamInfo } from '../model/index.ts'
import type { CallOptions, EventStore } from '../ports/index.ts'
import { eventsOfLog, eventsOfStream } from './verify-reads.ts'

/** Something that does not hold. */
export interface VerifyProblem {
  readonly kind: 'storage' | 'order' | 'version' | 'id' | 'count' | 'name'
  readonly position?: number | undefined
  readonly stream?: string | undefined
  readonly reason: string
}

/** The result of `store.verify()`. */
export interface VerifyReport {
  readonly ok: boolean
  readonly events: number
  readonly streams: number
  /** The first ones found; see `problemCount` for how many there are. */
  readonly problems: readonly VerifyProblem[]
  readonly problemCount: number
}

/** Options of `store.verify`. */
export interface VerifyOptions extends CallOptions {
  /** Problems kept in the report; 1,000 when left out. The rest is counted. */
  readonly problemCountMax?: number | undefined
  /** Called after each page with the number of events seen so far. */
  readonly onProgress?: ((events: number) => void) | undefined
}

// Streams read at once: on a server most of the time is the way there and back.
const STREAMS_AT_ONCE = 16
// Ids are checked in windows of this many events of one stream, so that memory stays bounded.
const ID_WINDOW = 100_000

class Findings {
  readonly kept: VerifyProblem[] = []
  count = 0
  readonly #countMax: number

  constructor(countMax: number) {
    this.#countMax = countMax
  }

  add(problem: VerifyProblem): void {
    this.count++
    if (this.kept.length < this.#countMax) this.kept.push(problem)
  }

  /** One of its own for a part of the work, with the same limit. */
  branch(): Findings {
    return new Findings(this.#countMax)
  }

  /** Takes over what a part has found, in the order of the calls. */
  join({ kept, count }: Findings): void {
    this.kept.push(...kept.slice(0, this.#countMax - this.kept.length))
    this.count += count
  }
}

/**
 * Proves what the log promises, reading it twice: once in log order (positions grow, each event
 * belongs to a stream that exists), once stream by stream (versions are dense from the first kept
 * one, positions grow with versions, ids are unique, heads agree), beside the adapter's own check
 * of pages, indexes and checksums. Memory is bounded: a page and an id window for each of the
 * streams that are read at once.
 */
export async function verifyLog(
  store: EventStore,
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  const findings = new Findings(options.problemCountMax ?? 1000)
  const faulty = new Set<number>()
  for await (const fault of store.faults(options)) {
    findings.add({ kind: 'storage', ...fault })
    if (fault.position !== undefined) faulty.add(fault.position)
  }
  // Appends may go on meanwhile: both passes count up to the position that is the newest now.
  const { newest } = await store.positions(options)
  const inLog = await verifyOrder(store, newest, faulty, findings, options)
  const { events, streams } = await verifyStreams(store, newest, findings, options)
  if (inLog !== events) {
    findings.add({
      kind: 'count',
      reason: `the log has ${inLog} events, its streams have ${events} together`,
    })
  }
  const { kept: problems, count: problemCount } = findings
  return { ok: problemCount === 0, events, streams, problems, problemCount }
}

async function verifyOrder(
  store: EventStore,
  upTo: number,
  faulty: ReadonlySet<number>,
  findings: Findings,
  options: VerifyOptions,
): Promise<number> {
  let last = 0
  let events = 0
  for await (const page of eventsOfLog(store, upTo, options)) {
    for (const event of page) {
      const { position } = event
      const stream = 'stream' in event ? event.stream : undefined
      if ('damaged' in event && !faulty.has(position)) {
        findings.add({ kind: 'storage', position, reason: event.damaged })
      }
      if (position <= last) {
        findings.add({ kind: 'order', position, stream, reason: `comes after ${last} in the log` })
      }
      last = position
    }
    events += page.length
    options.onProgress?.(events)
  }
  return events
}

async function verifyStreams(
  store: EventStore,
  upTo: number,
  findings: Findings,
  options: VerifyOptions,
): Promise<{ events: number; streams: number }> {
  let events = 0
  let streams = 0
  for await (const page of store.streams({}, options)) {
    streams += page.length
    for (let at = 0; at < page.length; at += STREAMS_AT_ONCE) {
      const heads = page.slice(at, at + STREAMS_AT_ONCE)
      const parts = heads.map(() => findings.branch())
      const counts = await Promise.all(
        heads.map((head, i) => verifyStream(store, head, upTo, parts[i] as Findings, options)),
      )
      for (const part of parts) findings.join(part)
      for (const count of counts) events += count
    }
  }
  return { events, streams }
}

async function verifyStream(
  store: EventStore,
  head: StreamInfo,
  upTo: number,
  findings: Findings,
  options: VerifyOptions,
): Promise<number> {
  const { stream } = head
  if (head.category !== categoryOf(stream)) {
    findings.add({ kind: 'name', stream, reason: `has category ${head.category}` })
  }
  let expected = head.firstVersion
  let lastPosition = 0
  let count = 0
  let ids = new Set<string>()
  const check = (version: number, position: number, id: string | undefined) => {
    if (version !== expected) {
      const reason = `has version ${version} where ${expected} belongs`
      findings.add({ kind: 'version', position, stream, reason })
    }
    if (position <= lastPosition) {
      const reason = `version ${version} has a position at or below its predecessor's`
      findings.add({ kind: 'order', position, stream, reason })
    }
    if (ids.size >= ID_WINDOW) ids = new Set()
    if (id !== undefined && ids.has(id)) {
      findings.add({ kind: 'id', position, stream, reason: `id ${id} is there twice` })
    }
    if (id !== undefined) ids.add(id)
    expected = version + 1
    lastPosition = position
    if (position <= upTo) count++
  }
  for await (const event of eventsOfStream(store, head, options)) {
    check(event.version, event.position, 'id' in event ? event.id : undefined)
  }
  if (expected !== head.version + 1) {
    const reason = `its head says version ${head.version}, its last event is ${expected - 1}`
    findings.add({ kind: 'version', stream, reason })
  }
  return count
}
