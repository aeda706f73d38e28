import { seededRandom } from '../../kernel/index.ts'
import { InvalidArgumentError } from '../../model/index.ts'
import type { EventStore } from '../../ports/index.ts'
import { verifyCheckpoints } from './checkpoints.ts'
import { verifySnapshots } from './kept-states.ts'
import { compareCounts, verifyOrder } from './log.ts'
import { verifyReadModels } from './read-models.ts'
import {
  Findings,
  type VerifyContext,
  type VerifyOptions,
  type VerifyReport,
  type VerifySources,
} from './report.ts'
import { guarded, verifyStorage } from './storage.ts'
import { verifyStreams } from './streams.ts'

const PROBLEM_COUNT_MAX = 1000
const SAMPLE_COUNT = 1000
const SEED_COUNT = 2 ** 31

function checkedCount(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new InvalidArgumentError(name, 'must be an integer of 0 or more')
}

/**
 * Proves what the store promises. The log is read twice, once in its order and once stream by
 * stream, beside the adapter's own check of pages, indexes and checksums; then what stands beside
 * the log is held against it. Memory is bounded, and appends may go on: everything is read up to
 * the position that is safe at the beginning, and what has changed meanwhile is read again.
 */
export async function verifyStore(
  port: EventStore,
  sources: VerifySources,
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  const { signal, timeoutMs, projections = [], aggregates = [] } = options
  const problemCountMax = checkedCount(
    'problemCountMax',
    options.problemCountMax ?? PROBLEM_COUNT_MAX,
  )
  const sampleCount = checkedCount(
    'snapshotSampleCount',
    options.snapshotSampleCount ?? SAMPLE_COUNT,
  )
  const seed = options.seed ?? Math.floor(sources.random.next() * SEED_COUNT)
  const findings = new Findings(problemCountMax)
  let events = 0
  const context: VerifyContext = {
    ...{ port, findings, call: { signal, timeoutMs } },
    step: (step, seen) => {
      signal?.throwIfAborted()
      events = seen ?? events
      options.onProgress?.(events, step)
    },
  }
  const faulty = await guarded(context, 'the store', new Set<number>(), () =>
    verifyStorage(context),
  )
  // Nothing will appear any more at or below it.
  const { safe } = await port.positions(context.call)
  const log = await guarded(context, 'the log', undefined, () => verifyOrder(context, safe, faulty))
  const whole = await guarded(context, 'a stream', undefined, () => verifyStreams(context, safe))
  // What could not be read to its end has no number to compare.
  if (log !== undefined && whole !== undefined) {
    const counts = { log, streams: whole.events }
    await guarded(context, 'the log', undefined, () => compareCounts(context, safe, counts))
  }
  const found = whole ?? { events, streams: 0 }
  const checkpoints = await verifyCheckpoints(context)
  const nothing = { kept: 0, compared: 0, passed: 0, seed }
  const snapshots = await guarded(context, 'a kept state', nothing, async () => ({
    ...(await verifySnapshots(context, { aggregates, sampleCount, random: seededRandom(seed) })),
    seed,
  }))
  const compared = await verifyReadModels(context, projections, sources)
  const { kept: problems, count: problemCount, unchecked } = findings
  return {
    ...{ ok: problemCount === 0, events: found.events, streams: found.streams, checkpoints },
    ...{ snapshots, projections: compared, problems, problemCount, unchecked },
  }
}
