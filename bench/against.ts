import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { ratioInterval } from './interval.ts'

/**
 * Whether this checkout costs more CPU for an append than another commit did: the same appends in
 * processes of their own, in pairs, in turns; the mean ratio with its 95 % interval.
 */
const here = fileURLToPath(new URL('..', import.meta.url))
const child = fileURLToPath(new URL('against-child.ts', import.meta.url))
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '30' } },
})
const rounds = Number(values.rounds)
const [commit] = positionals
if (commit === undefined || !Number.isSafeInteger(rounds) || rounds < 5) {
  console.error('usage: npm run bench:against -- COMMIT [--rounds 30]   (5 rounds or more)')
  process.exit(2)
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false }) !== undefined
const folder = mkdtempSync(join(isFolder('/dev/shm') ? '/dev/shm' : tmpdir(), 'eventuali-against-'))
const base = join(folder, 'base')
const git = (...args: readonly string[]) => execFileSync('git', ['-C', here, ...args])

/** Appends that take some seconds, each with a place of its own. */
const stores = [
  { name: 'memory', count: 150_000, url: () => 'memory:' },
  { name: 'sqlite, relaxed', count: 30_000, url: (file: string) => `sqlite:${file}` },
] as const

function microseconds(root: string, store: (typeof stores)[number], file: string): number {
  const args = [child, root, store.url(file), String(store.count)]
  const output = execFileSync(process.execPath, args, { encoding: 'utf8' })
  for (const end of ['', '-wal', '-shm']) rmSync(`${file}${end}`, { force: true })
  return Number(output.trim())
}

try {
  git('worktree', 'add', '--detach', '--quiet', base, commit)
  symlinkSync(join(here, 'node_modules'), join(base, 'node_modules'))
  const tsc = join(here, 'node_modules', 'typescript', 'bin', 'tsc')
  execFileSync(process.execPath, [tsc, '-b', join(base, 'packages/eventuali')], { cwd: base })
  for (const store of stores) {
    const ratios: number[] = []
    const costs: number[] = []
    for (let round = 0; round < rounds; round++) {
      const file = join(folder, `log-${round}.db`)
      const roots = round % 2 === 0 ? [here, base] : [base, here]
      const cost = new Map(roots.map((root) => [root, microseconds(root, store, file)]))
      ratios.push((cost.get(here) as number) / (cost.get(base) as number))
      costs.push(cost.get(base) as number)
    }
    const [least, mean, most] = ratioInterval(ratios).map((value) => ((value - 1) * 100).toFixed(1))
    const typical = costs.toSorted((a, b) => a - b)[Math.floor(rounds / 2)] as number
    console.log(
      `${store.name}: ${mean} % CPU for an append (95 %: ${least} to ${most}), ` +
        `${rounds} pairs, ${typical.toFixed(1)} µs at ${commit}`,
    )
  }
} finally {
  git('worktree', 'remove', '--force', base)
  rmSync(folder, { recursive: true, force: true })
}
