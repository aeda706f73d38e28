import { rmSync } from 'node:fs'
import { publishFile } from '../../kernel/index.ts'
import { ForkTargetExistsError } from '../../model/index.ts'
import type { ForkOutcome, ForkRequest } from '../../ports/index.ts'
import { configureReader } from './database.ts'
import type { SqlConnection } from './driver.ts'
import { type ForkParts, targetFile } from './fork.ts'
import { incarnationOf } from './migrations.ts'

const newest = 'SELECT last_position FROM eventuali_head WHERE only_row = 1'
const renamed = "UPDATE eventuali_meta SET value = ? WHERE key = 'incarnation'"
/** A lease is of a program that has the other file open. */
const leases = "DELETE FROM eventuali_records WHERE kind = 'worker'"
const named = `UPDATE eventuali_records SET value = json_set(value, '$.incarnation', ?)
  WHERE json_valid(value) AND json_extract(value, '$.incarnation') = ?`
const owned = `UPDATE eventuali_records
  SET value = json_set(value, '$.owner', NULL, '$.epoch', json_extract(value, '$.epoch') + 1)
  WHERE kind = 'partition' AND json_valid(value)`

/**
 * Copies the file page by page as it stands, read models and all, and gives it its name when it is
 * complete and on disk. The copy is a log of its own: checkpoints in it name its incarnation.
 */
export async function copyWhole(parts: ForkParts, request: ForkRequest): Promise<ForkOutcome> {
  const { incarnation, deadline, free, copy } = parts
  const file = targetFile(request.into)
  const unfinished = `${file}.${incarnation}.unfinished`
  const source = parts.openSource()
  try {
    await free(() => configureReader(source))
    source.exec('BEGIN')
    // The first read is where the copy stands still: what others commit later is not in it.
    const position = await free(() => Number(source.prepare(newest).get()?.[0]))
    await copy(source, unfinished, (share) => {
      deadline.signal?.throwIfAborted()
      parts.assertOpen()
      request.onProgress?.(Math.floor(share * position))
    })
    request.onProgress?.(position)
    deadline.signal?.throwIfAborted()
    const outcome = { ...makeOwn(parts, unfinished), position }
    if (!publishFile(unfinished, file)) throw new ForkTargetExistsError(file)
    return outcome
  } finally {
    source.close()
    for (const end of ['', '-wal', '-shm', '-journal'])
      rmSync(`${unfinished}${end}`, { force: true })
  }
}

function makeOwn({ open, incarnation }: ForkParts, file: string): ForkOutcome {
  const made = open(file)
  try {
    // Without it a file beside this one would be a part of it.
    made.prepare('PRAGMA journal_mode = DELETE').get()
    const before = incarnationOf(made)
    made.exec('BEGIN IMMEDIATE')
    made.prepare(renamed).run(incarnation)
    made.prepare(leases).run()
    made.prepare(named).run(incarnation, before)
    made.prepare(owned).run()
    made.exec('COMMIT')
    const events = countOf(made, 'eventuali_events')
    const streams = countOf(made, 'eventuali_streams')
    return { incarnation, events, streams, reduced: [], reducedCount: 0 }
  } finally {
    made.close()
  }
}

function countOf(connection: SqlConnection, table: string): number {
  return Number(connection.prepare(`SELECT count(*) FROM ${table}`).get()?.[0])
}
