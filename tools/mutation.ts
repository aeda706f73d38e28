import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import type { MutantResult } from '@stryker-mutator/api/core'
import { Stryker } from '@stryker-mutator/core'
import { groups } from './mutation-groups.ts'
import { scoreOf } from './mutation-score.ts'

const recorded = 'docs/data/mutation.json'
const leastPercent = 80

const usage = `npm run mutation -- ${Object.keys(groups).join('|')} [options]

  --sample N   how many mutants are tried; 150
  --seed N     which ones; drawn when it is not given
  --record     writes the result to ${recorded}
  --only FILE  mutates this file alone
`

/** The groups' last results, for the documentation: without the mutants themselves. */
function record({ alive: _alive, ...run }: Record<string, unknown>): void {
  const before = existsSync(recorded)
    ? (JSON.parse(readFileSync(recorded, 'utf8')) as { group: string }[])
    : []
  const runs = [...before.filter(({ group }) => group !== run.group), run]
  mkdirSync(dirname(recorded), { recursive: true })
  writeFileSync(recorded, `${JSON.stringify(runs, null, 2)}\n`)
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sample: { type: 'string', default: '150' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    record: { type: 'boolean', default: false },
    only: { type: 'string' },
  },
})
const [name = ''] = positionals
const group = groups[name]
if (group === undefined || positionals.length !== 1) {
  console.log(usage)
  process.exit(2)
}

/** Runs Stryker; the checker in mutation-sampler.ts says which mutants are tried. */
async function tryMutants(mutate: readonly string[]): Promise<MutantResult[]> {
  process.env.EVENTUALI_MUTANTS = values.sample
  process.env.EVENTUALI_SEED = values.seed
  process.env.EVENTUALI_MUTATION_TESTS = group?.tests.join(' ') ?? ''
  const stryker = new Stryker({
    mutate: [...mutate, '!**/*.test.ts', '!**/*.test-d.ts', '!**/*.test-support.ts'],
    plugins: ['@stryker-mutator/vitest-runner', `${import.meta.dirname}/mutation-sampler.ts`],
    checkers: ['sample'],
    testRunner: 'vitest',
    vitest: { configFile: 'tools/mutation.vitest.ts' },
    coverageAnalysis: 'perTest',
    // Code that runs once when a module is loaded: all tests would have to run for each of these.
    ignoreStatic: true,
    concurrency: 3,
    timeoutMS: 10_000,
    dryRunTimeoutMinutes: 20,
    reporters: ['progress-append-only'],
    tempDirName: '.tmp/mutation',
    ignorePatterns: [
      '.tmp',
      'bench',
      'docs',
      'examples',
      '**/dist',
      '**/bundle',
      '**/*.tsbuildinfo',
    ],
    // TypeScript 7 has no interface for the rewriting of a tsconfig, and none is needed.
    tsconfigFile: 'none',
    disableTypeChecks: false,
    allowEmpty: false,
    clearTextReporter: { allowColor: false },
  })
  return stryker.runMutationTest()
}

// In memory where there is such a folder: a mutant meets many files, and none has to last.
const folder = mkdtempSync(
  join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'eventuali-mutation-'),
)
process.env.TMPDIR = folder
const started = performance.now()
const results = await tryMutants(values.only === undefined ? group.mutate : [values.only])
const seconds = Math.round((performance.now() - started) / 1000)
rmSync(folder, { recursive: true, force: true })
const score = scoreOf(results)
mkdirSync('.tmp', { recursive: true })
const day = new Date().toISOString().slice(0, 10)
const run = {
  ...{ group: name, day, sample: Number(values.sample), seed: Number(values.seed), seconds },
  ...score,
}
writeFileSync(`.tmp/mutation-${name}.json`, `${JSON.stringify(run, null, 2)}\n`)
if (values.record) record(run)
for (const { file, line, mutator, from, to, status } of score.alive) {
  console.log(`${file}:${line} ${mutator}, ${status}\n  - ${from}\n  + ${to}`)
}
console.log(
  `${name}: ${score.percent.toFixed(1)} % of ${score.tried} mutants noticed, ${seconds} s`,
)
if (score.percent < leastPercent) process.exitCode = 1
