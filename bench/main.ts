import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { cacheCases } from './cache-case.ts'
import { codecFacts } from './codec-facts.ts'
import { writeDocs } from './docs-page.ts'
import { emmettCases } from './emmett-case.ts'
import { importBench, importName } from './import-bench.ts'
import { describeMachine, flushRate } from './machine.ts'
import { type BenchCase, type CaseResult, type Pace, runPaired } from './paired.ts'
import { postgresBench } from './postgres-cases.ts'
import { postgresProjection, sqliteProjection } from './projection-cases.ts'
import { type FactBench, postgresReadSide, sqliteReadSide } from './read-side-cases.ts'
import { type Fact, factsText, machineText, type RunResult, tableText } from './report.ts'
import { snapshotCases, snapshotFacts } from './snapshot-cases.ts'
import { sqliteCases, sqliteVersions } from './sqlite-cases.ts'
import { sqliteCostCases } from './store-cases.ts'
import { upcastCase } from './upcast-case.ts'

const usage = `npm run bench -- [options]

  --only PATTERN   cases whose name matches the regular expression
  --rounds N       rounds of each case; 7, at least 5 (any number with --quick)
  --quick          small logs and short turns: shows that it works, proves nothing
  --list           the names of the cases
  --json FILE      writes the results
  --write-docs     writes docs/performance.md
  --emmett DIR     a folder with @event-driven-io/emmett-postgresql installed, to measure beside
  --folder DIR     where the databases live; the system's folder for temporary files otherwise
`

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    rounds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    json: { type: 'string' },
    'write-docs': { type: 'boolean', default: false },
    emmett: { type: 'string' },
    folder: { type: 'string', default: tmpdir() },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  console.log(usage)
  process.exit(0)
}

const roundsWanted = Number(values.rounds ?? (values.quick ? 1 : 7))
if (!Number.isSafeInteger(roundsWanted) || roundsWanted < 1)
  throw new Error('--rounds is no number')
const rounds = values.quick ? roundsWanted : Math.max(5, roundsWanted)
const pace: Pace = values.quick
  ? { rounds, turns: 1, turnMs: 10 }
  : { rounds, turns: 6, turnMs: 60 }
const wanted = new RegExp(values.only ?? '', 'i')
const matches = (name: string): boolean => wanted.test(name)
const folder = mkdtempSync(join(values.folder, 'eventuali-bench-'))
const probeMs = values.quick ? 20 : 500
const done: CaseResult[] = []
const facts: Fact[] = []

const baseCount = values.quick ? 2000 : 50_000
const postgres = postgresBench(baseCount)
const sqliteSide = sqliteReadSide(folder, baseCount, values.quick)
const postgresSide = postgresReadSide(postgres.databases, values.quick)
const codecs = codecFacts(values.quick)
const sqlite = [
  ...sqliteCases({ folder, baseCount }),
  ...sqliteCostCases(folder),
  ...sqliteSide.cases,
  sqliteProjection(folder, baseCount),
  upcastCase(folder, values.quick),
  ...snapshotCases(folder, values.quick),
  ...cacheCases(folder, values.quick),
]
const emmett =
  values.emmett === undefined
    ? []
    : emmettCases(values.emmett, postgres.databases, values.quick ? 1000 : 9000)
const onPostgres = [
  ...postgres.cases,
  ...postgresSide.cases,
  postgresProjection(postgres.databases),
  ...emmett,
]

async function runAll(cases: readonly BenchCase[]): Promise<void> {
  for (const bench of cases.filter(({ name }) => matches(name))) {
    const result = await runPaired(bench, pace)
    done.push(result)
    console.log(tableText([result]).split('\n').slice(1).join('\n'))
  }
}

async function runFacts(benches: readonly FactBench[]): Promise<void> {
  for (const bench of benches.filter(({ name }) => matches(name)))
    facts.push(...(await bench.run()))
}

async function measure(): Promise<RunResult> {
  const firstFlushRate = flushRate(folder, probeMs)
  await runAll(sqlite)
  await runFacts([...sqliteSide.facts, codecs, snapshotFacts()])
  if (matches(importName)) {
    const imported = await importBench(folder, values.quick ? 1 : rounds, values.quick)
    done.push(imported.result)
    facts.push(...imported.facts)
  }
  const durability = ['SQLite: journal_mode WAL, synchronous FULL, read back from the store']
  let version = 'not started'
  if ([...onPostgres, ...postgresSide.facts].some(({ name }) => matches(name))) {
    await runAll(onPostgres)
    await runFacts(postgresSide.facts)
    const settings = await postgres.settings()
    version = settings.version
    durability.push(settings.durability)
  }
  const versions = { ...(await sqliteVersions()), postgres: version }
  const flushes = [firstFlushRate, flushRate(folder, probeMs)]
  const machine = describeMachine(folder, versions, flushes)
  return { at: new Date().toISOString(), rounds, machine, durability, cases: done, facts }
}

async function main(): Promise<void> {
  if (values.list) {
    const { facts: onFile } = sqliteSide
    const all = [
      ...sqlite,
      ...onFile,
      codecs,
      { name: importName },
      ...onPostgres,
      ...postgresSide.facts,
    ]
    console.log(all.map(({ name }) => name).join('\n'))
    return
  }
  const result = await measure()
  console.log(`\n${tableText(result.cases)}\n`)
  if (result.facts.length > 0) console.log(`${factsText(result.facts)}\n`)
  console.log(machineText(result.machine, result.durability))
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(result, null, 2)}\n`)
  if (values['write-docs']) writeDocs(result)
}

try {
  await main()
} finally {
  await postgres.close()
  rmSync(folder, { recursive: true, force: true })
}
