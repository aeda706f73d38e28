import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import {
  factsText,
  legendMarkdown,
  machineText,
  missed,
  type RunResult,
  tableMarkdown,
} from './report.ts'

const page = fileURLToPath(new URL('../docs/performance.md', import.meta.url))

/** Why a case may stay below its goal: said once here, shown only while it does. */
const reasons: readonly (readonly [pattern: RegExp, reason: string])[] = [
  [
    /^snapshots/,
    'JSON.parse of such a state alone takes longer than a hundredth of the fold; states held in memory ("held") need none',
  ],
  [
    /Emmett, tuned/,
    'the raw driver reads and parses the same log some fifteen times as fast as Emmett, tuned, and no faster',
  ],
  [
    /^import/,
    'raw is handed parsed lines with ids; the import reads, unpacks, parses, checks and names them ("script" does so too)',
  ],
  [
    /append|callers/,
    'an id, a checksum, the check that JSON carries the data, and a promise for each caller; compare raw+ids+crc',
  ],
  [/scan|load 1,000/, 'the events are objects with dates, where raw leaves rows as they come'],
]

function missedText(result: RunResult): string {
  const lines = missed(result.cases)
  if (lines.length === 0) return 'Every case of this run reached its goal.'
  return lines
    .map((line) => {
      const why = reasons.find(([pattern]) => pattern.test(line))?.[1]
      return `- ${line}${why === undefined ? '' : `: ${why}`}`
    })
    .join('\n')
}

/** Writes docs/performance.md from a run. */
export function writeDocs(result: RunResult): void {
  writeFileSync(
    page,
    `# Performance

Written by \`npm run bench -- --write-docs\`; \`npm run bench -- --help\` tells of the other options.

Trust the ratios, not the absolute figures: how often a disk makes a write durable bounds every
append, and it differs a hundredfold between machines and between hours. So a case compares the
store with the raw driver on the same machine in the same minute: the contenders take turns
(A B A B, ${result.rounds} rounds of six turns each), a ratio is formed within each round, and the
table shows the least, the middle and the greatest of the rounds. "raw" means the store's own SQL
texts, prepared once through the same driver with the same settings, in a plain loop written for
that one job, on the same log. When it appends, plain "raw" spares itself what the rows hold for
their readers: it writes one constant id and no checksum. "raw+ids+crc" writes the rows that the
store writes. The goal is 0.9 of plain raw with 0.8 as the floor (0.6 for an import), and six times
the rate of one caller for 32; 0.8 for a subscription that catches up, 0.5 for a projection, and
twenty times the rate of Emmett.

An event has about 269 bytes of data and 120 of metadata as JSON. Appends go to 1,000 existing
streams, chosen at random from a seed; the log holds 50,000 events before they begin.

\`\`\`text
${machineText(result.machine, result.durability)}
\`\`\`

## Ratios

${tableMarkdown(result.cases)}

${factsText(result.facts).replace(/^/gm, '- ')}

## What was compared

${legendMarkdown(result.cases)}

## Below the goal

${missedText(result)}
`,
  )
  console.log(`wrote ${page}`)
}
