import { isEventualiError, openStore } from '../../src/index.ts'
import { programInput, runProgram, tell } from '../harness/program.ts'
import { sumsOf } from '../harness/sums.ts'

/** What the test asks of a program that has a package, or has not. */
export interface MissingCodecInput {
  readonly url: string
  readonly task: 'write' | 'read'
}

/** What a program without the package met. */
export interface MissingCodecReport {
  readonly opening: string
  readonly reading: string
  readonly sum: number
  readonly used: number
  readonly damaged: number
  readonly problem: string
}

const Sums = sumsOf((n) => n)
const snappy = { compress: { with: 'snappy', above: 0 } } as const
const snapshots = { every: 1, checkRate: 0, codec: snappy }

async function write(url: string): Promise<void> {
  const plain = await openStore(url, { snapshots })
  for (let n = 1; n <= 5; n++) await plain.aggregate(Sums).execute('1', 'add', n)
  await plain.snapshots.settled()
  await plain.snapshots.take(Sums, '1')
  await plain.close()
  const packed = await openStore(url, { codec: snappy })
  await packed.append('packed-1', { type: 'Noted', data: { text: 'text '.repeat(100) } })
  await packed.close()
}

async function read(url: string): Promise<MissingCodecReport> {
  const failing = async (work: () => Promise<unknown>) => {
    try {
      await work()
      return 'nothing'
    } catch (error) {
      return isEventualiError(error) ? `${error.code}: ${error.message}` : String(error)
    }
  }
  const opening = await failing(async () => (await openStore(url, { codec: snappy })).close())
  const store = await openStore(url, { snapshots: { ...snapshots, codec: {} } })
  const reading = await failing(() => store.readStream('packed-1').toArray())
  for (let n = 0; n < 2; n++) {
    await store.aggregate(Sums).load('1')
    await store.snapshots.settled()
  }
  const { state } = await store.aggregate(Sums).load('1')
  await store.append('packed-1', { type: 'Noted', data: { text: 'plain' } })
  const { used, damaged, problem } = store.snapshots.stats
  await store.close()
  return { opening, reading, sum: state.sum, used, damaged, problem: String(problem) }
}

runProgram(async () => {
  const { url, task } = programInput<MissingCodecInput>()
  if (task === 'write') await write(url)
  tell('done', task === 'read' ? await read(url) : undefined)
})
