import { type Clock, deadlineIn, type IdSource, sleep } from '../kernel/index.ts'
import { InvalidArgumentError } from '../model/index.ts'
import type { CallOptions, EventStore, RecordChange } from '../ports/index.ts'
import { type ActorOption, auditChange } from '../subscriptions/index.ts'
import {
  generationOf,
  liveOf,
  lockRegistered,
  withGeneration,
  writeRegistered,
} from './registry.ts'
import { freezeConsumer, publishTables, switched } from './switch.ts'

const WAIT_MS = 10_000
const LOOK_INTERVAL_MS = 20
const TURN_TIMEOUT_MS = 60_000

/**
 * Makes a kept asynchronous generation live again. Where its code runs here, waits until it has
 * seen what the live one has, for a while; readers never wait.
 */
export async function turnBack(
  port: EventStore,
  runtime: { readonly clock: Clock; readonly ids: IdSource },
  to: { readonly name: string; readonly generation: number; readonly isOurs: boolean },
  options: CallOptions & ActorOption,
): Promise<void> {
  const { name, generation, isOurs } = to
  const { clock } = runtime
  const deadline = deadlineIn(clock, isOurs ? (options.timeoutMs ?? WAIT_MS) : 0)
  for (;;) {
    options.signal?.throwIfAborted()
    const isLate = deadline.leftMs() <= 0
    const isDone = await port.transaction(
      async (tx) => {
        const { revision, value } = await lockRegistered(tx.records, name)
        const kept = generationOf(value, generation)
        if (kept === undefined) {
          throw new InvalidArgumentError('generation', `${generation} of ${name} was dropped`)
        }
        const live = liveOf(value)
        if (live?.generation === generation) return true
        if (live?.mode === 'inline') await tx.barrier()
        const liveAt =
          live === undefined
            ? 0
            : live.mode === 'inline'
              ? await tx.newestPosition()
              : ((await freezeConsumer(tx, name, live.generation)) ?? live.position)
        const keptAt = (await freezeConsumer(tx, name, generation)) ?? kept.position
        if (keptAt < liveAt && !isLate) return false
        await publishTables(tx, kept.tables, live?.tables)
        if (live?.mode === 'inline') await tx.inline.unregister(name)
        const next = withGeneration(switched(value, generation, liveAt), generation, {
          position: keptAt,
        })
        const { actor = 'unknown' } = options
        const details = { from: value.live, to: generation, position: keptAt }
        const entry = { actor, action: 'projection.rollback', subject: name, details }
        await writeRegistered(
          tx.records,
          name,
          { revision, value: next },
          auditChange(runtime, entry),
        )
        return true
      },
      { timeoutMs: TURN_TIMEOUT_MS, signal: options.signal },
    )
    if (isDone) return
    await sleep(clock, LOOK_INTERVAL_MS, options.signal)
  }
}

/** Takes a projection off the inline list; a consumer goes on from this position. */
export async function demoteInline(
  port: EventStore,
  name: string,
  audit: RecordChange,
): Promise<void> {
  await port.transaction(
    async (tx) => {
      const { revision, value } = await lockRegistered(tx.records, name)
      const live = liveOf(value)
      if (live?.mode !== 'inline') {
        throw new InvalidArgumentError('name', `${JSON.stringify(name)} is not inline`)
      }
      await tx.barrier()
      const position = await tx.newestPosition()
      await tx.inline.unregister(name)
      const next = withGeneration(value, live.generation, { mode: 'async', position })
      await writeRegistered(tx.records, name, { revision, value: next }, audit)
    },
    { timeoutMs: TURN_TIMEOUT_MS },
  )
}
