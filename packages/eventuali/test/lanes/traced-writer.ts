import { openSync, writeSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { openStore, type Store } from '../../src/index.ts'
import { seededRandom } from '../../src/kernel/index.ts'
import { programInput, runProgram } from '../harness/program.ts'

/** A writer whose system calls are recorded. */
export interface TracedWriterInput {
  readonly file: string
  readonly marks: string
  readonly seed: number
  readonly profile: 'durable' | 'relaxed'
  /** `ledger`: batches for a while. `groups`: rounds of 32 callers, then of one. */
  readonly job: 'ledger' | 'groups'
  readonly rounds: number
  /** Pages in the write-ahead log before they are copied back. */
  readonly checkpointPages: number
  /** Planted bug: writes its mark before the append resolved. */
  readonly mutant?: 'marks-early' | undefined
}

const input = programInput<TracedWriterInput>()
const marks = openSync(input.marks, 'w')
let markAt = 0

/** By position, so that it is the same system call as the database's own writes. */
function mark(text: string): void {
  markAt += writeSync(marks, `${text}\n`, markAt)
}

async function writeLedger(store: Store): Promise<void> {
  const random = seededRandom(input.seed)
  let batch = 0
  const one = async (): Promise<void> => {
    const name = ++batch
    const size = 1 + Math.floor(random.next() * 12)
    const stream = `ledger-${1 + Math.floor(random.next() * 5)}`
    const filler = 'x'.repeat(Math.floor(random.next() * 400))
    const events = Array.from({ length: size }, (_, index) => ({
      type: 'Noted',
      data: { writer: 'w', batch: name, size, index, filler },
    }))
    if (input.mutant === 'marks-early') {
      const head = await store.stream(stream)
      mark(`w ${name} ${size} ${stream} ${(head?.version ?? 0) + size} 0`)
    }
    const { version, position } = await store.append(stream, events)
    if (input.mutant === undefined) mark(`w ${name} ${size} ${stream} ${version} ${position}`)
  }
  for (let round = 0; round < input.rounds; round++) {
    const callers = 1 + Math.floor(random.next() * 3)
    await Promise.all(Array.from({ length: callers }, one))
  }
}

async function writeGroups(store: Store): Promise<void> {
  const append = (n: number) => store.append(`group-${n}`, { type: 'Noted', data: { n } })
  // The first write into a log also syncs the log's own head.
  await append(0)
  mark('begin')
  for (let round = 0; round < input.rounds; round++) {
    await Promise.all(Array.from({ length: 32 }, (_, n) => append(n)))
    mark('group of 32')
  }
  for (let round = 0; round < input.rounds; round++) {
    await append(0)
    mark('one')
  }
}

runProgram(async () => {
  const store = await openStore(`sqlite:${input.file}`, { profile: input.profile })
  await store.transaction(async (tx) => {
    const connection = tx.sql as DatabaseSync
    connection.exec(`PRAGMA wal_autocheckpoint = ${input.checkpointPages}`)
  })
  await (input.job === 'ledger' ? writeLedger(store) : writeGroups(store))
  // No close: it would copy everything back at the end, which is a shutdown and not a crash.
  mark('end')
  process.exit(0)
})
