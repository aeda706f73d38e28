import { categoryOf, type StreamInfo } from '../../model/index.ts'
import { IdCheck } from './ids.ts'
import { Lifecycle } from './lifecycle.ts'
import { eventsOfStream } from './reads.ts'
import type { Findings, VerifyContext } from './report.ts'

/** Streams read at once: on a server most of the time is the way there and back. */
const STREAMS_AT_ONCE = 8
/** A stream of more events is read alone, so that the memory for ids is that of one. */
const LONG_STREAM_COUNT = 100_000
/** A stream that is truncated or deleted while it is read is read again so often, at most. */
const ATTEMPT_COUNT_MAX = 5

/** Every stream by itself: versions, positions, ids, and what its head says of it. */
export async function verifyStreams(
  context: VerifyContext,
  upTo: number,
): Promise<{ readonly events: number; readonly streams: number }> {
  const { port, call, findings, step } = context
  let events = 0
  let streams = 0
  for await (const page of port.streams({}, call)) {
    for (const heads of groupsOf(page)) {
      const parts = heads.map(() => findings.branch())
      const counts = await Promise.all(
        heads.map((head, i) => verifyStream(context, head, upTo, parts[i] as Findings)),
      )
      for (const part of parts) findings.join(part)
      for (const count of counts) events += count
      streams += heads.length
      step({ check: 'streams', done: streams, total: undefined })
    }
  }
  return { events, streams }
}

function* groupsOf(heads: readonly StreamInfo[]): Iterable<readonly StreamInfo[]> {
  let group: StreamInfo[] = []
  for (const head of heads) {
    if (head.count > LONG_STREAM_COUNT) yield [head]
    else group.push(head)
    if (group.length < STREAMS_AT_ONCE) continue
    yield group
    group = []
  }
  if (group.length > 0) yield group
}

/** The number of its events up to a position. What a change meanwhile brings up does not count. */
async function verifyStream(
  context: VerifyContext,
  found: StreamInfo,
  upTo: number,
  findings: Findings,
): Promise<number> {
  let head = found
  for (let attempt = 1; ; attempt++) {
    const part = findings.branch()
    const count = await walk(context, head, upTo, part)
    if (part.count === 0) return count
    const now = (await context.port.stream(head.stream, context.call)) ?? head
    if (now.firstVersion === head.firstVersion && now.state === head.state) {
      findings.join(part)
      return count
    }
    if (attempt === ATTEMPT_COUNT_MAX) {
      findings.leave(`stream ${head.stream}: it is truncated or deleted again and again`)
      return count
    }
    head = now
  }
}

async function walk(
  { port, call }: VerifyContext,
  head: StreamInfo,
  upTo: number,
  findings: Findings,
): Promise<number> {
  const { stream } = head
  if (head.category !== categoryOf(stream)) {
    findings.add({ kind: 'name', stream, reason: `has category ${head.category}` })
  }
  const ids = new IdCheck(head.count)
  const lifecycle = new Lifecycle()
  let expected = head.firstVersion
  let lastPosition = 0
  let count = 0
  for await (const event of eventsOfStream(port, head, call)) {
    const { version, position } = event
    if (version !== expected) {
      const reason = `has version ${version} where ${expected} belongs`
      findings.add({ kind: 'version', position, stream, reason })
    }
    if (position <= lastPosition) {
      const reason = `version ${version} has a position at or below its predecessor's`
      findings.add({ kind: 'order', position, stream, reason })
    }
    if ('damaged' in event) lifecycle.miss()
    else {
      ids.see(event.id)
      lifecycle.see(event)
    }
    expected = version + 1
    lastPosition = position
    if (position <= upTo) count++
  }
  if (expected !== head.version + 1) {
    const reason = `its head says version ${head.version}, its last event is ${expected - 1}`
    findings.add({ kind: 'version', stream, reason })
  }
  for (const reason of lifecycle.faults(head)) findings.add({ kind: 'head', stream, reason })
  async function* again() {
    for await (const event of eventsOfStream(port, head, call)) if ('id' in event) yield event
  }
  for await (const { id, position } of ids.repeated(again)) {
    findings.add({ kind: 'id', position, stream, reason: `id ${id} is there twice` })
  }
  return count
}
