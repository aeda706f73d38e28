import process from 'node:process'
import { openStore, replay } from '../../src/index.ts'
import { placeOfFork } from '../harness/fork-place.ts'
import { programInput, runProgram, tell } from '../harness/program.ts'

/** What the test tells the program that forks. */
export interface ForkWorkerInput {
  readonly url: string
  readonly into: string
  /** Dies at this part of the copy; the test ends it otherwise, or nobody does. */
  readonly dieAtPart?: number | undefined
  /** Planted: copies into the store that the fork is to be, event by event. */
  readonly inTheOpen?: boolean | undefined
}

runProgram(async () => {
  const { url, into, dieAtPart, inTheOpen } = programInput<ForkWorkerInput>()
  const store = await openStore(url)
  let part = 0
  const onProgress = () => {
    if (++part === dieAtPart) process.kill(process.pid, 'SIGKILL')
  }
  tell('begins', null)
  if (inTheOpen === true) {
    const target = await openStore(placeOfFork(url, into))
    await replay(store, { into: { store: target }, onProgress })
    await target.close()
  } else await store.fork({ into, onProgress })
  tell('forked', null)
  await store.close()
})
