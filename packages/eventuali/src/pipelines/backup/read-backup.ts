import { BackupInvalidError, type KeptRow } from '../../model/index.ts'
import type { BackupFile } from './backup-file.ts'
import { FrameReader, parsed, type ReadingOptions, readBegin } from './frame-reader.ts'
import { frameKinds } from './frames.ts'
import { type KeptRecord, recordOf, rowOf } from './lines.ts'

/** A part of a backup, in its order: rows first, then records. */
export interface BackupPart {
  readonly rows: readonly KeptRow[]
  readonly records: readonly KeptRecord[]
  /** Bytes of the file that were read so far. */
  readonly bytesRead: number
}

const linesOf = (text: string): readonly string[] => text.split('\n')

/**
 * The parts of one file, each checked before it is handed over. That the file is whole is known
 * when the last one was taken: BackupInvalidError, as for all that is not what was written.
 */
export async function* partsOf(
  { file, from, upTo, link }: Pick<BackupFile, 'file' | 'from' | 'upTo' | 'link'>,
  options: ReadingOptions,
): AsyncGenerator<BackupPart, void, void> {
  const reader = await FrameReader.open(file, options)
  const refuse = (reason: string) => new BackupInvalidError(file, reason)
  try {
    await readBegin(file, reader)
    let [events, records, last] = [0, 0, from]
    for (;;) {
      const { kind, text } = await reader.next()
      if (kind === frameKinds.end) {
        const end = parsed(file, text, (line) => JSON.parse(line) as BackupFile)
        reader.assertEnd()
        const isWhole = end.events === events && end.records === records
        if (!isWhole) throw refuse('it holds another number of events than it says')
        if (reader.link !== link) throw refuse('it was changed while it was read')
        return
      }
      const { bytesRead } = reader
      if (kind === frameKinds.events) {
        const rows = linesOf(text).map((line) => parsed(file, line, rowOf))
        for (const { position } of rows) {
          if (position <= last || position > upTo) throw refuse('its events are not in order')
          last = position
        }
        events += rows.length
        yield { rows, records: [], bytesRead }
      } else if (kind === frameKinds.records) {
        const part = linesOf(text).map((line) => parsed(file, line, recordOf))
        records += part.length
        yield { rows: [], records: part, bytesRead }
      } else throw refuse('a part of it stands where it cannot')
    }
  } finally {
    await reader.close()
  }
}
