import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { openStore, type Store } from 'eventuali'
import { fillBase } from './base-log.ts'
import type { BenchCase, Contender, OpenCase, Ratio } from './paired.ts'
import { RawSqlite } from './sqlite-raw.ts'
import { longStream, longStreamEventCount, Workload } from './workload.ts'

/** An event may cost at most 1.3 times as much in the greatest log as in the smallest. */
const goal = 1 / 1.3

/** The same log twice: for the store, and for the raw driver. */
interface Grown {
  readonly count: number
  readonly files: readonly [store: string, raw: string]
}

interface Side {
  append(stream: string, work: Workload): Promise<unknown> | unknown
  load(): Promise<unknown> | unknown
  scan(): Promise<unknown> | unknown
  close(): Promise<void> | void
}

async function storeSide(file: string): Promise<Side> {
  const store: Store = await openStore(`sqlite:${file}`)
  return {
    append: (stream, work) => store.append(stream, work.event()),
    load: () => store.readStream(longStream).toArray(),
    scan: async () => {
      for await (const _page of store.readAll().pages());
    },
    close: () => store.close(),
  }
}

async function rawSide(file: string): Promise<Side> {
  const parts = { headRows: true, idsAndChecksums: false }
  const raw = await RawSqlite.open(file, 'node:sqlite', parts)
  return {
    append: (stream, work) => raw.append([[stream, [work.event()]]]),
    load: () => raw.load(longStream),
    scan: () => raw.scan(),
    close: () => raw.close(),
  }
}

/** Of the case of a work. */
const growthName = (work: string): string => `node:sqlite growth, ${work}`

const works = ['append 1', 'load 1,000', 'full scan'] as const

/** What the cases are called, run or not. */
export const growthNames: readonly { readonly name: string }[] = works.map((work) => ({
  name: growthName(work),
}))

async function open(
  work: (typeof works)[number],
  grown: () => Promise<readonly Grown[]>,
): Promise<OpenCase> {
  const contenders: Contender[] = []
  const sides: Side[] = []
  const logs = await grown()
  for (const [kind, at, openSide] of [
    ['store', 0, storeSide],
    ['raw', 1, rawSide],
  ] as const) {
    for (const { count, files } of logs) {
      const side = await openSide(files[at])
      sides.push(side)
      const events = new Workload(12)
      const inLog = count + longStreamEventCount
      const eventsPerCall = {
        'append 1': 1,
        'load 1,000': longStreamEventCount,
        'full scan': inLog,
      }
      const calls = {
        'append 1': () => side.append(events.stream(), events),
        'load 1,000': () => side.load(),
        'full scan': () => side.scan(),
      }
      contenders.push({
        name: `${kind} at ${count.toLocaleString('en')}`,
        what: kind === 'store' ? 'the store' : 'its statements in a plain loop',
        eventsPerCall: eventsPerCall[work],
        run: async (times) => {
          for (let i = 0; i < times; i++) await calls[work]()
        },
      })
    }
  }
  const name = (kind: string, { count }: Grown): string =>
    `${kind} at ${count.toLocaleString('en')}`
  const [least, ...greater] = logs as [Grown, ...Grown[]]
  const ratios = greater.flatMap((log): Ratio[] => [
    { of: name('store', log), to: name('store', least), goal },
    { of: name('raw', log), to: name('raw', least) },
  ])
  const close = async (): Promise<void> => {
    for (const side of sides) await side.close()
  }
  return { contenders, ratios, close }
}

/** The lengths of logs in `--growth`, the least first. */
export function growthCounts(text: string | undefined): readonly number[] {
  if (text === undefined) return []
  const counts = text.split(',').map(Number)
  if (counts.length < 2 || counts.some((count) => !Number.isSafeInteger(count) || count < 1000))
    throw new Error('--growth wants two numbers of at least 1000 or more, as in 10000,1000000')
  return counts.toSorted((a, b) => a - b)
}

/** The same in logs of several lengths, the least first: what an event costs must stay. */
export function growthCases(folder: string, counts: readonly number[]): readonly BenchCase[] {
  if (counts.length === 0) return []
  let logs: Promise<readonly Grown[]> | undefined
  const fill = async (): Promise<readonly Grown[]> => {
    const made: Grown[] = []
    for (const count of counts) {
      const [file, copy] = [
        join(folder, `grown-${count}.db`),
        join(folder, `grown-${count}-raw.db`),
      ]
      const store = await openStore(`sqlite:${file}`, { profile: 'relaxed' })
      await fillBase(store, count)
      await store.close()
      copyFileSync(file, copy)
      made.push({ count, files: [file, copy] })
    }
    return made
  }
  const grown = (): Promise<readonly Grown[]> => {
    logs ??= fill()
    return logs
  }
  return works.map((work) => ({
    name: growthName(work),
    ...(work === 'full scan' ? { turns: 1 } : {}),
    open: () => open(work, grown),
  }))
}
