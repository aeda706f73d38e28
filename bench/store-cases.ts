import { join } from 'node:path'
import { openStore, type Store } from 'eventuali'
import { withCallers } from './base-log.ts'
import type { BenchCase, Contender, OpenCase } from './paired.ts'
import { Workload } from './workload.ts'

/** Opens a store with an empty log of its own. */
export type OpenEmpty = () => Promise<Store>

const courseCount = 1000

interface Sides {
  readonly plain: Store
  readonly other: Store
}

async function inBoth(
  open: OpenEmpty,
  contenders: (sides: Sides) => readonly [Contender, Contender],
): Promise<OpenCase> {
  const plain = await open()
  const other = await open()
  const both = contenders({ plain, other })
  return {
    contenders: both,
    ratios: [{ of: both[0].name, to: both[1].name }],
    close: async () => {
      await plain.close()
      await other.close()
    },
  }
}

/** What a condition costs: the same tagged append with and without one. */
function conditionCase(name: string, open: OpenEmpty, callers: number): BenchCase {
  const contenders = ({ plain, other }: Sides): [Contender, Contender] => {
    const seen = new Array<number>(courseCount).fill(0)
    const [a, b] = [new Workload(5), new Workload(5)]
    let course = 0
    const conditional = async (): Promise<void> => {
      // Each caller is at a course of its own, so that no condition fails.
      const at = course++ % courseCount
      const tags = [`course:${at}`]
      const query = { types: ['OrderPlaced'], tags }
      const position = seen[at] ?? 0
      const entry = { stream: a.stream(), events: { ...a.event(), tags } }
      const [result] = await other.appendAll([entry], { condition: { query, position } })
      seen[at] = result?.position ?? position
    }
    const unconditional = async (): Promise<void> => {
      const tags = [`course:${course++ % courseCount}`]
      await plain.appendAll([{ stream: b.stream(), events: { ...b.event(), tags } }])
    }
    return [
      {
        name: 'conditional',
        what: 'one tagged event, under a condition on its type and tag',
        eventsPerCall: 1,
        callsMin: 4 * callers,
        run: (calls) => withCallers(callers, calls, conditional),
      },
      {
        name: 'plain',
        what: 'one tagged event',
        eventsPerCall: 1,
        callsMin: 4 * callers,
        run: (calls) => withCallers(callers, calls, unconditional),
      },
    ]
  }
  const who = callers === 1 ? '1 caller' : `${callers} callers`
  return { name: `${name} conditional append, ${who}`, open: () => inBoth(open, contenders) }
}

/** What the index of ids costs: the same append with and without ids of the caller's. */
function idCase(name: string, open: OpenEmpty, size: number): BenchCase {
  const contenders = ({ plain, other }: Sides): [Contender, Contender] => {
    const [a, b] = [new Workload(6), new Workload(6)]
    let id = 0
    const nextId = (): string => `00000000-0000-4000-8000-${String(id++).padStart(12, '0')}`
    return [
      {
        name: 'given ids',
        what: `${size} events with ids given by the caller`,
        eventsPerCall: size,
        run: async (calls) => {
          for (let i = 0; i < calls; i++) {
            const events = a.events(size).map((event) => ({ ...event, id: nextId() }))
            await other.append(a.stream(), events)
          }
        },
      },
      {
        name: 'own ids',
        what: `${size} events, ids drawn by the library`,
        eventsPerCall: size,
        run: async (calls) => {
          for (let i = 0; i < calls; i++) {
            const events = b.events(size).map((event) => ({ ...event }))
            await plain.append(b.stream(), events)
          }
        },
      },
    ]
  }
  return { name: `${name} id index, append ${size}`, open: () => inBoth(open, contenders) }
}

/** The store beside itself: what its options cost. */
export function costCases(name: string, open: OpenEmpty): readonly BenchCase[] {
  return [
    conditionCase(name, open, 1),
    conditionCase(name, open, 32),
    idCase(name, open, 1),
    idCase(name, open, 100),
  ]
}

/** Those cases on SQLite. */
export function sqliteCostCases(folder: string): readonly BenchCase[] {
  let count = 0
  return costCases('node:sqlite', () => openStore(`sqlite:${join(folder, `cost-${++count}.db`)}`))
}
