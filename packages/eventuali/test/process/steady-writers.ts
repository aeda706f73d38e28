import { openStore } from '../../src/index.ts'
import { programInput, runProgram, tell, told } from '../harness/program.ts'

/** Writers of one process that append as fast as they can whenever they are told to. */
export interface SteadyWritersInput {
  readonly url: string
  readonly callers: number
  readonly name: string
}

/** A round to write in. */
export interface SteadyRound {
  readonly durationMs: number
}

const input = programInput<SteadyWritersInput>()

runProgram(async () => {
  const store = await openStore(input.url)
  const caller = async (n: number, endAt: number): Promise<number> => {
    let count = 0
    while (performance.now() < endAt) {
      await store.append(`${input.name}-${n}`, { type: 'Noted', data: { count: count++ } })
    }
    return count
  }
  tell('ready')
  for (;;) {
    const { durationMs } = await told<SteadyRound>()
    if (durationMs === 0) break
    const endAt = performance.now() + durationMs
    const counts = Array.from({ length: input.callers }, (_, n) => caller(n, endAt))
    tell(
      'count',
      (await Promise.all(counts)).reduce((sum, count) => sum + count, 0),
    )
  }
  await store.close()
})
