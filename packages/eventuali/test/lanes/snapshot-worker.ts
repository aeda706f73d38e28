import process from 'node:process'
import { openHooked } from '../harness/hooked-store.ts'
import { programInput, runProgram } from '../harness/program.ts'
import { sumsOf } from '../harness/sums.ts'

/** What the test tells the program that commands aggregates. */
export interface SnapshotWorkerInput {
  readonly url: string
  readonly every: number
  readonly streamCount: number
  /** Dies at the moment when it comes for the `count`th time. */
  readonly dies: {
    readonly when: 'appended' | 'before' | 'written' | 'kept'
    readonly count: number
  }
  /** Planted: what the handlers refer to is not what it will be afterwards. */
  readonly heavy?: boolean | undefined
}

const CALLERS = 3
const COMMANDS_MAX = 500

runProgram(async () => {
  const { url, every, streamCount, dies, heavy } = programInput<SnapshotWorkerInput>()
  let seen = 0
  const dieAt = (when: SnapshotWorkerInput['dies']['when']) => {
    if (dies.when === when && ++seen === dies.count) process.kill(process.pid, 'SIGKILL')
  }
  let isKeeping = false
  const store = await openHooked(
    url,
    {
      append: async (next, request, options) => {
        const outcome = await next.append(request, options)
        // Committed and not yet told: a state of it is kept by nobody.
        dieAt('appended')
        return outcome
      },
      transaction: async (next, work, options) => {
        const result = await next.transaction(work, options)
        if (isKeeping) dieAt('kept')
        isKeeping = false
        return result
      },
      records: {
        write: async (next, changes, options) => {
          const keeps = changes.some(
            ({ kind, value }) => kind === 'snapshot' && value !== undefined,
          )
          if (keeps) dieAt('before')
          const revisions = await next.write(changes, options)
          if (keeps) dieAt('written')
          isKeeping ||= keeps
          return revisions
        },
      },
    },
    { snapshots: { every, keep: 2 } },
  )
  const sums = store.aggregate(sumsOf((n) => (heavy === true ? 2 * n : n)))
  const caller = async (at: number) => {
    for (let n = 1; n <= COMMANDS_MAX; n++) {
      const id = String((at + n) % streamCount)
      const { version } = await sums.execute(id, 'add', n)
      // To a pipe this is done when it returns: it survives the kill.
      process.stdout.write(`${id} ${version} ${n}\n`)
    }
  }
  await Promise.all(Array.from({ length: CALLERS }, (_, at) => caller(at)))
  await store.close()
})
