import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { relative, resolve } from 'node:path'
import { exclusions } from './coverage-exclusions.ts'
import { coverageReport, type FileCoverage } from './coverage-report.ts'
import { inQuickFolder } from './quick-folder.ts'
import { run } from './run.ts'

// What the tests of the unit project do not go through, of the folders that a store consists of.
const root = 'packages/eventuali/src'
const folders = ['model', 'commands', 'subscriptions', 'projections', 'snapshots', 'stores'].map(
  (name) => `${root}/${name}`,
)
const filters = [
  'packages/eventuali/src/',
  'packages/cli/src/',
  'packages/server/src/client',
  'eventuali/test/postgres/',
]
const leastPercent = 95
const found = resolve('.tmp/coverage/coverage-final.json')

/**
 * Runs the unit project with coverage, and what only PostgreSQL can do wrong; not when a run of
 * the tests has left its figures (`--judge`). What child processes go through is not counted.
 */
async function measure(): Promise<boolean> {
  rmSync(found, { force: true })
  const projects = ['--project', 'unit', '--project', 'programs', '--project', 'servers']
  const args = ['run', ...projects, '--coverage.enabled', '--coverage.reportOnFailure', ...filters]
  const { exitCode } = await inQuickFolder((env) =>
    run(process.execPath, ['node_modules/vitest/vitest.mjs', ...args], {
      timeoutMs: 60 * 60_000,
      env,
      show: true,
    }),
  )
  return exitCode === 0
}

const passed = process.argv.includes('--judge') || (await measure())
if (!existsSync(found)) throw new Error(`no figures in ${relative('.', found)}`)
const files = new Map(
  Object.values(JSON.parse(readFileSync(found, 'utf8')) as Record<string, FileCoverage>).map(
    (file) => [relative('.', file.path).replaceAll('\\', '/'), file],
  ),
)
const textOf = (file: string): string | undefined =>
  existsSync(file) ? readFileSync(file, 'utf8') : undefined
const report = coverageReport(files, folders, exclusions, textOf)
writeFileSync('.tmp/coverage/branches.json', `${JSON.stringify(report, null, 2)}\n`)

if (process.argv.includes('--record')) {
  const day = new Date().toISOString().slice(0, 10)
  const { folders: measured } = report
  writeFileSync(
    'docs/data/coverage.json',
    `${JSON.stringify({ day, folders: measured }, null, 2)}\n`,
  )
}

for (const { file, line, type, missed } of report.gaps) {
  if (process.argv.includes('--gaps')) console.log(`${file}:${line} ${type}, ${missed} not taken`)
}
console.log('\nbranches       taken  excluded      %')
for (const { folder, branches, taken, excluded, percent } of report.folders) {
  const name = folder.slice(root.length + 1).padEnd(14)
  const parts = `${taken}/${branches}`.padStart(10)
  const mark = percent < leastPercent ? `  below ${leastPercent}` : ''
  console.log(
    `${name}${parts}${String(excluded).padStart(6)}${percent.toFixed(2).padStart(9)}${mark}`,
  )
}
for (const complaint of report.complaints) console.log(complaint)
const low = report.folders.some(({ percent }) => percent < leastPercent)
if (!passed || low || report.complaints.length > 0) process.exitCode = 1
