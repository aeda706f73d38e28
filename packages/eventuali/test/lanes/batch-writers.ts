import { openStore } from '../../src/index.ts'
import { seededRandom } from '../../src/kernel/index.ts'
import { programInput, runProgram, tell, told, writeLine } from '../harness/program.ts'

/** Writers that append batches for as long as they live, and note what was acknowledged. */
export interface BatchWritersInput {
  readonly url: string
  readonly seed: number
  /** Names of the writers of this process. */
  readonly writers: readonly string[]
  readonly streamCount: number
  readonly batchCountMax: number
  /** Planted bugs, which the test must find. */
  readonly mutant?: 'acknowledges-early' | 'not-atomic' | undefined
  readonly timeoutMs?: number | undefined
}

const input = programInput<BatchWritersInput>()

runProgram(async () => {
  tell('ready')
  await told()
  const store = await openStore(input.url)
  tell('open')
  const writer = async (name: string, number: number): Promise<void> => {
    const random = seededRandom(input.seed + number)
    for (let batch = 1; ; batch++) {
      const size = 1 + Math.floor(random.next() * input.batchCountMax)
      const stream = `ledger-${1 + Math.floor(random.next() * input.streamCount)}`
      const filler = 'x'.repeat(Math.floor(random.next() * 200))
      const events = Array.from({ length: size }, (_, index) => ({
        type: 'Noted',
        data: { writer: name, batch, size, index, filler },
      }))
      const acknowledge = (version: number, position: number): void => {
        writeLine(`${name} ${batch} ${size} ${stream} ${version} ${position}`)
      }
      if (input.mutant === 'acknowledges-early') {
        const head = await store.stream(stream)
        acknowledge((head?.version ?? 0) + size, 0)
      }
      if (input.mutant === 'not-atomic') {
        for (const event of events.slice(0, -1)) await store.append(stream, event)
        events.splice(0, events.length - 1)
      }
      const { timeoutMs } = input
      const { version, position } = await store.append(stream, events, { timeoutMs })
      if (input.mutant === undefined) acknowledge(version, position)
    }
  }
  await Promise.all(input.writers.map(writer))
})
