import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Recorded, RecordedRun } from './recorded.ts'
import { factsText, legendMarkdown, machineText, missed, tableMarkdown } from './report.ts'

const page = fileURLToPath(new URL('../docs/performance.md', import.meta.url))

/** Why a case may stay below its goal: said once here, shown only while it does. */
const reasons: readonly (readonly [pattern: RegExp, reason: string])[] = [
  [
    /^snapshots/,
    'JSON.parse of such a state alone takes longer than a hundredth of the fold; states held in memory ("held") need none',
  ],
  [
    /postgres beside peers: consumer, store \/ Emmett/,
    'a raw scan of such a log is not twenty times as fast as that either, see its full scan',
  ],
  [
    /conditional append, 1 caller, store \/ eventsourcing/,
    'one caller waits for one commit on either side: only callers that share commits can gain so much',
  ],
  [
    /store \/ plain INSERT/,
    'the plain INSERT keeps no head of the stream, checks no version and draws no ids',
  ],
  [
    /sqlite beside peers: append 1, store \/ Emmett, one/,
    'either side waits for one flush of the disk for each append; as it comes, Emmett also opens a connection for each',
  ],
  [
    /callers, store \/ one caller/,
    'callers share a flush: where the disk takes little time for one, as here, there is less to share',
  ],
  [
    /postgres beside peers: 32 callers, store \/ Emmett/,
    'the raw calls of "postgres 32 callers" are no eight times as fast as that either',
  ],
  [
    /^import/,
    'raw is handed parsed lines with ids; the import reads, unpacks, parses, checks and names them ("script" does so too)',
  ],
  [
    /(append|callers).*store \/ raw/,
    'an id, a checksum, the check that JSON carries the data, and a promise for each caller; compare raw+ids+crc',
  ],
  [
    /postgres beside peers: append 1, store \/ Emmett/,
    'either side waits for one commit; the call of the append function takes longer than an INSERT, see plain INSERT',
  ],
  [
    /(scan|load 1,000).* \/ raw/,
    'the events are objects with dates, where raw leaves rows as they come',
  ],
]

function missedText({ cases }: Recorded): string {
  const lines = missed(cases)
  if (lines.length === 0) return 'Every case reached its goal.'
  return lines
    .map((line) => {
      const why = reasons.find(([pattern]) => pattern.test(line))?.[1]
      return `- ${line}${why === undefined ? '' : `: ${why}`}`
    })
    .join('\n')
}

/** Mark of a run other than the newest: a, b, c. */
function marksOf(runs: readonly RecordedRun[]): ReadonlyMap<string, string> {
  const older = runs.slice(0, -1).reverse()
  return new Map(older.map(({ at }, i) => [at, ` (${String.fromCharCode(97 + i)})`]))
}

function runText({ at, commit, rounds, machine, note }: RecordedRun): string {
  const flushes = machine.flushesPerSecond.join(' and ')
  const disk = flushes === '' ? '' : `, ${flushes} flushes a second at start and end`
  const where = `${machine.cpu}${disk}`
  const said = `${at.slice(0, 10)}, commit ${commit}, ${rounds} rounds, ${where}`
  return note === undefined ? said : `${said}; ${note}`
}

function runsText(runs: readonly RecordedRun[]): string {
  const newest = runs.at(-1)
  if (newest === undefined) return ''
  const marks = marksOf(runs)
  const lines = [
    `Cases without a mark: ${runText(newest)}.`,
    ...runs
      .slice(0, -1)
      .reverse()
      .map((run) => `Cases marked${marks.get(run.at)}: ${runText(run)}.`),
  ]
  return lines.map((line) => `- ${line}`).join('\n')
}

/** Machine and versions of the newest run, durability as any of them read it back. */
function settingsText(runs: readonly RecordedRun[]): string {
  const newest = runs.at(-1)
  if (newest === undefined) return ''
  const known = runs.findLast(({ machine }) => machine.postgres !== 'not started')
  const { postgres } = (known ?? newest).machine
  const durability = new Set(runs.flatMap((run) => run.durability))
  return machineText({ ...newest.machine, postgres }, [...durability])
}

/** Writes docs/performance.md from the record. */
export function writeDocs(record: Recorded): void {
  const marks = marksOf(record.runs)
  const marked = <T extends { readonly name: string; readonly at: string }>(each: T): T => ({
    ...each,
    name: `${each.name}${marks.get(each.at) ?? ''}`,
  })
  const cases = record.cases.map(marked)
  writeFileSync(
    page,
    `# Performance

Written by \`npm run bench -- --write-docs\` from [bench.json](data/bench.json), which holds the
newest result of each case; with \`--only\` a part is measured again and the rest stays.
\`npm run bench -- --help\` tells of the other options.

Trust the ratios, not the absolute figures: how often a disk makes a write durable bounds every
append, and it differs a hundredfold between machines and between hours. So a case compares the
store with the raw driver on the same machine in the same minute: the contenders take turns
(A B B A, six turns in each round), a ratio is formed within each round, and the
table shows the least, the middle and the greatest of the rounds. "raw" means the store's own SQL
texts, prepared once through the same driver with the same settings, in a plain loop written for
that one job, on the same log. When it appends, plain "raw" spares itself what the rows hold for
their readers: it writes one constant id and no checksum. "raw+ids+crc" writes the rows that the
store writes. The goal is 0.9 of plain raw with 0.8 as the floor (0.6 for an import), and six times
the rate of one caller for 32; 0.8 for a subscription that catches up, 0.5 for a projection.

An event has about 269 bytes of data and 120 of metadata as JSON. Appends go to 1,000 existing
streams, chosen at random from a seed; the log holds 50,000 events before they begin.

The cases "beside peers" (\`npm run bench -- --peers\`, which installs them into \`.tmp/peers\`) do the
same work in other libraries on the same disk or server and at the same durability, which is read
back. Each of them runs in a process of its own and is asked for one turn at a time, so that turns
are interleaved with the store's. Their logs hold 6,000 events in 300 streams, or 10,000 where all
events are read. Loads are those of an aggregate: read and folded. A library that cannot do something is left out of that
case; one that fails is shown with its error. Goals: ten times Emmett for one caller on SQLite and
twice for loads of 1,000; on PostgreSQL twice for one caller, eight times for 32, 2.5 times for
loads; twenty times its consumers; four times the conditional appends of the Python library
eventsourcing; twice the plain INSERTs over 32 connections. eventuali 0.2 of PyPI compiles for a
quarter of an hour when it is installed, and is not measured here.

\`\`\`text
${settingsText(record.runs)}
\`\`\`

${runsText(record.runs)}

## Ratios

${tableMarkdown(cases)}

${factsText(record.facts.map(marked)).replace(/^/gm, '- ')}

## What was compared

${legendMarkdown(cases)}

## Below the goal

${missedText(record)}
`,
  )
  console.log(`wrote ${page}`)
}
