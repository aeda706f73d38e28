import { checksumOf } from '../../src/model/index.ts'
import type { Campaign } from './campaign.ts'
import {
  type Bed,
  changedText,
  followsStream,
  type Planted,
  type Planter,
  type Row,
} from './planter.ts'

/** An event's row, with the names of its stream and type. */
export interface EventRow {
  readonly position: number
  readonly stream: string
  readonly version: number
  readonly row: Row
}

/** The events of streams that no fault of the round has touched. */
export async function eventsOf(bed: Bed, taken: ReadonlySet<string>): Promise<readonly EventRow[]> {
  const { events, streams, types, stream, type } = bed.names
  const rows = await bed.sql(
    `SELECT e.*, s.name AS stream_name, t.name AS type_name, s.version AS head, s.state AS state,
       s.first_version AS first
     FROM ${events} e JOIN ${streams} s ON s.id = e.${stream} JOIN ${types} t ON t.id = e.${type}
     ORDER BY e.position`,
  )
  return rows
    .map((row) => ({
      position: Number(row.position),
      stream: String(row.stream_name),
      version: Number(row.version),
      row,
    }))
    .filter((event) => !taken.has(event.stream))
}

const textOf = (value: unknown): string =>
  typeof value === 'string' ? value : value === null ? '' : JSON.stringify(value)

/** The checksum that the row has to have, so that only its place gives it away. */
function checksumFor({ row, stream }: EventRow, change: Row = {}): number {
  const now = { ...row, ...change }
  return checksumOf(stream, {
    id: String(now.id),
    type: String(now.type_name),
    data: textOf(now.data),
    metadata: textOf(now.metadata),
    time: Number(now.time),
    schemaVersion: Number(now.schema_version),
    tagsText: textOf(now.tags),
  })
}

/** A fault that is found by a problem of some kind, at the event or its stream. */
export function found(
  name: string,
  { stream, position }: EventRow,
  kinds: readonly string[],
  isThere: (problem: Parameters<Planted['isFoundBy']>[0]) => boolean,
): Planted {
  return {
    name: `${name} of ${stream} at ${position}`,
    subjects: [stream],
    isFoundBy: (problem) => kinds.includes(problem.kind) && isThere(problem),
    mayCause: followsStream(stream),
  }
}

type Change = (run: Campaign, event: EventRow) => Row | undefined

/** Changes columns of one event; its checksum gives it away. */
function changes(name: string, change: Change): Planter {
  return {
    name,
    refolds: false,
    plant: async (run, bed, taken) => {
      const { events } = bed.names
      for (const event of shuffled(run, await eventsOf(bed, taken))) {
        const columns = change(run, event)
        if (columns === undefined) continue
        const set = Object.keys(columns).map((column, i) => `${column} = $${i + 2}`)
        const text = `UPDATE ${events} SET ${set.join(', ')} WHERE position = $1`
        await bed.sql(text, event.position, ...Object.values(columns))
        return found(name, event, ['checksum'], ({ position }) => position === event.position)
      }
      return undefined
    },
  }
}

/** The same items in an order of chance. */
export function shuffled<T>(run: Campaign, items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, place: run.random.next() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item)
}

function changedColumn(column: string): Change {
  return (run, { row }) => {
    if (row[column] === null) return undefined
    const text = changedText(run, textOf(row[column]))
    return text === undefined ? undefined : { [column]: text }
  }
}

/** Two neighbours of a stream that is not otherwise special. */
async function neighbours(
  run: Campaign,
  bed: Bed,
  taken: ReadonlySet<string>,
): Promise<readonly [EventRow, EventRow] | undefined> {
  const events = await eventsOf(bed, taken)
  for (const event of shuffled(run, events)) {
    const next = events.find(
      ({ stream, version }) => stream === event.stream && version === event.version + 1,
    )
    if (next !== undefined && event.stream.startsWith('sale-')) return [event, next]
  }
  return undefined
}

async function remove(bed: Bed, { position }: EventRow): Promise<void> {
  const { events, tags } = bed.names
  await bed.sql(`DELETE FROM ${events} WHERE position = $1`, position)
  await bed.sql(`DELETE FROM ${tags} WHERE position = $1`, position)
}

/** Faults of rows of events. */
export const eventPlanters: readonly Planter[] = [
  changes('a byte of data', changedColumn('data')),
  changes('a byte of metadata', changedColumn('metadata')),
  changes('a byte of the id', (run, { row }) => {
    const text = changedText(run, String(row.id))
    return text === undefined ? undefined : { id: text }
  }),
  changes('the time', (run, { row }) => ({ time: Number(row.time) + run.between(1, 1e6) })),
  changes('the schema version', (_run, { row }) => ({
    schema_version: Number(row.schema_version) + 1,
  })),
  changes('the checksum', (run, { row }) => ({
    checksum: (Number(row.checksum) ^ (1 << run.between(0, 30))) >>> 0,
  })),
  changes('the codec', (run) => ({ codec: run.pick([1, 16, 17, 32, 33]) })),
  changes('metadata that was not there', (_run, { row }) =>
    row.metadata === null ? { metadata: '{"actor":"mallory"}' } : undefined,
  ),
  changes('data of another event', (_run, { row }) => ({
    data: textOf(row.data).includes('"shop-1"') ? '{}' : '{"shop":"shop-1"}',
  })),
  {
    name: 'the type',
    refolds: false,
    plant: async (run, bed, taken) => {
      const { events, types, type } = bed.names
      const event = run.pick(await eventsOf(bed, taken))
      const others = await bed.sql(`SELECT id FROM ${types} WHERE id <> $1`, event.row[type])
      const text = `UPDATE ${events} SET ${type} = $2 WHERE position = $1`
      await bed.sql(text, event.position, run.pick(others).id)
      return found('the type', event, ['checksum'], (one) => one.position === event.position)
    },
  },
  {
    name: 'a missing event',
    refolds: false,
    plant: async (run, bed, taken) => {
      const pair = await neighbours(run, bed, taken)
      if (pair === undefined) return undefined
      await remove(bed, pair[0])
      return found(
        'a missing event',
        pair[0],
        ['head', 'version'],
        ({ stream }) => pair[0].stream === stream,
      )
    },
  },
  {
    name: 'a missing newest event',
    refolds: false,
    plant: async (run, bed, taken) => {
      const events = await eventsOf(bed, taken)
      const last = run.pick(events.filter(({ version, row }) => Number(row.head) === version))
      await remove(bed, last)
      const isThere = ({ stream }: { readonly stream?: string | undefined }) =>
        stream === last.stream
      return found('a missing newest event', last, ['head', 'version'], isThere)
    },
  },
  {
    name: 'swapped versions',
    refolds: false,
    plant: async (run, bed, taken) => {
      const pair = await neighbours(run, bed, taken)
      if (pair === undefined) return undefined
      const [a, b] = pair
      const text = `UPDATE ${bed.names.events} SET version = $2 WHERE position = $1`
      await bed.sql(text, a.position, -1)
      await bed.sql(text, b.position, a.version)
      await bed.sql(text, a.position, b.version)
      return found('swapped versions', a, ['order'], ({ position }) =>
        [a.position, b.position].includes(position ?? -1),
      )
    },
  },
  {
    name: 'an event in another stream',
    refolds: false,
    plant: async (run, bed, taken) => {
      const pair = await neighbours(run, bed, taken)
      if (pair === undefined) return undefined
      const [event] = pair
      const others = await eventsOf(bed, new Set([...taken, event.stream]))
      const other = run.pick(others.filter(({ version, row }) => Number(row.head) === version))
      const { events, stream } = bed.names
      const text = `UPDATE ${events} SET ${stream} = $2, version = $3 WHERE position = $1`
      await bed.sql(text, event.position, other.row[stream], other.version + 1)
      const fault = found(
        'moved to another stream',
        event,
        ['checksum'],
        ({ position }) => position === event.position,
      )
      const [mine, its] = [followsStream(event.stream), followsStream(other.stream)]
      return {
        ...fault,
        subjects: [event.stream, other.stream],
        mayCause: (problem) => mine(problem) || its(problem),
      }
    },
  },
  {
    name: 'an id that is there twice',
    refolds: false,
    plant: async (run, bed, taken) => {
      const pair = await neighbours(run, bed, taken)
      if (pair === undefined) return undefined
      const [a, b] = pair
      // As if the library had drawn it: the index of given ids would refuse it.
      const checksum = checksumFor(b, { id: a.row.id })
      const text = `UPDATE ${bed.names.events} SET id = $2, checksum = $3, flags = 0 WHERE position = $1`
      await bed.sql(text, b.position, a.row.id, checksum)
      return found(
        'an id that is there twice',
        b,
        ['id'],
        ({ position }) => position === b.position,
      )
    },
  },
  {
    name: 'an event that nobody appended',
    refolds: false,
    plant: async (run, bed, taken) => {
      const { events, stream } = bed.names
      const all = await eventsOf(bed, taken)
      const last = run.pick(all.filter(({ version, row }) => Number(row.head) === version))
      const columns = Object.keys(last.row).filter(
        (name) => !['stream_name', 'type_name', 'head', 'state', 'first'].includes(name),
      )
      const fresh = { ...last.row, position: -run.between(1, 1e6), version: last.version + 1 }
      const id = `made-up-${run.between(0, 1e9)}`
      const row = { ...fresh, id, tags: null, flags: 0 } as Row
      const checksum = checksumFor({ ...last, row: { ...row, type_name: last.row.type_name } })
      const values = columns.map((name) => {
        if (name === 'checksum') return checksum
        const value = row[name]
        return typeof value === 'object' && value !== null && !(value instanceof Uint8Array)
          ? JSON.stringify(value)
          : value
      })
      const places = columns.map((_, i) => `$${i + 1}`).join(', ')
      await bed.sql(`INSERT INTO ${events} (${columns.join(', ')}) VALUES (${places})`, ...values)
      const fault = found('an added event', last, ['head'], (one) => one.stream === last.stream)
      return { ...fault, subjects: [last.stream, String(row[stream])] }
    },
  },
]
