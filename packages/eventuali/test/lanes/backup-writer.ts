import { setTimeout as pause } from 'node:timers/promises'
import { openStore, type Store, seededRandom } from '../../src/index.ts'
import { programInput, runProgram, tell, told } from '../harness/program.ts'

/** What the test tells the program that keeps a store busy. */
export interface BackupWriterInput {
  readonly url: string
  readonly seed: number
}

const writerCount = 6
const streamCount = 40

/** A failure on purpose: what was drawn for it leaves a gap in the log. */
class GivenUp extends Error {}

async function write(store: Store, random: () => number, number: number): Promise<void> {
  const stream = `s-${Math.floor(random() * streamCount)}`
  const event = { type: 'Noted', data: { number, text: 'la '.repeat(random() * 60) } }
  const kind = random()
  if (kind < 0.7) {
    const events = Array.from({ length: 1 + Math.floor(random() * 4) }, () => event)
    await store.append(stream, events, { recreate: true })
  } else if (kind < 0.8) {
    // Open for a while, so that others commit above it; half of them never do.
    await store.transaction(async (tx) => {
      await tx.append(stream, event)
      await pause(random() * 15)
      if (random() < 0.5) throw new GivenUp()
    })
  } else if (kind < 0.88) {
    const head = await store.stream(stream)
    if (head !== undefined) await store.truncate(stream, { before: head.version - 2 })
  } else if (kind < 0.93) await store.deleteStream(stream)
  else await store.archive(stream, { undo: random() < 0.7 })
}

runProgram(async () => {
  const { url, seed } = programInput<BackupWriterInput>()
  const store = await openStore(url, { profile: 'relaxed' })
  let [stopped, count] = [false, 0]
  const consumer = store.subscribe({ name: 'mails' }, async () => {})
  const writers = Array.from({ length: writerCount }, async (_, writer) => {
    const random = seededRandom(seed + writer)
    for (let number = 0; !stopped; number++) {
      // Most are refused for the state that a stream happens to be in.
      await write(store, () => random.next(), number).catch((error: { code?: unknown }) => {
        const isExpected = error instanceof GivenUp || typeof error.code === 'string'
        if (!isExpected) throw error
      })
      if (++count === 150) tell('busy', null)
    }
  })
  await told()
  stopped = true
  await Promise.all(writers)
  await consumer.stop()
  await store.close()
  tell('stopped', count)
})
