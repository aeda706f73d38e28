import { join } from 'node:path'
import { type CodecOptions, defineAggregate, defineEvents, openStore, type } from 'eventuali'
import type { BenchCase, OpenCase } from './paired.ts'
import type { FactBench } from './read-side-cases.ts'
import type { Fact } from './report.ts'
import { Workload } from './workload.ts'

const behind = 10

interface Line {
  readonly sku: string
  readonly name: string
  readonly street: string
  readonly count: number
}
interface State {
  readonly count: number
  readonly total: number
  readonly lines: readonly Line[]
}

const events = defineEvents({ Lined: type<{ line: Line; price: number }>() })

/** Keeps the newest lines: about 110 bytes each as JSON. */
const ledgerOf = (lineCount: number) =>
  defineAggregate('ledger', {
    events,
    initial: (): State => ({ count: 0, total: 0, lines: [] }),
    evolve: {
      Lined: ({ count, total, lines }, { data }) => ({
        count: count + 1,
        total: total + data.price,
        lines: lines.length < lineCount ? [...lines, data.line] : lines,
      }),
    },
    commands: {},
  })

function lined(work: Workload) {
  const { data } = work.event() as { data: { lines: readonly Line[]; shipTo: string } }
  const { sku, name } = data.lines[0] as Line
  return events.Lined({ line: { sku, name, street: data.shipTo, count: 3 }, price: sku.length })
}

async function open(folder: string, stateKB: number, eventCount: number): Promise<OpenCase> {
  const url = `sqlite:${join(folder, `snapshots-${stateKB}.db`)}`
  const Ledger = ledgerOf(Math.round((stateKB * 1024) / 110))
  const work = new Workload(9)
  const plain = await openStore(url)
  const append = async (count: number): Promise<void> => {
    await plain.append(
      'ledger-1',
      Array.from({ length: count }, () => lined(work)),
    )
  }
  for (let n = behind; n < eventCount; n += 990) await append(Math.min(990, eventCount - n))
  const keeping = await openStore(url, { snapshots: { every: 100 } })
  const memoryBytes = 16 * 1024 * 1024
  const holding = await openStore(url, { snapshots: { every: 100, memoryBytes } })
  // The first load finds out that it may keep states, the second one has one.
  for (const store of [keeping, keeping, holding, holding]) {
    await store.aggregate(Ledger).load('1')
    await store.snapshots.settled()
  }
  await append(behind)
  const load = (store: typeof plain) => async (calls: number) => {
    for (let call = 0; call < calls; call++) {
      const { version } = await store.aggregate(Ledger).load('1')
      if (version !== eventCount) throw new Error(`loaded version ${version}`)
    }
  }
  const kept = `a load from a state kept ${behind} events back`
  return {
    contenders: [
      { name: 'snapshot', what: kept, eventsPerCall: eventCount, callsMin: 20, run: load(keeping) },
      {
        ...{ name: 'held', what: 'the same with the kept state in memory' },
        ...{ eventsPerCall: eventCount, callsMin: 20, run: load(holding) },
      },
      {
        ...{ name: 'all events', what: 'the same load without', eventsPerCall: eventCount },
        ...{ callsMin: 1, run: load(plain) },
      },
    ],
    ratios: [
      { of: 'snapshot', to: 'all events', goal: 100 },
      { of: 'held', to: 'all events', goal: 100 },
    ],
    close: async () => {
      for (const store of [keeping, holding]) {
        if (store.snapshots.stats.used === 0) throw new Error('no state was used')
        await store.close()
      }
      await plain.close()
    },
  }
}

/** What it saves to keep states. */
export function snapshotCases(folder: string, quick: boolean): readonly BenchCase[] {
  const eventCount = quick ? 1000 : 10_000
  return [2, 50].map((stateKB) => ({
    name: `snapshots: load ${eventCount.toLocaleString('en')}, state of ${stateKB} KB`,
    open: () => open(folder, stateKB, eventCount),
  }))
}

const codecs: readonly (readonly [name: string, codec: CodecOptions])[] = [
  ['gzip', { compress: { with: 'gzip' } }],
  ['brotli', { compress: { with: 'brotli' } }],
  ['zstd', { compress: { with: 'zstd' } }],
  ['lz4', { compress: { with: 'lz4' } }],
  ['snappy', { compress: { with: 'snappy' } }],
  ['msgpack', { encoding: 'msgpack' }],
  ['msgpack+zstd', { encoding: 'msgpack', compress: { with: 'zstd' } }],
]

/** Characters of a kept state in its row. */
async function keptSize(stateKB: number, codec: CodecOptions | undefined): Promise<number> {
  await using store = await openStore('memory:', { snapshots: { every: 1, codec } })
  const Ledger = ledgerOf(Math.round((stateKB * 1024) / 110))
  const work = new Workload(9)
  await store.append(
    'ledger-1',
    Array.from({ length: 1000 }, () => lined(work)),
  )
  for (let n = 0; n < 2; n++) {
    await store.aggregate(Ledger).load('1')
    await store.snapshots.settled()
  }
  const [kept] = await store.snapshots.list('ledger-1')
  if (kept === undefined) throw new Error('no state was kept')
  return kept.size
}

/** What kept states take, in base64 where they are compressed, against their JSON text. */
export function snapshotFacts(): FactBench {
  return {
    name: 'snapshots: size of kept states',
    run: async () => {
      const facts: Fact[] = []
      for (const stateKB of [2, 50]) {
        const json = await keptSize(stateKB, {})
        for (const [name, codec] of codecs) {
          const value = (100 * (await keptSize(stateKB, codec))) / json
          const goal = name === 'zstd' && stateKB === 50 ? { below: 37 } : {}
          facts.push({
            ...{ name: `state of ${stateKB} KB kept as ${name}`, value, unit: "% of json's" },
            ...goal,
          })
        }
      }
      return facts
    },
  }
}
