import { codecOf, type EncodedEvent } from '../../model/index.ts'
import { tagHash } from '../sql/index.ts'
import type { SqlInput } from './driver.ts'
import { flagIdGiven, flagLarge, largeEventBytes } from './rows.ts'
import { insertBody, insertRows, rowsAtOnce, type Session } from './session.ts'

/** An event with the numbers that it has in the log. */
export interface NumberedEvent {
  readonly position: number
  /** The stream's. */
  readonly streamId: number
  readonly version: number
  readonly typeId: number
  readonly tenant: string | null
  readonly event: EncodedEvent
}

/**
 * Writes the rows of one append, in the order of their positions, which is what the table is sorted
 * by. Several share a statement, since a call of the driver costs as much as a row; a lone event's
 * is written at once.
 */
export class EventRows {
  readonly #session: Session
  readonly #recordedAt: number
  readonly #isShared: boolean
  #values: SqlInput[] = []
  #gathered = 0

  constructor(session: Session, recordedAt: number, rowCount: number) {
    this.#session = session
    this.#recordedAt = recordedAt
    this.#isShared = rowCount >= rowsAtOnce
  }

  insert(row: NumberedEvent): void {
    const { event, position, typeId } = row
    if (event.body !== undefined) this.#insertBody(row, event.body)
    else if (this.#isShared) this.#gather(row)
    else this.#insertPlain(row)
    for (const tag of event.tags) this.#session.sql.insertTag.run(tagHash(tag), position, typeId)
  }

  /** Writes what waits for others. Call it after the last row. */
  end(): void {
    const width = this.#values.length / this.#gathered
    for (let from = 0; from < this.#values.length; from += width) {
      this.#session.sql.insertEvent.run(...this.#values.slice(from, from + width))
    }
    this.#values = []
    this.#gathered = 0
  }

  #gather({ position, streamId, version, typeId, tenant, event }: NumberedEvent): void {
    const { id, time, schemaVersion, checksum, data } = event
    this.#values.push(position, streamId, version, typeId, id, time, this.#recordedAt)
    this.#values.push(schemaVersion, flagsOf(event), checksum, tenant)
    this.#values.push(textOrNull(event.tagsText), textOrNull(event.metadata), data)
    if (++this.#gathered < rowsAtOnce) return
    const values = this.#values
    this.#values = []
    this.#gathered = 0
    this.#session.prepare(insertRows).run(...values)
  }

  #insertPlain({ position, streamId, version, typeId, tenant, event }: NumberedEvent): void {
    this.#session.sql.insertEvent.run(
      position,
      streamId,
      version,
      typeId,
      event.id,
      event.time,
      this.#recordedAt,
      event.schemaVersion,
      flagsOf(event),
      event.checksum,
      tenant,
      textOrNull(event.tagsText),
      textOrNull(event.metadata),
      event.data,
    )
  }

  #insertBody(row: NumberedEvent, body: Uint8Array): void {
    this.end()
    const { position, streamId, version, typeId, tenant, event } = row
    this.#session
      .prepare(insertBody)
      .run(
        position,
        streamId,
        version,
        typeId,
        event.id,
        event.time,
        this.#recordedAt,
        event.schemaVersion,
        codecOf(body),
        flagsOf(event),
        event.checksum,
        tenant,
        textOrNull(event.tagsText),
        textOrNull(event.metadata),
        body,
      )
  }
}

function flagsOf({ idGiven, bytes }: EncodedEvent): number {
  return (idGiven ? flagIdGiven : 0) + (bytes >= largeEventBytes ? flagLarge : 0)
}

function textOrNull(text: string): string | null {
  return text === '' ? null : text
}
