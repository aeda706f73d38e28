import { execFileSync } from 'node:child_process'
import { copyFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openStore } from 'eventuali'
import type { ImportReport } from './import-child.ts'
import { type CaseResult, resultOf } from './paired.ts'
import type { Fact } from './report.ts'

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const source = path('../examples/data/flights-2013-01.ndjson.gz')
const child = path('import-child.ts')

export const importName = 'import of the January log'

const contenders = [
  { name: 'store', what: 'importEvents, from the packed file to the last commit' },
  {
    name: 'raw',
    what: 'its statements in a plain loop over lines that are parsed, checked and given their ids beforehand; JSON.stringify',
  },
  { name: 'script', what: 'the same loop with unpacking, JSON.parse, ids and checksums in it' },
]
const ratios = [
  { of: 'store', to: 'raw', goal: 0.6 },
  { of: 'store', to: 'script' },
]

/** Imports the January log into fresh files, each time in a process of its own. */
export async function importBench(
  folder: string,
  rounds: number,
  quick: boolean,
): Promise<{ readonly result: CaseResult; readonly facts: readonly Fact[] }> {
  const empty = join(folder, 'import-empty.db')
  await (await openStore(`sqlite:${empty}`)).close()
  const rates = new Map<string, number[]>(contenders.map(({ name }) => [name, []]))
  const memory: number[] = []
  for (let round = 0; round < rounds; round++) {
    for (const { name } of contenders) {
      const file = join(folder, `import-${name}.db`)
      copyFileSync(empty, file)
      const limit = quick ? ['2000'] : []
      const args = [child, name, file, source, ...limit]
      const output = execFileSync(process.execPath, args, { encoding: 'utf8' })
      const report = JSON.parse(output.trim().split('\n').at(-1) ?? '') as ImportReport
      rates.get(name)?.push(report.events / report.seconds)
      if (name === 'store') memory.push(report.memoryMB)
      for (const end of ['', '-wal', '-shm']) rmSync(`${file}${end}`, { force: true })
    }
  }
  const peak: Fact = {
    name: 'import of the January log, peak memory of its process',
    value: Math.max(...memory),
    unit: 'MB',
    below: 250,
  }
  const result = resultOf(importName, contenders, ratios, rates)
  return { result, facts: quick ? [] : [peak] }
}
