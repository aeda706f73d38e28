import type { RecordedEvent } from '../../src/model/index.ts'

/** One acknowledged append of the batch writers. */
export interface Acknowledged {
  readonly batch: string
  readonly size: number
  readonly stream: string
  readonly version: number
  /** 0: not known. */
  readonly position: number
}

/** The lines that the batch writers wrote; the last one may be cut. */
export function readLedger(text: string): Acknowledged[] {
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n')
  return lines.slice(0, -1).map((line) => {
    const [writer, batch, size, stream = '', version, position] = line.split(' ')
    return {
      batch: `${writer} ${batch}`,
      size: Number(size),
      stream,
      version: Number(version),
      position: Number(position),
    }
  })
}

interface Batch {
  readonly events: RecordedEvent[]
  readonly size: number
}

/** What is wrong with the log, seen beside what was acknowledged; empty when nothing is. */
export function auditLog(log: readonly RecordedEvent[], ledger: readonly Acknowledged[]): string[] {
  const wrong: string[] = []
  const ids = new Set<string>()
  const versions = new Map<string, number>()
  const batches = new Map<string, Batch>()
  let last = 0
  for (const event of log) {
    const { stream, version, position, id } = event
    const data = event.data as { writer: string; batch: number; size: number; index: number }
    if (ids.has(id)) wrong.push(`id ${id} is there twice`)
    ids.add(id)
    const expected = (versions.get(stream) ?? 0) + 1
    if (version !== expected) wrong.push(`${stream} has version ${version} after ${expected - 1}`)
    versions.set(stream, version)
    if (position <= last) wrong.push(`position ${position} comes after ${last}`)
    last = position
    const name = `${data.writer} ${data.batch}`
    const batch = batches.get(name) ?? { events: [], size: data.size }
    if (data.index !== batch.events.length)
      wrong.push(`batch ${name}: event ${data.index} displaced`)
    batch.events.push(event)
    batches.set(name, batch)
  }
  for (const [name, { events, size }] of batches) {
    if (events.length !== size) wrong.push(`batch ${name} has ${events.length} of ${size} events`)
  }
  for (const { batch, size, version, position } of ledger) {
    const stored = batches.get(batch)
    const end = stored?.events.at(-1)
    if (end === undefined || stored?.events.length !== size) {
      wrong.push(`acknowledged batch ${batch} is lost`)
    } else if (position !== 0 && (end.version !== version || end.position !== position)) {
      wrong.push(`batch ${batch} was acknowledged as ${version}@${position}, is elsewhere`)
    }
  }
  return wrong
}
