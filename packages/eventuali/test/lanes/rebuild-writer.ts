import { setTimeout as sleep } from 'node:timers/promises'
import { openStore } from '../../src/index.ts'
import { programInput, runProgram, tell } from '../harness/program.ts'
import { januaryLines } from './rebuild-flights.ts'

/** Another process that appends the rest of January while a read model is rebuilt. */
export interface RebuildWriterInput {
  readonly url: string
  /** Line to begin with. */
  readonly from: number
}

const input = programInput<RebuildWriterInput>()

runProgram(async () => {
  const store = await openStore(input.url)
  let isOver = false
  let last = 0
  process.once('message', () => {
    isOver = true
  })
  for await (const line of januaryLines(input.from, Number.POSITIVE_INFINITY)) {
    const { stream, type, data } = JSON.parse(line)
    last = (await store.append(stream, { type, data })).position
    if (isOver) break
    // January has to last until the last rebuild, however fast the disk is.
    await sleep(1)
  }
  await store.close()
  tell('over', last)
})
