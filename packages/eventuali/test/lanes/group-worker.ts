import { openStore, type RecordedEvent } from '../../src/index.ts'
import { programInput, runProgram, tell, told, writeLine } from '../harness/program.ts'

/** One worker of a consumer group that says on its standard output what it handles. */
export interface GroupWorkerInput {
  readonly url: string
  readonly name: string
  readonly partitions: number
  readonly leaseTtlMs: number
  /** Planted bugs, which the test must find. */
  readonly mutant?: 'forgets' | 'reorders' | undefined
}

const input = programInput<GroupWorkerInput>()
let handled = 0

/** A line that survives a SIGKILL: when, which stream, which version. */
function note({ stream, version }: RecordedEvent): void {
  handled++
  if (input.mutant === 'forgets' && handled % 20 === 0) return
  writeLine(`${Number(process.hrtime.bigint()) / 1e6} ${stream} ${version}`)
}

runProgram(async () => {
  const store = await openStore(input.url, { leaseTtlMs: input.leaseTtlMs })
  const subscription = store.subscribe(
    { name: input.name, group: { partitions: input.partitions } },
    {
      maxBatch: 50,
      batch: async (events) => {
        // Some waiting, so that a kill or a stop finds work in hand.
        if (handled % 7 === 0) await new Promise((resolve) => setTimeout(resolve, 2))
        const ordered = input.mutant === 'reorders' ? events.toReversed() : events
        for (const event of ordered) note(event)
      },
    },
  )
  tell('ready')
  await told()
  if (subscription.state === 'failed') throw subscription.error
  await subscription.stop()
  await store.close()
  tell('report', { handled })
})
