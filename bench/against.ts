import { type ChildProcess, execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { ratioInterval } from './interval.ts'

/**
 * Whether this checkout costs more CPU for an append than another commit did: the same appends in
 * processes of their own, two at a time, in turns; the mean ratio with its 95 % interval.
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

/** Appends of one slice, which takes some milliseconds, and how many a run does. */
const stores = [
  { name: 'memory', slice: 2000, slices: 120, url: () => 'memory:' },
  { name: 'sqlite, relaxed', slice: 600, slices: 80, url: (file: string) => `sqlite:${file}` },
] as const
/** The first half of the slices is not counted: code is compiled in several goes, caches fill. */
const warmUpShare = 1 / 2

class Program {
  readonly #child: ChildProcess

  constructor(root: string, url: string) {
    this.#child = fork(child, [root, url])
  }

  /** What it says next. */
  async answer(): Promise<number> {
    const [value] = (await once(this.#child, 'message')) as [number]
    return value
  }

  append(count: number): Promise<number> {
    const answer = this.answer()
    this.#child.send(count)
    return answer
  }

  async end(): Promise<void> {
    const ended = once(this.#child, 'exit')
    this.#child.send(0)
    await ended
  }
}

/**
 * What an append costs in two programs, in microseconds. They take turns every few milliseconds,
 * so that whatever else the machine does meets both.
 */
async function pairOf(
  store: (typeof stores)[number],
  file: string,
): Promise<{ readonly own: number; readonly theirs: number }> {
  const roots = [here, base]
  const programs = roots.map((root, n) => new Program(root, store.url(`${file}-${n}`)))
  await Promise.all(programs.map((program) => program.answer()))
  const sums = [0, 0]
  const from = Math.ceil(store.slices * warmUpShare)
  for (let slice = 0; slice < store.slices; slice++) {
    // Each goes first as often as second.
    for (const n of slice % 2 === 0 ? [0, 1] : [1, 0]) {
      const cost = await (programs[n] as Program).append(store.slice)
      if (slice >= from) sums[n] = (sums[n] as number) + cost
    }
  }
  await Promise.all(programs.map((program) => program.end()))
  for (const n of [0, 1]) {
    for (const end of ['', '-wal', '-shm']) rmSync(`${file}-${n}${end}`, { force: true })
  }
  const [own = 0, theirs = 0] = sums.map((sum) => sum / (store.slices - from))
  return { own, theirs }
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
      const { own, theirs } = await pairOf(store, join(folder, `log-${round}`))
      ratios.push(own / theirs)
      costs.push(theirs)
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
