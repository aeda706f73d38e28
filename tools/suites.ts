import { existsSync, globSync, readFileSync, rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { inQuickFolder } from './quick-folder.ts'
import { run } from './run.ts'
import type { Tally } from './tally.ts'

const minute = 60_000

/** Narrows a run of vitest. */
export interface VitestRun {
  /** Only these test files. */
  readonly files?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Test files at a time; as many as the configuration says when left out. */
  readonly workers?: number
  /** On the disk that users have, for what measures. */
  readonly onDisk?: boolean
}

/** Projects of vitest.config.ts, run on the Node at `node`. */
export async function vitestSuite(
  suite: string,
  projects: readonly string[],
  node: string,
  timeoutMs: number,
  { files = [], env, workers, onDisk = false }: VitestRun = {},
): Promise<Tally> {
  const file = resolve('.tmp', `tally-${suite.replaceAll('/', '-')}.json`)
  rmSync(file, { force: true })
  const chosen = projects.flatMap((project) => ['--project', project])
  const reporters = ['--reporter=default', '--reporter=./tools/tally-reporter.ts']
  const limits = workers === undefined ? [] : [`--maxWorkers=${workers}`]
  const args = ['run', ...files, ...chosen, ...reporters, ...limits]
  const on = (place: Readonly<Record<string, string>>) =>
    run(node, ['node_modules/vitest/vitest.mjs', ...args], {
      timeoutMs,
      env: { EVENTUALI_TALLY: file, ...place, ...env },
      show: true,
    })
  const { exitCode, seconds } = onDisk ? await on({}) : await inQuickFolder(on)
  if (!existsSync(file)) {
    return { suite, passed: 0, failures: ['vitest ended early'], skips: [], seconds }
  }
  const tally = JSON.parse(readFileSync(file, 'utf8')) as Tally
  // Belt and braces: a run that vitest calls failed is never reported as all passed.
  const silent = exitCode !== 0 && tally.failures.length === 0
  const failures = silent ? [`vitest ended with code ${exitCode}`] : tally.failures
  return { ...tally, suite, failures, seconds }
}

/** The type tests: each x.test-d.ts is a test; other files only count when they do not compile. */
export async function typeSuite(): Promise<Tally> {
  const files = globSync('packages/*/src/**/*.test-d.ts')
  const tsc = ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.check.json', '--pretty', 'false']
  const { exitCode, output, seconds } = await run(process.execPath, tsc, { timeoutMs: 5 * minute })
  const complaints = output.split('\n').filter((line) => /^[^ ].*error TS\d+/.test(line))
  if (exitCode !== 0) process.stdout.write(output)
  if (exitCode !== 0 && complaints.length === 0) complaints.push(`tsc ended with ${exitCode}`)
  const bad = new Set(complaints.map((line) => line.replace(/\(\d+,\d+\).*/, '')))
  const passed = files.filter((file) => !bad.has(file)).length
  const failures = complaints.map((line) => line.slice(0, 300))
  return { suite: 'types', passed, failures, skips: [], seconds }
}
