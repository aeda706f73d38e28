import { tagHash } from '../sql/index.ts'
import type { Session } from './session.ts'

/** Removes the rows of a stream below a version, with what indexes know of them. */
export function removeBelow({ sql }: Session, streamId: number, before: number): void {
  for (const [position, tags] of sql.taggedBelow.all(streamId, before)) {
    for (const tag of JSON.parse(tags as string) as string[]) {
      sql.deleteTag.run(tagHash(tag), position as number)
    }
  }
  sql.deleteBelow.run(streamId, before)
}
