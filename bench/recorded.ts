import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Machine } from './machine.ts'
import type { CaseResult } from './paired.ts'
import type { Fact, RunResult } from './report.ts'

/** A run whose results are still in the record. */
export interface RecordedRun {
  readonly at: string
  readonly commit: string
  readonly rounds: number
  readonly machine: Machine
  readonly durability: readonly string[]
  /** What else the reader of its figures has to know. */
  readonly note?: string
}

/** A result and when its run was. */
export type Dated<T> = T & { readonly at: string }

/** The newest result of each case: of several runs, when only a part was run again. */
export interface Recorded {
  readonly runs: readonly RecordedRun[]
  readonly cases: readonly Dated<CaseResult>[]
  readonly facts: readonly Dated<Fact>[]
}

export const recordFile: string = fileURLToPath(new URL('../docs/data/bench.json', import.meta.url))

export function readRecord(file: string): Recorded {
  if (!existsSync(file)) return { runs: [], cases: [], facts: [] }
  return JSON.parse(readFileSync(file, 'utf8')) as Recorded
}

interface Named {
  readonly name: string
}

/** The new ones in the place of the old ones, then in the given order; what it lacks comes last. */
function replaced<T extends Named>(
  old: readonly Dated<T>[],
  fresh: readonly T[],
  at: string,
  order: readonly string[],
): Dated<T>[] {
  const all = new Map(old.map((result) => [result.name, result]))
  for (const result of fresh) all.set(result.name, { ...result, at })
  const place = (name: string): number => {
    const found = order.indexOf(name)
    return found === -1 ? order.length : found
  }
  return [...all.values()].toSorted((a, b) => place(a.name) - place(b.name))
}

/** The record with a run's results; runs that nothing is left of are forgotten. */
export function withRun(record: Recorded, result: RunResult, order: readonly string[]): Recorded {
  const { at, commit, rounds, machine, durability, note } = result
  const cases = replaced(record.cases, result.cases, at, order)
  const facts = replaced(record.facts, result.facts, at, order)
  const used = new Set([...cases, ...facts].map((each) => each.at))
  const run = { at, commit, rounds, machine, durability, ...(note === undefined ? {} : { note }) }
  const runs = [...record.runs, run]
  return { runs: runs.filter((run) => used.has(run.at)), cases, facts }
}

/** The commit that is measured; `+` when files were changed since. */
export function commitHere(): string {
  const git = (...args: readonly string[]): string => {
    const cwd = fileURLToPath(new URL('..', import.meta.url))
    return execFileSync('git', [...args], { cwd, encoding: 'utf8' }).trim()
  }
  try {
    const changed = git('status', '--porcelain', '--untracked-files=no', '--', 'packages', 'bench')
    return `${git('rev-parse', '--short=9', 'HEAD')}${changed === '' ? '' : '+'}`
  } catch {
    return 'unknown'
  }
}
