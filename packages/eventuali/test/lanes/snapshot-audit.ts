import { openStore, type Store } from '../../src/index.ts'
import { programInput, runProgram, tell } from '../harness/program.ts'
import { sumsOf } from '../harness/sums.ts'

/** What the program has found. */
export interface SnapshotAudit {
  readonly wrong: readonly string[]
  /** Loads that began with a kept state. */
  readonly used: number
}

const Sums = sumsOf((n) => n)

runProgram(async () => {
  const { url, streamCount } = programInput<{ url: string; streamCount: number }>()
  const store = await openStore(url, { snapshots: { every: 1000, keep: 2, checkRate: 0 } })
  const wrong = await differences(store, url, streamCount)
  tell('audited', { wrong, used: store.snapshots.stats.used } satisfies SnapshotAudit)
  await store.close()
})

/** Loads with kept states against loads without, at their newest version and before it. */
async function differences(
  store: Store,
  url: string,
  streamCount: number,
): Promise<readonly string[]> {
  const wrong: string[] = []
  const report = await store.snapshots.verify(Sums)
  wrong.push(...report.wrong.map(({ stream, version }) => `kept: ${stream} at ${version}`))
  // The probe comes first, and what it finds is retired: nothing is left to verify then.
  const { problem } = store.snapshots.stats
  if (problem !== undefined) wrong.push(`kept: ${String(problem)}`)
  await using plain = await openStore(url)
  for (let id = 0; id < streamCount; id++) {
    const expected = await plain.aggregate(Sums).load(String(id))
    for (const version of [undefined, expected.version - 1].filter(
      (v) => v === undefined || v > 0,
    )) {
      const folded = await plain.aggregate(Sums).load(String(id), { version })
      const loaded = await store.aggregate(Sums).load(String(id), { version })
      if (JSON.stringify(folded) !== JSON.stringify(loaded)) {
        wrong.push(`loaded: sums-${id} at ${version ?? 'its newest'}`)
      }
    }
  }
  return wrong
}
