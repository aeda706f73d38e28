import { foldStream } from '../../commands/index.ts'
import { isEventualiError, isRetryable, type Random } from '../../kernel/index.ts'
import { categoryOf } from '../../model/index.ts'
import type { AnyAggregate, StoredRecord } from '../../ports/index.ts'
import type { CommandTarget } from '../../processes/index.ts'
import {
  checkEntry,
  definitionOf,
  type Entry,
  readEntry,
  SNAPSHOT,
  textOf,
  usableFingerprint,
} from '../../snapshots/index.ts'
import { recordsOf } from './checkpoints.ts'
import type { VerifiedSnapshots, VerifyContext } from './report.ts'

const AT_ONCE = 8

/** Kept states of one aggregate, of which some are drawn. */
interface Sample {
  readonly definition: AnyAggregate
  /** Of the states that its code would use. */
  readonly fingerprint: string
  readonly keys: string[]
  seen: number
}

/** How kept states are drawn and folded again. */
export interface SnapshotSampling {
  readonly aggregates: readonly CommandTarget[]
  readonly sampleCount: number
  readonly random: Random
}

/**
 * All kept states: each can be read, has its checksum and stands at an event of its stream. A
 * sample of those of the given aggregates is also folded again.
 */
export async function verifySnapshots(
  context: VerifyContext,
  sampling: SnapshotSampling,
): Promise<Omit<VerifiedSnapshots, 'seed'>> {
  const samples = await samplesOf(context, sampling.aggregates)
  let kept = 0
  for await (const page of recordsOf(context, SNAPSHOT)) {
    for (let at = 0; at < page.length; at += AT_ONCE) {
      const records = page.slice(at, at + AT_ONCE)
      const entries = await Promise.all(records.map((record) => verifyPlace(context, record)))
      // In the order of the records, not of the replies: the seed alone decides.
      for (const [index, { key }] of records.entries()) {
        const entry = entries[index]
        if (entry !== undefined) draw(samples, key, entry, sampling)
      }
    }
    kept += page.length
    context.step({ check: 'snapshots', done: kept, total: undefined })
  }
  let [compared, passed] = [0, 0]
  const total = [...samples.values()].reduce((sum, { keys }) => sum + keys.length, 0)
  for (const { definition, keys } of samples.values()) {
    for (const key of keys) {
      if (await verifyState(context, definition, key)) compared++
      else passed++
      context.step({ check: 'snapshots', done: compared + passed, total })
    }
  }
  return { kept, compared, passed }
}

async function samplesOf(
  { port, call }: VerifyContext,
  aggregates: readonly CommandTarget[],
): Promise<ReadonlyMap<string, Sample>> {
  const samples = new Map<string, Sample>()
  for (const aggregate of aggregates) {
    const definition = definitionOf(aggregate)
    const fingerprint = await usableFingerprint(port.records, definition, call)
    samples.set(definition.name, { definition, fingerprint, keys: [], seen: 0 })
  }
  return samples
}

/** Takes each of the states that there are with the same chance. */
function draw(
  samples: ReadonlyMap<string, Sample>,
  key: string,
  { stream, fingerprint }: Entry,
  { sampleCount, random }: SnapshotSampling,
): void {
  const sample = samples.get(categoryOf(stream))
  if (sample === undefined || sample.fingerprint !== fingerprint) return
  sample.seen++
  if (sample.keys.length < sampleCount) sample.keys.push(key)
  else {
    const place = Math.floor(random.next() * sample.seen)
    if (place < sampleCount) sample.keys[place] = key
  }
}

/** The state in a record, unless something is wrong with it. */
async function verifyPlace(
  { port, call, findings }: VerifyContext,
  record: StoredRecord,
): Promise<Entry | undefined> {
  const [stream = ''] = record.key.split('\n')
  const advice = `drop it, loads do without: store.snapshots.drop(${JSON.stringify(stream)})`
  const wrong = (reason: string, position?: number) => {
    const key = record.key === stream ? undefined : record.key
    findings.add({ kind: 'snapshot', stream, key, position, reason, advice })
    return undefined
  }
  const entry = readEntry(record)
  if (entry === undefined) return wrong('its kept state is no kept state')
  const { position, version } = entry
  if (entry.stream !== stream) return wrong(`its kept state is one of ${entry.stream}`, position)
  try {
    JSON.parse(textOf(entry))
  } catch (error) {
    if (!isEventualiError(error, 'CODEC_MISSING')) {
      return wrong(`its kept state cannot be read: ${(error as Error).message}`, position)
    }
    findings.leave(`the kept state of ${stream}: ${error.message}`)
  }
  const head = await port.stream(stream, call)
  if (head === undefined) return wrong('it has a kept state and no events', position)
  if (version > head.version) {
    return wrong(`its kept state is of version ${version}, its events end at ${head.version}`)
  }
  // Below the first version the events are gone, and loads know by themselves.
  if (version < head.firstVersion) return entry
  const query = { stream, from: version, to: version, limit: 1, direction: 'forward' } as const
  try {
    for await (const [event] of port.readStream(query, call)) {
      if (event === undefined || event.position === position) break
      const reason = `its kept state is of version ${version} at ${position}, which is at ${event.position}`
      return wrong(reason, position)
    }
  } catch (error) {
    // The event is damaged, and the log's own check says so.
    if (!isEventualiError(error, 'EVENT_CORRUPT')) throw error
  }
  return entry
}

/** Whether there was something to compare. */
async function verifyState(
  { port, call, findings }: VerifyContext,
  definition: AnyAggregate,
  key: string,
): Promise<boolean> {
  const [record] = await port.records.get(SNAPSHOT, [key], call)
  const entry = readEntry(record)
  // Dropped, or another one by now.
  if (entry === undefined) return false
  const { stream, version, position } = entry
  const wrong = (reason: string) => {
    const advice = `drop it, loads do without: store.snapshots.drop(${JSON.stringify(stream)})`
    findings.add({ kind: 'snapshot', stream, position, reason, advice })
    return true
  }
  try {
    const found = await checkEntry(definition, entry, (aggregate, name, upTo) =>
      foldStream(port, aggregate, name, { version: upTo, ...call }),
    )
    if (found === 'different') {
      return wrong(`its kept state of version ${version} is not what its events give`)
    }
    if (found === 'unreadable') {
      return wrong(`its kept state of version ${version} is not one that its code can read`)
    }
    return found === 'same'
  } catch (error) {
    call.signal?.throwIfAborted()
    if (isRetryable(error)) throw error
    return wrong(`its events cannot be folded: ${(error as Error).message}`)
  }
}
