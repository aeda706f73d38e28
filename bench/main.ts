import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { cacheCases } from './cache-case.ts'
import { codecFacts } from './codec-facts.ts'
import { writeDocs } from './docs-page.ts'
import { growthCases, growthCounts, growthNames } from './growth-cases.ts'
import { importBench, importName } from './import-bench.ts'
import { describeMachine, flushRate } from './machine.ts'
import { type BenchCase, type CaseResult, type Pace, runPaired } from './paired.ts'
import { peerCases, peerSettings, sizeBench } from './peers/cases.ts'
import { installPeers } from './peers/install.ts'
import type { Medium } from './peers/peers.ts'
import { postgresBench } from './postgres-cases.ts'
import { postgresProjection, sqliteProjection } from './projection-cases.ts'
import { type FactBench, postgresReadSide, sqliteReadSide } from './read-side-cases.ts'
import { commitHere, type Recorded, readRecord, recordFile, withRun } from './recorded.ts'
import { type Fact, factsText, machineText, type RunResult, tableText } from './report.ts'
import { snapshotCases, snapshotFacts } from './snapshot-cases.ts'
import { sqliteCases, sqliteDurability, sqliteVersions } from './sqlite-cases.ts'
import { sqliteCostCases } from './store-cases.ts'
import { upcastCase } from './upcast-case.ts'

const usage = `npm run bench -- [options]

  --only PATTERN   cases whose name matches the regular expression
  --rounds N       rounds of each case; 7, at least 5 (any number with --quick)
  --quick          small logs and short turns: shows that it works, proves nothing
  --list           the names of the cases
  --json FILE      writes the results, after each case those it has
  --from FILE      takes the results of an earlier --json instead of measuring
  --write-docs     records the results in docs/data/bench.json and writes docs/performance.md
  --growth A,B     cases on logs of so many events too, as in 10000,1000000,10000000
  --peers          other libraries too; installs them once into .tmp/peers
  --folder DIR     where the databases live; the system's folder for temporary files otherwise
`

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    rounds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    json: { type: 'string' },
    from: { type: 'string' },
    'write-docs': { type: 'boolean', default: false },
    peers: { type: 'boolean', default: false },
    growth: { type: 'string' },
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
const startedAt = new Date().toISOString()
const commit = commitHere()
let firstFlushRate = 0
let isServerUp = false
const done: CaseResult[] = []
const facts: Fact[] = []

const baseCount = values.quick ? 2000 : 50_000
const postgres = postgresBench(baseCount, values.quick)
const onSqlite = sqliteCases({ folder, baseCount, quick: values.quick })
const sqliteSide = sqliteReadSide(folder, baseCount, values.quick)
const postgresSide = postgresReadSide(postgres.databases, values.quick)
const codecs = codecFacts(values.quick)
const growth = growthCases(folder, growthCounts(values.growth))
const sqlite = [
  ...onSqlite.cases,
  ...sqliteCostCases(folder),
  ...sqliteSide.cases,
  sqliteProjection(folder, baseCount),
  upcastCase(folder, values.quick),
  ...snapshotCases(folder, values.quick),
  ...cacheCases(folder, values.quick),
]
const peerBench = {
  folder,
  databases: postgres.databases,
  installed: installPeers,
  timeoutMs: values.quick ? 30_000 : 120_000,
}
const beside = (medium: Medium) => peerCases(medium, peerBench)
const peersOnFiles = [...beside('sqlite'), ...beside('memory')]
const peersOnPostgres = beside('postgres')
const sizeOf = (medium: Medium) => sizeBench(medium, { ...peerBench, withPeers: values.peers })
const postgresFacts = [...postgres.facts, ...postgresSide.facts, sizeOf('postgres')]
const onPostgres = [
  ...postgres.cases,
  ...postgresSide.cases,
  postgresProjection(postgres.databases),
  ...(values.peers ? peersOnPostgres : []),
]

const factsOnFiles = [...onSqlite.facts, ...sqliteSide.facts, sizeOf('sqlite')]

async function runAll(cases: readonly BenchCase[]): Promise<void> {
  for (const bench of cases.filter(({ name }) => matches(name))) {
    const result = await runPaired(bench, pace)
    done.push(result)
    console.log(tableText([result]).split('\n').slice(1).join('\n'))
    // A run is long: what it has is not lost when it is ended.
    if (values.json !== undefined) writeJson(values.json, await resultNow())
  }
}

async function runFacts(benches: readonly FactBench[]): Promise<void> {
  for (const bench of benches.filter(({ name }) => matches(name)))
    facts.push(...(await bench.run()))
}

async function measure(): Promise<RunResult> {
  firstFlushRate = flushRate(folder, probeMs)
  await runAll(sqlite)
  if (values.peers) await runAll(peersOnFiles)
  await runAll(growth)
  await runFacts([...factsOnFiles, codecs, snapshotFacts()])
  if (matches(importName)) {
    const imported = await importBench(folder, values.quick ? 1 : rounds, values.quick)
    done.push(imported.result)
    facts.push(...imported.facts)
  }
  if ([...onPostgres, ...postgresFacts].some(({ name }) => matches(name))) {
    isServerUp = true
    await runAll(onPostgres)
    await runFacts(postgresFacts)
  }
  return resultNow()
}

/** What is measured by now. */
async function resultNow(): Promise<RunResult> {
  const durability = [await sqliteDurability(folder)]
  let version = 'not started'
  if (isServerUp) {
    const settings = await postgres.settings()
    version = settings.version
    durability.push(settings.durability)
  }
  durability.push(...peerSettings())
  const versions = { ...(await sqliteVersions()), postgres: version }
  const machine = describeMachine(folder, versions, [firstFlushRate, flushRate(folder, probeMs)])
  return { at: startedAt, commit, rounds, machine, durability, cases: done, facts }
}

function writeJson(file: string, result: RunResult | Recorded): void {
  writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`)
}

/** All names, as the page shows them. */
function names(): string[] {
  const own = [...sqlite, ...growthNames, ...factsOnFiles, codecs, { name: importName }]
  const all = [...own, ...postgres.cases, ...postgresSide.cases, ...postgresFacts]
  all.push(postgresProjection(postgres.databases), ...peersOnFiles, ...peersOnPostgres)
  return all.map(({ name }) => name)
}

function resultIn(file: string): RunResult {
  return JSON.parse(readFileSync(file, 'utf8')) as RunResult
}

function record(result: RunResult): void {
  const recorded = withRun(readRecord(recordFile), result, names())
  writeJson(recordFile, recorded)
  writeDocs(recorded)
}

async function main(): Promise<void> {
  if (values.list) {
    console.log(names().join('\n'))
    return
  }
  const result = values.from === undefined ? await measure() : resultIn(values.from)
  console.log(`\n${tableText(result.cases)}\n`)
  if (result.facts.length > 0) console.log(`${factsText(result.facts)}\n`)
  console.log(machineText(result.machine, result.durability))
  if (values.json !== undefined) writeJson(values.json, result)
  if (values['write-docs']) record(result)
}

try {
  await main()
} finally {
  await postgres.close()
  rmSync(folder, { recursive: true, force: true })
}
