import process from 'node:process'
import {
  backupStore,
  restoreBackup,
  systemClock,
  systemRandom,
  uuidV7Source,
} from '../../src/index.ts'
import { openAdapter } from '../../src/store/adapters.ts'
import { wrapStore } from '../../src/testing/index.ts'
import { programInput, runProgram, tell } from '../harness/program.ts'

/** What the test tells the program that makes or restores a backup, and dies of it. */
export interface BackupWorkerInput {
  readonly does: 'backup' | 'restore'
  readonly url: string
  readonly file: string
  /** Dies at this part of the log, before it is written or put back or after it; or never. */
  readonly dieAt?: number | undefined
  readonly after?: boolean | undefined
}

runProgram(async () => {
  const { does, url, file, dieAt, after } = programInput<BackupWorkerInput>()
  const ids = uuidV7Source(systemClock, systemRandom)
  const sources = { clock: systemClock, random: systemRandom, ids }
  const adapter = await openAdapter(url, { restoring: does === 'restore' }, sources)
  let parts = 0
  const part = (isOver: boolean): void => {
    if (!isOver) parts++
    if (parts === dieAt && isOver === (after ?? false)) process.kill(process.pid, 'SIGKILL')
  }
  const store = wrapStore(adapter, {
    restore: async (tx, request, options) => {
      part(false)
      await tx.restore(request, options)
      part(true)
    },
  })
  const onProgress = (): void => part(false)
  if (does === 'backup') await backupStore(store, { out: file, resume: true, onProgress })
  else tell('restored', (await restoreBackup(store, [file])).resumedAfter)
  await store.close()
})
