import { type Clock, deadlineIn, sleep } from '../kernel/index.ts'
import { InvalidArgumentError } from '../model/index.ts'
import type { CallOptions, EventStore, StoreTransaction } from '../ports/index.ts'
import { readBuild } from './build-record.ts'
import { type CompareReport, compareGenerations } from './compare.ts'
import type { AnyProjection } from './define.ts'
import { type Generation, generationOf, liveOf, lockRegistered } from './registry.ts'
import { freezeConsumer } from './switch.ts'

const WAIT_MS = 5000
const LOOK_INTERVAL_MS = 20
const COMPARE_TIMEOUT_MS = 600_000

async function positionIn(
  tx: StoreTransaction,
  name: string,
  generation: number,
  { mode, status, position }: Generation,
): Promise<number> {
  if (status === 'building') {
    return (await readBuild(tx.records, name, generation))?.value.position ?? position
  }
  if (mode === 'inline') return status === 'live' ? await tx.newestPosition() : position
  return (await freezeConsumer(tx, name, generation)) ?? position
}

/** Compares the live generation with the other one, at one position where that comes about. */
export async function compareNow(
  port: EventStore,
  { name }: AnyProjection,
  clock: Clock,
  options: CallOptions,
): Promise<CompareReport> {
  const deadline = deadlineIn(clock, options.timeoutMs ?? WAIT_MS)
  for (;;) {
    options.signal?.throwIfAborted()
    const isLast = deadline.leftMs() <= 0
    const report = await port.transaction(
      async (tx) => {
        const { value } = await lockRegistered(tx.records, name)
        const live = liveOf(value)
        const building = Object.entries(value.generations).find(
          ([, { status }]) => status === 'building',
        )
        const other = building === undefined ? value.previous : Number(building[0])
        const found = other === null ? undefined : generationOf(value, other)
        if (live === undefined || other === null || found === undefined) {
          throw new InvalidArgumentError('name', `${name} has only one generation to look at`)
        }
        if (live.mode === 'inline') await tx.barrier()
        const position = await positionIn(tx, name, live.generation, live)
        const otherPosition = await positionIn(tx, name, other, found)
        const isSame = position === otherPosition
        if (!isSame && !isLast) return undefined
        const sides = [
          { ...found, generation: other, position: otherPosition },
          { ...live, position },
        ] as const
        const [before, after] = building === undefined ? sides : ([sides[1], sides[0]] as const)
        return await compareGenerations(tx.models, before, after, isSame)
      },
      { timeoutMs: COMPARE_TIMEOUT_MS, signal: options.signal },
    )
    if (report !== undefined) return report
    await sleep(clock, LOOK_INTERVAL_MS, options.signal)
  }
}
