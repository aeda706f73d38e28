import type { Campaign } from './campaign.ts'
import { type EventRow, eventsOf, found } from './event-planters.ts'
import { type Bed, followsStream, type Planted, type Planter } from './planter.ts'

/** Faults of head rows, of the index of tags and of the counter. */
export const headPlanters: readonly Planter[] = [
  ...([1, -1] as const).map(
    (step): Planter => ({
      name: `a head's version ${step}`,
      refolds: false,
      plant: (run, bed, taken) => changeHead(run, bed, taken, 'version', (value) => value + step),
    }),
  ),
  {
    name: "a head's first version",
    refolds: false,
    plant: (run, bed, taken) => changeHead(run, bed, taken, 'first_version', (value) => value + 1),
  },
  {
    name: "a head's state",
    refolds: false,
    plant: (run, bed, taken) =>
      // Of a truncated stream the event that tells of its state may be gone.
      changeHead(run, bed, taken, 'state', (value) => (value + run.between(1, 2)) % 3, true),
  },
  {
    name: 'a missing head',
    refolds: false,
    plant: async (run, bed, taken) => {
      const { streams, stream } = bed.names
      const event = run.pick(await eventsOf(bed, taken))
      await bed.sql(`DELETE FROM ${streams} WHERE id = $1`, event.row[stream])
      const all = await eventsOf(bed, taken)
      const isGone = !all.some((one) => one.stream === event.stream)
      if (!isGone) throw new Error('the head is still there')
      const fault = found(
        'a missing head',
        event,
        ['head'],
        ({ position }) => position === event.position,
      )
      // Its other events have none either, and have no name to tell.
      return {
        ...fault,
        mayCause: (problem) =>
          fault.mayCause(problem) ||
          (problem.kind === 'head' && problem.stream === undefined) ||
          (problem.kind === 'checksum' && problem.stream === undefined),
      }
    },
  },
  {
    name: 'a renamed stream',
    refolds: false,
    plant: async (run, bed, taken) => {
      const { streams, stream } = bed.names
      const event = run.pick(await eventsOf(bed, taken))
      const name = `${event.stream}x`
      await bed.sql(`UPDATE ${streams} SET name = $2 WHERE id = $1`, event.row[stream], name)
      const fault = found(
        'a renamed stream',
        event,
        ['checksum'],
        ({ position }) => position === event.position,
      )
      const its = followsStream(name)
      return {
        ...fault,
        subjects: [event.stream, name],
        mayCause: (problem) => fault.mayCause(problem) || its(problem),
      }
    },
  },
  {
    name: 'the category of a stream',
    only: 'postgres',
    refolds: false,
    plant: async (run, bed, taken) => {
      const { streams, stream } = bed.names
      const event = run.pick(await eventsOf(bed, taken))
      await bed.sql(`UPDATE ${streams} SET category = 'other' WHERE id = $1`, event.row[stream])
      return found('a category', event, ['name'], (one) => one.stream === event.stream)
    },
  },
  {
    name: 'the counter of positions',
    refolds: false,
    plant: async (run, bed, taken) => {
      if (taken.has('the counter')) return undefined
      const all = await eventsOf(bed, new Set())
      const last = all.at(-1) as EventRow
      // It is named by the newest event, which nothing else may remove.
      if (taken.has(last.stream)) return undefined
      await bed.setCounter(last.position - run.between(1, 5))
      return {
        name: 'the counter of positions',
        subjects: ['the counter', last.stream],
        isFoundBy: ({ kind, position }) => kind === 'head' && position === last.position,
        // A counter that is behind is the end of the log for whoever reads up to it.
        mayCause: ({ kind }) => kind === 'checkpoint' || kind === 'count',
      }
    },
  },
  ...(['missing', 'wrong type', 'extra', 'stray'] as const).map(tagPlanter),
]

async function changeHead(
  run: Campaign,
  bed: Bed,
  taken: ReadonlySet<string>,
  column: string,
  change: (value: number) => number,
  whole = false,
): Promise<Planted> {
  const { streams, stream } = bed.names
  const isFit = ({ row }: EventRow) => Number(row.head) > 1 && (!whole || Number(row.first) === 1)
  const event = run.pick((await eventsOf(bed, taken)).filter(isFit))
  const [head] = await bed.sql(`SELECT * FROM ${streams} WHERE id = $1`, event.row[stream])
  const text = `UPDATE ${streams} SET ${column} = $2 WHERE id = $1`
  await bed.sql(text, event.row[stream], change(Number(head?.[column])))
  return found(`the head's ${column}`, event, ['head'], (one) => one.stream === event.stream)
}

function tagPlanter(what: 'missing' | 'wrong type' | 'extra' | 'stray'): Planter {
  const name = `a tag row: ${what}`
  return {
    name,
    refolds: false,
    plant: async (run, bed, taken) => {
      const { tags, tagType, type } = bed.names
      const all = await eventsOf(bed, taken)
      const event = run.pick(all.filter(({ row }) => row.tags !== null))
      const at = event.position
      if (what === 'missing') {
        await bed.sql(`DELETE FROM ${tags} WHERE position = $1`, at)
      } else if (what === 'wrong type') {
        await bed.sql(`UPDATE ${tags} SET ${tagType} = ${tagType} + 1 WHERE position = $1`, at)
      } else {
        const position = what === 'extra' ? at : 1e6 + run.between(1, 1e6)
        const text = `INSERT INTO ${tags} (tag_hash, position, ${tagType}) VALUES ($1, $2, $3)`
        await bed.sql(text, run.between(1, 1e9), position, event.row[type])
        const fault = found(name, event, ['index'], (one) => one.position === position)
        return fault
      }
      return found(name, event, ['index'], ({ position }) => position === at)
    },
  }
}
