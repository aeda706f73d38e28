import { openStore } from '../../src/index.ts'
import { programInput, runProgram, tell, told } from '../harness/program.ts'

/** A process that only subscribes. */
export interface ListenerInput {
  readonly url: string
}

/** When each event was handled, by the clock that all processes of a machine share. */
export interface ListenerReport {
  readonly handledAtMs: readonly (readonly [number: number, atMs: number])[]
}

const input = programInput<ListenerInput>()

runProgram(async () => {
  const store = await openStore(input.url)
  const handledAtMs: [number, number][] = []
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>()
  const subscription = store.subscribe({}, (event) => {
    if (event.type === 'Finished') finish()
    else handledAtMs.push([Number(event.data), Number(process.hrtime.bigint()) / 1e6])
  })
  tell('ready')
  await told()
  // Longer than any poll's back-off, so that what is measured is a subscription at rest.
  await new Promise((resolve) => setTimeout(resolve, 1000))
  const before = process.cpuUsage()
  await new Promise((resolve) => setTimeout(resolve, 5000))
  const { user, system } = process.cpuUsage(before)
  tell('idle', (user + system) / 1000 / 5000)
  await finished
  const report: ListenerReport = { handledAtMs }
  tell('report', report)
  await subscription.stop()
  await store.close()
})
