import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import type { CampaignRecord } from '../packages/eventuali/test/harness/campaign.ts'
import { type Lane, laneName } from '../packages/eventuali/test/lane-table.ts'

/** A lane and what a run of it has shown. */
export interface LaneRun {
  readonly lane: Lane
  readonly day: string
  readonly commit: string
  readonly campaigns: readonly CampaignRecord[]
  readonly seconds: number
}

/** A row of the scorecard: what must hold. */
interface Row {
  readonly id: string
  readonly what: string
  readonly holds: string
  /** Why nothing was run for it. */
  readonly open?: string
  /** Shown by another run than that of the lanes, which has left its figures in the tree. */
  readonly shown?: () => { readonly holds: boolean; readonly counts: string }
}

/** The contract's page is compared with what ran in every run of the tests. */
function conformanceShown(): { holds: boolean; counts: string } {
  const page = readFileSync('docs/adapters.md', 'utf8')
  const counts = /^\d+ laws on \d+ subjects[^.]*\./m.exec(page)?.[0].replaceAll('\n', ' ')
  return { holds: counts !== undefined && !page.includes('FAILS'), counts: counts ?? 'no counts' }
}

/** `npm run coverage -- --record` and `npm run mutation -- GROUP --record` leave these. */
function strengthShown(): { holds: boolean; counts: string } {
  const read = (file: string) => JSON.parse(readFileSync(file, 'utf8')) as unknown
  const { day, folders } = read('docs/data/coverage.json') as {
    readonly day: string
    readonly folders: readonly { readonly folder: string; readonly percent: number }[]
  }
  const mutations = read('docs/data/mutation.json') as readonly {
    readonly group: string
    readonly day: string
    readonly tried: number
    readonly percent: number
  }[]
  const covered = folders.map(
    ({ folder, percent }) => `${folder.replace(/.*\//, '')} ${percent.toFixed(1)} %`,
  )
  const scores = mutations.map(
    ({ group, tried, percent }) => `${group} ${percent.toFixed(0)} % of ${tried} mutants`,
  )
  const holds =
    folders.length > 0 &&
    folders.every(({ percent }) => percent >= 95) &&
    mutations.every(({ percent }) => percent >= 80)
  const last = mutations
    .map((mutation) => mutation.day)
    .sort()
    .at(-1)
  return {
    holds,
    counts: `branches of ${day}: ${covered.join(', ')}. Mutants noticed, ${last}: ${scores.join(', ')}`,
  }
}

/** The scorecard. What has no lane yet says so, and counts as open. */
export const scorecard: readonly Row[] = [
  {
    id: 'R1',
    what: 'SIGKILL during appends',
    holds: 'nothing acknowledged is lost, no batch in parts, no id twice, no version missing',
  },
  {
    id: 'R2',
    what: 'power loss',
    holds:
      'nothing acknowledged is lost in the durable profile; the relaxed profile must lose something',
  },
  {
    id: 'R3',
    what: 'disk full',
    holds: 'a typed error, reads go on, appends go on once there is space, nothing is lost',
  },
  {
    id: 'R4',
    what: 'the nth system call fails (SQLite)',
    holds:
      'nothing acknowledged is lost, no promise hangs, no acknowledgement after a failed fsync',
  },
  {
    id: 'R5',
    what: 'corruption: flipped bits, cut files',
    holds:
      'no data or metadata of an event is silently wrong (recordedAt has no checksum: changes of it are counted); read or verify names the position; no crash',
  },
  {
    id: 'R6',
    what: 'optimistic concurrency is linearizable',
    holds: 'no history that one copy of the log could not have given, no cycle across streams',
  },
  {
    id: 'R7',
    what: 'retry after an unknown outcome',
    holds: 'exactly one copy, the same returned version',
  },
  {
    id: 'R8',
    what: 'no reader skips an event (a: enumerated schedules, b: races)',
    holds:
      'nothing skipped, nothing out of order, everybody sees one order, a rollback stalls nobody',
  },
  {
    id: 'R9',
    what: 'effects in the store exactly once',
    holds: 'equal to a clean rebuild, the checkpoint never ahead of the state',
  },
  {
    id: 'R10',
    what: 'a Postgres that is stopped, killed, restarted',
    holds: 'nothing acknowledged is lost or doubled; appends go on within 5 s',
  },
  {
    id: 'R11',
    what: 'failover to a standby',
    holds: '',
    open: 'no lane yet, and no promotion with an incarnation of its own',
  },
  {
    id: 'R12',
    what: 'network faults',
    holds: 'no wrong answer; every call ends by its deadline and a second',
  },
  { id: 'R13', what: 'a broker that is down', holds: '', open: 'there are no broker adapters yet' },
  {
    id: 'R14',
    what: 'poisonous events',
    holds: 'exactly those are parked, with error and position; a retry clears them',
  },
  {
    id: 'R15',
    what: 'slow consumers, in the library and over HTTP',
    holds:
      'memory grows by 64 MiB at most, a stalled feed holds 1 MiB at most, is cut off and resumes; others are not held up',
  },
  {
    id: 'R16',
    what: 'clocks that jump',
    holds: 'no order changes, never two owners whose writes are accepted',
  },
  {
    id: 'R17',
    what: 'sizes',
    holds: 'exact round trip, a typed error above the limit, a full read in 128 MiB',
  },
  {
    id: 'R18',
    what: 'malformed input: library, import files, command line, HTTP, MCP',
    holds:
      'no crash, no unhandled rejection, no hang, no failure of the server, no change to built-in prototypes',
  },
  {
    id: 'R19',
    what: 'unicode',
    holds: 'exact round trip, or one and the same typed error on every store',
  },
  {
    id: 'R20',
    what: 'deterministic simulation of the library',
    holds: 'no invariant broken; the same seed gives the same trace',
  },
  {
    id: 'R21',
    what: 'migrations of the schema that are killed',
    holds: 'they resume or roll back, nothing is lost, older code refuses politely',
  },
  {
    id: 'R22',
    what: 'online backup and restore',
    holds:
      'a restored store is a beginning of the other one, verify finds nothing, consumers skip and repeat nothing; what was altered is refused; what was killed goes on',
  },
  {
    id: 'R23',
    what: 'many processes on one SQLite file',
    holds: 'no SQLITE_BUSY below 5 s; the write-ahead log stays below 64 MiB',
  },
  {
    id: 'R24',
    what: 'two hours of everything at once',
    holds: '',
    open: 'no lane yet',
  },
  {
    id: 'R25',
    what: 'the contract suites on every adapter',
    holds: 'a gap is a declared capability, never a skip',
    shown: conformanceShown,
  },
  {
    id: 'R26',
    what: 'strength of the tests',
    holds: 'branch coverage of 95 %, mutation score of 80 %',
    shown: strengthShown,
  },
]

const isPlanted = (campaign: CampaignRecord): boolean => campaign.name.includes('planted')

/** The row that a campaign speaks for: its own name decides, then its lane. */
function speaksFor(id: string, campaign: CampaignRecord, lane: Lane): boolean {
  const named = /^(R\d+)[a-z]?\b/.exec(campaign.name)?.[1]
  if (named !== undefined) return named === id
  return lane.rows.some((row) => row.replace(/[a-z]$/, '') === id)
}

function campaignsOf(id: string, runs: readonly LaneRun[]): CampaignRecord[] {
  return runs.flatMap(({ lane, campaigns }) => campaigns.filter((c) => speaksFor(id, c, lane)))
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ')

function rowText(row: Row, runs: readonly LaneRun[]): string {
  if (row.shown !== undefined) {
    const { holds, counts } = row.shown()
    const result = holds ? 'holds' : 'FAILS'
    return `| ${row.id} | ${cell(`${row.what}: ${row.holds}`)} | ${result} | | ${cell(counts)} |`
  }
  if (row.open !== undefined) return `| ${row.id} | ${row.what} | open: ${row.open} | | |`
  const campaigns = campaignsOf(row.id, runs)
  const planted = campaigns.filter(isPlanted)
  const honest = campaigns.filter((campaign) => !isPlanted(campaign))
  const held = campaigns.every((campaign) => campaign.held)
  const result = honest.length === 0 ? 'not run' : held ? 'holds' : 'FAILS'
  const found = `${planted.filter((campaign) => campaign.held).length} of ${planted.length}`
  const counts = honest
    .map(({ name, notes }) => `${name.replace(/^R\d+[a-z]? /, '')}: ${notes.join('; ') || 'ran'}`)
    .join('. ')
  return `| ${row.id} | ${cell(`${row.what}: ${row.holds}`)} | ${result} | ${found} | ${cell(counts)} |`
}

/** How many rows of the scorecard a run has shown to hold. */
export function rowsHeld(runs: readonly LaneRun[]): number {
  return scorecard.filter((row) => / \| holds \| /.test(rowText(row, runs))).length
}

function laneText({ lane, campaigns, seconds, day, commit }: LaneRun): string {
  const scale = `${lane.soakScale} times`
  const seeds = [...new Set(campaigns.map(({ seed }) => seed))].join(', ')
  const alone = lane.file.startsWith('process/') ? 'alone' : 'beside others'
  const numbers = `${lane.budgetSeconds} | ${seconds.toFixed(0)} | ${alone} | ${scale}`
  const when = `${day}, ${commit}`
  return `| \`${laneName(lane)}\` | ${lane.rows.join(', ')} | ${cell(lane.does)} | ${numbers} | ${when} | ${seeds} |`
}

/** What is checked out. */
export function commitText(): string {
  try {
    const git = (...args: readonly string[]) =>
      execFileSync('git', args, { encoding: 'utf8' }).trim()
    return git('rev-parse', '--short', 'HEAD')
  } catch {
    return 'unknown'
  }
}

function machineText(): string {
  const all = cpus()
  const memory = Math.round(totalmem() / 2 ** 30)
  return `${all.length} cores (${all[0]?.model.trim() ?? 'unknown'}), ${memory} GiB, Linux ${release()}, Node ${process.version}`
}

/** docs/reliability.md, from the last run of each lane. */
export function scorecardPage(runs: readonly LaneRun[]): string {
  return `# Reliability

Written by \`npm run lanes -- --write-docs\` from what the lanes have shown; nothing here is entered by
hand. \`npm run lanes\` runs it all again, \`npm run lanes -- R8\` a row, \`npm run soak -- R8\` many times
as much of it.

## The promise

Acknowledged appends survive the death of the process and of the power in the default profile, on
storage that honours fsync. Appends to a stream are linearizable. Subscribers see every committed event
in order, at least once. Projections that share the store's transaction apply each event exactly once.
Effects outside it happen at least once, with stable ids.

## The scorecard

${rowsHeld(runs)} of ${scorecard.length} rows hold, ${scorecard.filter((row) => row.open !== undefined).length} are open.

Each lane was run last on the day and at the commit that stand beside it below, the latest on
${machineText()}.

Each harness has planted bugs, in its own programs or in a wrapped store, never in the library, and is
worth nothing until it finds them: "found" counts them.

| row | must hold | result | found | what was run |
|---|---|---|---|---|
${scorecard.map((row) => rowText(row, runs)).join('\n')}

## The lanes

One file each, below \`packages/eventuali/test/\`, or that of the package named before it; seconds are those of its campaigns, beside others. A
failure prints its seed; \`EVENTUALI_SEED=n npx vitest run FILE\` takes it again.

| lane | rows | what it does | budget, s | took, s | runs | a soak does | last run | its seeds |
|---|---|---|--:|--:|---|---|---|---|
${runs.map(laneText).join('\n')}
`
}
