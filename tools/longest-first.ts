import { relative } from 'node:path'
import { BaseSequencer, type TestSpecification } from 'vitest/node'
import { laneFile, laneTable } from '../packages/eventuali/test/lane-table.ts'

const laneSeconds: ReadonlyMap<string, number> = new Map(
  laneTable.map((lane) => [laneFile(lane), lane.budgetSeconds]),
)
/** Contracts are short to read and long to run. */
const contractSeconds = 80
const longTests: Readonly<Record<string, number>> = {
  'tools/packed.test.ts': 75,
  'packages/eventuali/src/processes/crash.test.ts': 70,
  'packages/eventuali/src/pipelines/replay-store.test.ts': 45,
  'packages/server/test/schemathesis.test.ts': 40,
  'packages/server/test/client-postgres.test.ts': 35,
  'packages/eventuali/src/projections/faults.test.ts': 30,
  'packages/cli/test/postgres.test.ts': 30,
  'packages/eventuali/src/store/fork.test.ts': 35,
  'packages/eventuali/src/pipelines/reading-thread.test.ts': 30,
  'packages/eventuali/src/schemas/narrowing.test.ts': 30,
}

/** About how long a file takes; 0 for the many that take a second or ten. */
function secondsOf(file: string): number {
  if (file.endsWith('.contract.test.ts')) return contractSeconds
  return laneSeconds.get(file) ?? longTests[file] ?? 0
}

/**
 * Begins with the files that take longest, so that none of them is left to run alone at the end. A
 * fresh clone knows nothing of earlier runs, and vitest goes by the size of the files there.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const seconds = (spec: TestSpecification) => {
      return secondsOf(relative('.', spec.moduleId).replaceAll('\\', '/'))
    }
    return sorted.toSorted((a, b) => seconds(b) - seconds(a))
  }
}
