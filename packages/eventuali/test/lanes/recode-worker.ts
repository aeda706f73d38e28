import process from 'node:process'
import { openStore, recode } from '../../src/index.ts'
import type { CodecOptions } from '../../src/model/index.ts'
import { wrapStore } from '../../src/testing/index.ts'
import { programInput, runProgram, tell } from '../harness/program.ts'

/** What the test tells the program that recodes. */
export interface RecodeWorkerInput {
  readonly url: string
  readonly codec: CodecOptions
  readonly batchSize: number
  /** Dies at batch number `batch`: before its rows, before its commit, or after it. */
  readonly dies:
    | { readonly when: 'before' | 'written' | 'committed'; readonly batch: number }
    | undefined
  /** Planted: some batches are noted as done and left as they were. */
  readonly skips?: boolean | undefined
}

runProgram(async () => {
  const { url, codec, batchSize, dies, skips } = programInput<RecodeWorkerInput>()
  const store = await openStore(url)
  let batch = 0
  const dieAt = (when: NonNullable<RecodeWorkerInput['dies']>['when']) => {
    if (dies?.when === when && dies.batch === batch) process.kill(process.pid, 'SIGKILL')
  }
  const port = wrapStore(store.port, {
    recode: async (tx, request, options) => {
      batch++
      dieAt('before')
      if (skips === true && batch % 3 === 0) {
        const position = Math.min(request.after + batchSize, request.upTo)
        return { position, seen: batchSize, changed: 0, bytesBefore: 0, bytesAfter: 0 }
      }
      const step = await tx.recode(request, options)
      dieAt('written')
      return step
    },
  })
  const result = await recode(port, { codec, batchSize, onProgress: () => dieAt('committed') })
  tell('recoded', result)
  await store.close()
})
