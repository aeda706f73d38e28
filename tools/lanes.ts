import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { CampaignRecord } from '../packages/eventuali/test/harness/campaign.ts'
import { type Lane, laneFile, laneName, laneTable } from '../packages/eventuali/test/lane-table.ts'
import { commitText, type LaneRun, scorecardPage } from './scorecard.ts'
import { vitestSuite } from './suites.ts'
import { asSeenByCi, report, sumLine, type Tally } from './tally.ts'

const minute = 60_000
const page = 'docs/reliability.md'
const recorded = 'docs/data/lanes.json'
/** Most of them wait for a disk or a timer most of the time. */
export const laneWorkers = 3
const usage = `usage: npm run lanes -- [ROW|LANE ...] [--slow] [--write-docs]
       npm run soak -- [ROW|LANE ...]

Runs the harnesses of the scorecard, all of them or those of the rows or files named (R1 R8b lanes/feeds ...), in the size
of a pull request; as a soak one file after another, each many times as large. EVENTUALI_SEED=n takes
that seed.

  --slow        leave out those that are a part of npm test
  --soak        many times as large, by the table in packages/eventuali/test/lane-table.ts
  --write-docs  keep what this run has shown in ${recorded}, and write ${page} from
                the last run of each lane`

/** The lanes of the rows, or named themselves; R8 means R8a and R8b as well. No names: all. */
export function lanesOf(rows: readonly string[], table: readonly Lane[] = laneTable): Lane[] {
  if (rows.length === 0) return [...table]
  const asked = rows.map((row) => new RegExp(`^${row}[a-z]?$`, 'i'))
  const isAsked = (name: string): boolean => asked.some((one) => one.test(name))
  return table.filter((lane) => [...lane.rows, lane.file].some(isAsked))
}

/** The lanes as suites: those that disturb nobody side by side, then those that measure, alone. */
export async function laneSuites(lanes: readonly Lane[], records: string): Promise<Tally[]> {
  const tallies: Tally[] = []
  for (const project of ['lanes', 'process'] as const) {
    const files = lanes.filter((lane) => lane.file.startsWith(`${project}/`)).map(laneFile)
    if (files.length === 0) continue
    const workers = project === 'lanes' ? laneWorkers : 1
    const onDisk = project === 'process'
    const more = { files, workers, onDisk, env: { EVENTUALI_CAMPAIGNS: records } }
    tallies.push(await vitestSuite(project, [project], process.execPath, 25 * minute, more))
  }
  return tallies
}

async function soakSuites(lanes: readonly Lane[], records: string): Promise<Tally[]> {
  const tallies: Tally[] = []
  for (const lane of lanes) {
    const project = lane.file.replace(/\/.*/, '')
    const env = { EVENTUALI_CAMPAIGNS: records, EVENTUALI_SCALE: String(lane.soakScale) }
    const more = { files: [laneFile(lane)], env, onDisk: true }
    const boundMs = 150 * minute
    tallies.push(
      await vitestSuite(
        laneName(lane).replace(': ', '-'),
        [project],
        process.execPath,
        boundMs,
        more,
      ),
    )
  }
  return tallies
}

/** An empty file for what the campaigns of a run say. */
export function newRecords(): string {
  const file = resolve('.tmp', 'campaigns.ndjson')
  rmSync(file, { force: true })
  return file
}

function campaignsIn(file: string): CampaignRecord[] {
  if (!existsSync(file)) return []
  const lines = readFileSync(file, 'utf8').trim().split('\n')
  return lines.map((line) => JSON.parse(line) as CampaignRecord)
}

/** How long campaigns took together: the time in which at least one of them was under way. */
export function secondsOf(
  campaigns: readonly Pick<CampaignRecord, 'seconds' | 'endedAtMs'>[],
): number {
  let [sum, until] = [0, Number.NEGATIVE_INFINITY]
  const spans = campaigns.map(({ seconds, endedAtMs }) => [
    endedAtMs / 1000 - seconds,
    endedAtMs / 1000,
  ])
  for (const [from = 0, to = 0] of spans.sort(([a = 0], [b = 0]) => a - b)) {
    sum += Math.max(0, to - Math.max(from, until))
    until = Math.max(until, to)
  }
  return sum
}

/** Each lane with what its campaigns said and how long they took. */
function runsOf(lanes: readonly Lane[], campaigns: readonly CampaignRecord[]): LaneRun[] {
  const now = { day: new Date().toISOString().slice(0, 10), commit: commitText() }
  return lanes.map((lane) => {
    const own = campaigns.filter((campaign) => campaign.file === laneFile(lane))
    return { lane, ...now, seconds: secondsOf(own), campaigns: own }
  })
}

/** The last run of every lane in the table, this one's first. */
function lastRuns(runs: readonly LaneRun[]): LaneRun[] {
  const before = existsSync(recorded)
    ? (JSON.parse(readFileSync(recorded, 'utf8')) as readonly LaneRun[])
    : []
  return laneTable.map((lane) => {
    const last = [...runs, ...before].find((run) => laneFile(run.lane) === laneFile(lane))
    return { day: 'never', commit: '', seconds: 0, campaigns: [], ...last, lane }
  })
}

function budgetText(runs: readonly LaneRun[]): string {
  const lines = runs.map(({ lane, seconds }) => {
    const over = seconds > lane.budgetSeconds ? '   over its budget' : ''
    const took = seconds.toFixed(1).padStart(7)
    return `${laneName(lane).padEnd(30)} ${took} s of ${String(lane.budgetSeconds).padStart(4)} s${over}`
  })
  return ['', ...lines].join('\n')
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      soak: { type: 'boolean', default: false },
      slow: { type: 'boolean', default: false },
      'write-docs': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const chosen = lanesOf(positionals).filter((lane) => !(values.slow && lane.quick === true))
  // What the page says is how much a run in a pull request does.
  const isSoakPage = values['write-docs'] && values.soak
  if (values.help || isSoakPage || chosen.length === 0) {
    console.log(usage)
    process.exitCode = values.help ? 0 : 2
    return
  }
  const records = newRecords()
  const raw = values.soak ? await soakSuites(chosen, records) : await laneSuites(chosen, records)
  const tallies = process.env.CI === 'true' ? raw.map(asSeenByCi) : raw
  const runs = runsOf(chosen, campaignsIn(records))
  console.log(report(tallies))
  console.log(budgetText(runs))
  if (values['write-docs']) {
    const last = lastRuns(runs)
    writeFileSync(recorded, `${JSON.stringify(last, null, 2)}\n`)
    writeFileSync(page, scorecardPage(last))
    console.log(`wrote ${page}`)
  }
  console.log(sumLine(tallies))
  process.exitCode = tallies.some((tally) => tally.failures.length > 0) ? 1 : 0
}

if (import.meta.main) await main()
