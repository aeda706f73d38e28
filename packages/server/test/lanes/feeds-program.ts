import { openStore } from 'eventuali'
import { programInput, runProgram, tell } from '../../../eventuali/test/harness/program.ts'
import { serve } from '../../src/index.ts'
import { type FeedBug, withFeedBug } from './feeds-planted.ts'

/** A server of its own, so that its memory is nobody else's. */
export interface FeedsInput {
  readonly url: string
  /** Milliseconds after which a feed that takes nothing is cut off. */
  readonly stallMs: number
  readonly bug?: FeedBug | undefined
}

/** What the server takes after a collection of garbage. */
export interface FeedsMemory {
  readonly residentBytes: number
  /** Heap, and buffers beside it. */
  readonly heldBytes: number
}

const { url, stallMs, bug } = programInput<FeedsInput>()
function memory(): FeedsMemory {
  if (globalThis.gc === undefined) throw new Error('needs --expose-gc')
  globalThis.gc({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  const { rss, heapUsed, external } = process.memoryUsage()
  return { residentBytes: rss, heldBytes: heapUsed + external }
}

runProgram(async () => {
  const store = await openStore(url, { profile: 'relaxed' })
  const running = await serve(store, {
    port: 0,
    limits: { stallMs, rate: false },
    onError: (error) => tell('failed', String(error)),
  })
  if (bug !== undefined) withFeedBug(running.server, bug)
  tell('listening', running.port)
  for (;;) {
    const asked = await new Promise((resolve) => process.once('message', resolve))
    if (asked === 'end') break
    tell('memory', memory())
  }
  await running.close()
  await store.close()
})
